"""Fetching over ssh: with the user's own keys and settings, and never with a question."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncstack.events import FetchRetried
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus
from tests.helpers import sshd
from tests.helpers.fetching import Bench
from tests.helpers.gitserver import Proxy, commit_files, needs, rev

pytestmark = pytest.mark.anyio


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[sshd.Sshd]:
    needs("ssh")
    if not sshd.available():
        pytest.skip("no sshd here")
    running = sshd.start_sshd(tmp_path / "sshd", trusted=False)
    _, kind, key = running.host_key_line().split()
    running.known_hosts.write_text(f"here {kind} {key}\n")
    yield running
    running.stop()


def command(daemon: sshd.Sshd, key: str = "user_key", known: str = "known_hosts") -> str:
    """An ssh that sees nothing of whoever runs the test."""
    options = {
        "IdentityFile": daemon.root / key,
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": daemon.root / known,
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": "here",
        "StrictHostKeyChecking": "yes",
    }
    return "ssh -F /dev/null " + " ".join(f"-o {name}={value}" for name, value in options.items())


def url(daemon: sshd.Sshd, served: Path, port: int = 0) -> str:
    return f"ssh://{daemon.user}@127.0.0.1:{port or daemon.port}{served}/plugin.git"


@pytest.mark.parametrize("where", ["GIT_SSH_COMMAND", "core.sshCommand"])
async def test_the_users_ssh_is_used(
    where: str,
    daemon: sshd.Sshd,
    served: Path,
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the environment or from git's configuration; new clones and updates alike."""
    if where == "GIT_SSH_COMMAND":
        monkeypatch.setenv(where, command(daemon))
    else:
        config = f'[core]\n\tsshCommand = "{command(daemon)}"\n'
        (tmp_path / "home" / ".gitconfig").write_text(config)
    result = await bench.one(url(daemon, served))
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    assert (await bench.one(url(daemon, served), update=True)).status is FetchStatus.PRESENT
    commit = commit_files(served / "plugin.git", {"new": "1"})
    result = await bench.one(url(daemon, served), update=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)


async def test_the_users_ssh_is_used_where_git_rewrites_to_it(
    daemon: sshd.Sshd, served: Path, bench: Bench, tmp_path: Path
) -> None:
    """`url.ssh://….insteadOf = https://…`: the URL itself doesn't say that ssh is needed."""
    (tmp_path / "home" / ".gitconfig").write_text(
        f'[core]\n\tsshCommand = "{command(daemon)}"\n'
        f'[url "{url(daemon, served)}"]\n\tinsteadOf = https://example.org/plugin\n'
    )
    result = await bench.one("https://example.org/plugin")
    assert (result.status, result.message) == (FetchStatus.CLONED, "")


@pytest.mark.parametrize(
    ("wrong", "failure", "hint"),
    [
        ("key", FailureClass.AUTHENTICATION, "ssh agent"),
        ("known", FailureClass.HOST_KEY, "host key"),
    ],
)
async def test_ssh_asks_nothing(
    wrong: str,
    failure: FailureClass,
    hint: str,
    daemon: sshd.Sshd,
    served: Path,
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key that isn't let in, a host that isn't known: one try, an error, no question."""
    sshd.make_key(daemon.root / "nobodys")
    (daemon.root / "none").write_text("")
    asked = tmp_path / "asked"
    program = tmp_path / "askpass"
    program.write_text(f"#!/bin/sh\ntouch {asked}\n")
    program.chmod(0o755)
    monkeypatch.setenv("SSH_ASKPASS", str(program))
    monkeypatch.setenv("DISPLAY", ":0")
    ours = command(daemon, **({"key": "nobodys"} if wrong == "key" else {"known": "none"}))
    monkeypatch.setenv("GIT_SSH_COMMAND", ours)
    result = await bench.one(url(daemon, served))
    assert (result.failure, result.attempts) == (failure, 1), result
    assert hint in result.hint
    assert not asked.exists()


async def test_a_missing_repository(
    daemon: sshd.Sshd, served: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not there is not there, over ssh, too."""
    monkeypatch.setenv("GIT_SSH_COMMAND", command(daemon))
    result = await bench.one(url(daemon, served / "nowhere"))
    assert (result.failure, result.attempts) == (FailureClass.NOT_FOUND, 1), result


@pytest.mark.parametrize("after", [0, 30_000])
async def test_silence_over_ssh(
    after: int, daemon: sshd.Sshd, served: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the handshake or in the middle of a pack: given up, and tried again."""
    monkeypatch.setenv("GIT_SSH_COMMAND", command(daemon))
    commit_files(served / "plugin.git", {"big": "".join(f"{n * n}\n" for n in range(60_000))})

    def fate(number: int) -> tuple[str, int] | None:
        return ("freeze", after) if number == 0 else None

    with Proxy(daemon.port, fate=fate) as proxy:
        result = await bench.one(url(daemon, served, proxy.port), stall_s=2.0)
    assert result.status is FetchStatus.CLONED, result
    assert result.commit == rev(served / "plugin.git", "master")
    assert {event.reason for event in bench.of(FetchRetried)} == {"stall"}
