"""plan changes nothing, and says what a run would do."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import msgspec
import pytest

from asyncstack.events import FetchFinished, Warned
from tests.helpers.gitserver import git
from tests.helpers.lab import Lab, alive

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    lab.state.mkdir()  # as on any machine that was used before
    settings = 'touch "$DEST/ran"\ndefine_plugin first\nplugin_requires first second\n'
    lab.plugin("first", 'touch "$DEST/ran"\n', settings=settings)
    lab.plugin("second", 'touch "$DEST/ran"\n')
    lab.write_conf(lab.enable("first", "second"))
    return lab


def tree(root: Path) -> dict[str, str]:
    """Everything below a folder: names, modes, contents."""
    return {
        str(path.relative_to(root)): f"{path.lstat().st_mode} "
        + (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in root.rglob("*")
    }


def test_plan_changes_nothing(lab: Lab) -> None:
    """Not $DEST, not the state, cache or home directory: the tree is the same afterwards."""
    before = tree(lab.root)
    outcome = lab.plan()
    assert outcome.code == 0
    assert tree(lab.root) == before


def test_plan_changes_nothing_about_checkouts(lab: Lab) -> None:
    """The same where everything is there already."""
    assert lab.run("fetch").code == 0
    before = tree(lab.root)
    outcome = lab.plan()
    assert outcome.code == 0
    assert tree(lab.root) == before


def test_plan_says_what_would_run(lab: Lab) -> None:
    """The plugins with their state, and the phases with their steps, in order."""
    assert lab.run("fetch").code == 0
    outcome = lab.plan("--json")
    (plan,) = msgspec.json.decode(outcome.stdout)
    assert [p["plugin"]["name"] for p in plan["plugins"]] == ["first", "second"]
    assert {p["state"] for p in plan["plugins"]} == {"present"}
    assert all(len(p["commit"]) == 40 for p in plan["plugins"])
    assert not (lab.dest / "ran").exists()


@pytest.mark.parametrize("variable", ["ERROR_ON_CLONE", "OFFLINE"])
def test_plan_warns_of_what_will_not_be_cloned(variable: str, lab: Lab) -> None:
    """It is told as what would be cloned, and yet localrc forbids it."""
    assert lab.run("fetch").code == 0
    lab.plugin("third")
    localrc = f"{variable}=True\n{lab.enable('first', 'second')}"
    lab.write_conf(localrc)
    assert variable not in lab.plan().stderr
    lab.write_conf(localrc + lab.enable("third"))
    outcome = lab.plan()
    assert outcome.code == 0
    assert f"warning: {variable}: not there, " in outcome.stderr
    assert ": third\n" in outcome.stderr


def test_plan_warns_of_a_requirement_in_the_wrong_order(lab: Lab) -> None:
    """Both lines are named, and the fix; the settings were read, not run."""
    assert lab.run("fetch").code == 0
    outcome = lab.plan()
    assert "first requires second, which is enabled after it" in outcome.stderr
    assert "move line 6 before line 5" in outcome.stderr


def test_plan_refuses_what_a_run_would_refuse(lab: Lab) -> None:
    """The same errors with the same exit codes."""
    lab.write_conf("enable_plugin a/b /x")
    outcome = lab.plan()
    assert outcome.code == 2
    assert "plugin 'a/b'" in outcome.stderr
    assert outcome.no_traceback


def test_plan_leaves_no_process(lab: Lab) -> None:
    """Its driver is gone when it has ended."""
    lab.write_conf(f"echo $$ >{lab.root}/pid\n{lab.enable('first')}")
    assert lab.plan().code == 0
    assert not alive((lab.root / "pid").read_text().strip())


def test_plan_deep_lists_the_core_calls_of_what_is_there_and_names_the_rest(lab: Lab) -> None:
    """A plugin that isn't fetched yet is not one that calls nothing."""
    lab.plugin("third", "install() { recreate_database third; }\n")
    lab.write_conf(lab.enable("third"))
    outcome = lab.plan("--deep")
    assert "recreate_database" not in outcome.stdout
    assert "no call of theirs is listed: third; asyncstack fetch brings them" in outcome.stderr
    assert "no call of theirs" not in lab.plan().stderr
    assert lab.run("fetch").code == 0
    outcome = lab.plan("--deep")
    assert "third  recreate_database (lib/database)" in outcome.stdout
    assert "no call of theirs" not in outcome.stderr


@pytest.fixture
def worked_on(lab: Lab) -> Lab:
    """A lab where somebody has done something to nearly every checkout."""
    names = ("first", "second", "third", "fourth", "fifth")
    for name in names[2:]:
        lab.plugin(name, "")
    lab.write_conf(lab.enable(*names))
    assert lab.run("fetch").code == 0
    git("-C", lab.dest / "first", "remote", "set-url", "origin", "https://git.example.org/fork")
    git("-C", lab.dest / "second", "checkout", "-q", "-b", "mine")
    git("-C", lab.dest / "second", "commit", "-q", "--allow-empty", "-m", "Mine alone")
    (lab.dest / "third" / "devstack" / "plugin.sh").write_text("changed\n")
    shutil.rmtree(lab.dest / "fourth" / ".git")
    return lab


def test_plan_warns_of_checkouts_as_fetch_does(worked_on: Lab) -> None:
    """Of what stays as it is though it isn't what was asked for, and of what a fetch will fail for."""
    lab = worked_on
    before = tree(lab.root)
    said = lab.plan()
    assert said.code == 0
    assert tree(lab.root) == before
    told = [line.removeprefix("warning: ") for line in said.stderr.splitlines()]
    fetched = lab.run("fetch")
    assert fetched.code == 1
    warned = [f"{w.message}" for w in fetched.of(Warned)]
    (failed,) = [f for f in fetched.of(FetchFinished) if not f.status.good]
    assert len(warned) == 2  # of first and second
    assert set(told) >= {*warned, f"{failed.message}; {failed.hint}"}
    assert not [line for line in told if "third" in line or "fifth" in line]


@pytest.mark.parametrize("asked", ["--update", "RECLONE=True"])
def test_plan_names_what_an_update_would_refuse_to_move(asked: str, worked_on: Lab) -> None:
    """Changed files and commits of one's own, in the words of the update itself."""
    lab = worked_on
    names = ("first", "second", "third", "fourth", "fifth")
    for name in names:
        git("-C", lab.repositories / name, "commit", "-q", "--allow-empty", "-m", "Newer")
    reclone = asked if "=" in asked else ""
    lab.write_conf(f"{reclone}\n{lab.enable(*names)}")
    options = [] if reclone else [asked]
    before = tree(lab.root)
    said = lab.plan(*options)
    assert said.code == 0
    assert tree(lab.root) == before
    fetched = lab.run("fetch", lab.conf, *options)
    failed = {f.plugin: f.message for f in fetched.of(FetchFinished) if not f.status.good}
    assert set(failed) == {"second", "third", "fourth"}
    for message in failed.values():
        assert f"warning: {message}; " in said.stderr
    assert "is left as it is" not in said.stderr


def test_plan_compares_with_the_lock(worked_on: Lab) -> None:
    """--locked: what would be moved to a commit that the lock names, and can't be."""
    lab = worked_on
    shutil.rmtree(lab.dest / "fourth")
    shutil.rmtree(lab.dest / "second")
    assert lab.run("fetch", lab.conf, "--write-lock").code == 0
    assert "third" not in lab.plan("--locked").stderr
    git("-C", lab.dest / "third", "checkout", "-q", "-b", "mine")
    git("-C", lab.dest / "third", "commit", "-q", "--allow-empty", "-m", "Mine alone")
    said = lab.plan("--locked")
    assert said.code == 0
    assert f"{lab.dest}/third holds work that is nowhere else: 1 file changed" in said.stderr
    lab.write_conf(lab.enable("first"))
    refused = lab.plan("--locked")
    assert (refused.code, "local.conf doesn't enable it" in refused.stderr) == (2, True)
