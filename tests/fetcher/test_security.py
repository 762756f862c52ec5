"""Nothing of a URL, a repository or the user's set-up runs, leaks or waits for an answer."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from asyncstack.events import Warned, encode
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus
from tests.helpers.fetching import Bench
from tests.helpers.gitserver import Reply, SmartHttp, commit_files, git, make_repository, rev

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t/p@ss"


def demand_login(server: SmartHttp, seen: list[str]) -> None:
    """Let the server ask for a login; note every command line that runs meanwhile."""
    expected = "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()

    def answer(method: str, path: str) -> Reply | None:
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.append(file.read_bytes().decode("utf-8", "replace"))
            except OSError:
                continue
        if server.headers[-1].get("Authorization") == expected:
            return None
        return Reply(401, {"WWW-Authenticate": 'Basic realm="x"'})

    server.answer = answer


def everything_below(path: Path) -> str:
    files = (file for file in path.rglob("*") if file.is_file())
    return "".join(file.read_bytes().decode("utf-8", "replace") for file in files)


async def test_credentials_in_a_url(server: SmartHttp, bench: Bench, tmp_path: Path) -> None:
    """They log in, and are in no command line, event, result, message or file."""
    seen: list[str] = []
    demand_login(server, seen)
    url = server.url("plugin.git", userinfo="user:s3cr3t%2Fp%40ss")
    result = await bench.one(url)
    assert result.status is FetchStatus.CLONED
    update = await bench.one(url, update=True)
    assert update.status is FetchStatus.PRESENT
    failing = await bench.fetch(bench.request(url, "nope", "other"))
    told = [repr(result), repr(failing), *(encode(event).decode() for event in bench.lasting)]
    told += [everything_below(bench.dest), everything_below(bench.cache)]
    assert any("clone" in line for line in seen)
    for form in (SECRET, "s3cr3t%2Fp%40ss"):
        assert not [line for line in seen + told if form in line]


@pytest.mark.parametrize("able", [True, False], ids=["server can", "server can't"])
async def test_a_partial_clone_behind_a_login(
    able: bool, served: Path, server: SmartHttp, bench: Bench
) -> None:
    """Its config has no login: what is fetched later by hand lacks one, and updates bring theirs."""
    repository = make_repository(served / "big.git", commits=6, payload=1000)
    git("-C", repository, "config", "uploadpack.allowFilter", str(able).lower())
    old = rev(repository)
    commit_files(repository, {"data/0": "small", "data/1": "small"})
    demand_login(server, [])
    url = server.url("big.git", userinfo="user:s3cr3t%2Fp%40ss")
    result = await bench.one(url, filter="blob:none")
    assert result.status is FetchStatus.CLONED
    (warning,) = bench.of(Warned)
    assert warning.code == ("filter-login" if able else "filter-ignored")
    assert ("git config credential" in warning.message) == able
    back = await bench.one(url, old, update=True)
    assert (back.status, back.commit, back.message) == (FetchStatus.UPDATED, old, "")
    assert SECRET not in everything_below(bench.dest)
    (bench.dest / "plugin").rename(bench.dest / "elsewhere")
    bench.events.clear()
    await bench.one(url)
    assert bench.of(Warned) == []


async def test_wrong_credentials(server: SmartHttp, bench: Bench) -> None:
    """An answer at once, and no word of them."""
    demand_login(server, [])
    result = await bench.one(server.url("plugin.git", userinfo="user:wr0ng"))
    assert result.failure is FailureClass.AUTHENTICATION
    assert "wr0ng" not in repr(result)


async def test_credentials_follow_no_redirect(
    served: Path, server: SmartHttp, bench: Bench
) -> None:
    """They are for the host that the URL names."""
    with SmartHttp(served) as other:
        other.answer = lambda method, path: Reply(401, {"WWW-Authenticate": 'Basic realm="x"'})
        elsewhere = other.url("").rstrip("/")
        server.answer = lambda method, path: Reply(301, {"Location": elsewhere + path})
        result = await bench.one(server.url("plugin.git", userinfo="user:secret"))
        assert result.failure is FailureClass.AUTHENTICATION
        assert other.headers
        assert not [headers for headers in other.headers if "Authorization" in headers]


async def test_the_users_credential_helper_is_asked(
    server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """What works on the command line works here."""
    demand_login(server, [])
    helper = tmp_path / "home" / "helper"
    helper.write_text(f"#!/bin/sh\necho username=user\necho 'password={SECRET}'\n")
    helper.chmod(0o755)
    (tmp_path / "home" / ".gitconfig").write_text(f"[credential]\n\thelper = {helper}\n")
    assert (await bench.one(server.url("plugin.git"))).status is FetchStatus.CLONED


async def test_no_prompt(
    server: SmartHttp, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked, not even by a window."""
    demand_login(server, [])
    program = tmp_path / "askpass"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    program.chmod(0o755)
    for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
        monkeypatch.setenv(name, str(program))
    (tmp_path / "home" / ".gitconfig").write_text(f"[core]\n\taskPass = {program}\n")
    result = await bench.one(server.url("plugin.git"))
    assert result.failure is FailureClass.AUTHENTICATION
    assert not (tmp_path / "asked").exists()


async def test_nothing_of_the_users_runs(
    served: Path, server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """Hooks from a template, from core.hooksPath, and a monitor: none is started."""
    hooks = tmp_path / "home" / "template" / "hooks"
    hooks.mkdir(parents=True)
    names = ("post-checkout", "post-merge", "reference-transaction", "post-index-change", "monitor")
    for name in names:
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-{name}\n")
        (hooks / name).chmod(0o755)
    (tmp_path / "home" / ".gitconfig").write_text(
        f"[init]\n\ttemplateDir = {hooks.parent}\n"
        f"[core]\n\thooksPath = {hooks}\n\tfsmonitor = {hooks}/monitor\n"
    )
    assert (await bench.one(server.url("plugin.git"))).status is FetchStatus.CLONED
    commit_files(served / "plugin.git", {"new": "1"})
    updated = await bench.one(server.url("plugin.git"), update=True)
    assert updated.status is FetchStatus.UPDATED
    assert list(tmp_path.glob("ran-*")) == []
    assert not (bench.dest / "plugin" / ".git" / "hooks").exists()


@pytest.mark.parametrize("ref", ["master", "refs/changes/12/3412/5"])
@pytest.mark.parametrize("options", [{}, {"filter": "blob:none"}], ids=["full", "partial"])
async def test_origin_is_called_origin(
    options: dict[str, str], ref: str, server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """Whatever the user's own clones call it."""
    config = tmp_path / "home" / ".gitconfig"
    config.write_text("[clone]\n\tdefaultRemoteName = upstream\n")
    result = await bench.one(server.url("plugin.git"), ref, **options)
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    assert git("-C", bench.dest / "plugin", "remote") == "origin\n"


async def test_the_users_url_rewriting_is_honoured(
    server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """`url.*.insteadOf`, as on the command line."""
    (tmp_path / "home" / ".gitconfig").write_text(
        f'[url "{server.url("")}"]\n\tinsteadOf = https://nowhere.invalid/\n'
    )
    result = await bench.one("https://nowhere.invalid/plugin.git")
    assert result.status is FetchStatus.CLONED


async def test_a_git_that_runs_us(
    server: SmartHttp, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Called from a hook or an alias, we don't write into that repository."""
    git("init", "-q", tmp_path / "outer")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "outer" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "outer" / "index"))
    monkeypatch.setenv("GIT_TRACE", "1")
    result = await bench.one(server.url("plugin.git"))
    monkeypatch.undo()
    assert result.status is FetchStatus.CLONED
    assert git("-C", tmp_path / "outer", "for-each-ref") == ""


async def test_no_global_configuration_is_written(
    server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """safe.directory and the rest travel with each call."""
    await bench.one(server.url("plugin.git"))
    assert not everything_below(tmp_path / "home")


@pytest.mark.parametrize(
    ("url", "ref"),
    [
        ("ext::sh -c 'touch {tmp}/pwned'", "master"),
        ("--upload-pack=touch {tmp}/pwned", "master"),
        ("ssh://-oProxyCommand=touch${{IFS}}{tmp}/pwned/x", "master"),
        ("{server}", "--upload-pack=touch {tmp}/pwned"),
        ("{server}", "master:refs/heads/x"),
    ],
)
async def test_injection(
    url: str, ref: str, server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """Options and programs in place of URLs and refs."""
    where = {"tmp": tmp_path, "server": server.url("plugin.git")}
    result = await bench.one(url.format(**where), ref.format(**where))
    assert result.failure is FailureClass.REFUSED_BY_US
    assert not (tmp_path / "pwned").exists()
    assert server.requests == []
