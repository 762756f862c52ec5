"""Passwords appear in no file of a run and nowhere on the screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.lab import Lab, Outcome

pytestmark = pytest.mark.slow

_KEY = "-----BEGIN KEY-----\n" + "\n".join(
    f"{n:03}MIIEvAIBADANBgkq{n * 7919:048}" for n in range(40)
)
_SECRETS = {
    "from localrc": "localrc-sesame",
    "from the environment": "environment-sesame",
    "in a URL": "url-sesame",
    "a long one": "L" * 300 + "ong-sesame" + "L" * 9000,
    "a line of a key": _KEY.splitlines()[5],
}
_LEAK = """
echo "$ADMIN_PASSWORD $CLOUD_TOKEN"
printf '%s' "${ADMIN_PASSWORD:0:5}"; sleep 0.05; echo "${ADMIN_PASSWORD:5}"
echo "$LONG_SECRET"
echo $SSH_PRIVATE_KEY
(set -o posix; set)
warn $LINENO "the password is $ADMIN_PASSWORD"
if [[ $2 == install ]]; then
    false "$ADMIN_PASSWORD" "$CLOUD_TOKEN"
fi
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.plugin("leaky", _LEAK)
    lab.environment["CLOUD_TOKEN"] = _SECRETS["from the environment"]
    lab.write_conf(
        f"ADMIN_PASSWORD={_SECRETS['from localrc']}\n"
        f"LONG_SECRET={_SECRETS['a long one']}\n"
        f"SSH_PRIVATE_KEY='{_KEY}'\n"
        'echo "localrc prints $ADMIN_PASSWORD"\nfalse "$ADMIN_PASSWORD"\n' + lab.enable("leaky"),
    )
    return lab


@pytest.fixture(scope="module")
def outcomes(lab: Lab) -> list[Outcome]:
    """A run that fails, the same with all that it can print, and one that can't fetch."""
    found = [
        lab.run("stack"),
        lab.run("stack", "--json", lab.conf),
        lab.run("stack", "-v", lab.conf),
    ]
    conf = lab.conf.read_text()
    lab.write_conf(f"enable_plugin leaky https://me:{_SECRETS['in a URL']}@127.0.0.1:9/x.git")
    found += [
        lab.run("stack", lab.conf, "--dest", lab.root / "other"),
        lab.plan(),
        lab.plan("--json"),
    ]
    lab.conf.write_text(conf)
    return found


@pytest.mark.parametrize("kind", _SECRETS)
def test_no_file_of_a_run_holds_it(outcomes: list[Outcome], kind: str) -> None:
    """Neither the journal nor run.json nor a step's log."""
    read = 0
    for outcome in outcomes:
        for path in outcome.directory.rglob("*"):
            if path.is_file():
                read += 1
                assert _SECRETS[kind].encode() not in path.read_bytes(), path
    assert read > 8


@pytest.mark.parametrize("kind", _SECRETS)
def test_the_screen_does_not_show_it(outcomes: list[Outcome], kind: str) -> None:
    """Neither results nor progress, failures, plans or --json."""
    for outcome in outcomes:
        assert _SECRETS[kind] not in outcome.stdout
        assert _SECRETS[kind] not in outcome.stderr


def test_the_runs_did_what_they_should(outcomes: list[Outcome]) -> None:
    """The secrets had every chance: the steps ran, printed and failed."""
    assert [outcome.code for outcome in outcomes] == [1, 1, 1, 1, 0, 0]
    log = outcomes[0].log("leaky").decode()
    assert log.count("***") > 6
    assert "false" in outcomes[0].step("leaky").command


def test_no_command_line_holds_it(lab: Lab, outcomes: list[Outcome]) -> None:
    """What is given to git goes by the environment: its argv could be read by anybody."""
    lab.write_conf(f"enable_plugin leaky https://me:{_SECRETS['in a URL']}@127.0.0.1:9/x.git")
    programs = lab.root / "programs"
    programs.mkdir()
    seen = lab.root / "seen"
    import shutil

    real = shutil.which("git")
    (programs / "git").write_text(f'#!/bin/sh\necho "$@" >>{seen}\nexec {real} "$@"\n')
    (programs / "git").chmod(0o755)
    path = f"{programs}:{lab.environment['PATH']}"
    lab.run("stack", lab.conf, "--dest", lab.root / "third", environment={"PATH": path})
    assert "127.0.0.1:9" in seen.read_text()
    assert _SECRETS["in a URL"] not in seen.read_text()


def test_what_holds_secrets_is_private(lab: Lab, outcomes: list[Outcome]) -> None:
    """The node's directory and the run's are for their owner alone."""
    for directory in [*lab.node_directories(), *(o.directory for o in outcomes[:3])]:
        assert directory.stat().st_mode & 0o077 == 0
    assert [path for path in _files(lab.state) if path.stat().st_mode & 0o077] == []


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("local*") if path.is_file()]
