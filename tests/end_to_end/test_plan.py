"""plan changes nothing, and says what a run would do."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

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
