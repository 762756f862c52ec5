"""What is wrong with repositories, disks, permissions and the node: said, and nothing half done."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from asyncstack.events import FetchFinished, PhaseStarted, RunFinished, StepStarted
from asyncstack.model import FetchStatus
from tests.helpers.lab import Lab, alive
from tests.helpers.privileges import ordinary_user, small_disk

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    lab.plugin("good", "echo good\n")
    return lab


def test_all_fetches_that_fail_are_told_together(lab: Lab) -> None:
    """A URL and a ref that don't exist: both are named with git's words, and no phase begins."""
    lab.write_conf(
        f"enable_plugin nowhere {lab.root}/no/such/repository\n"
        f"enable_plugin noref {lab.repositories / 'good'} no-such-ref\n{lab.enable('good')}"
    )
    outcome = lab.run("stack")
    assert outcome.code == 1
    status = {event.plugin: event.status for event in outcome.of(FetchFinished)}
    failed = FetchStatus.FAILED
    assert status == {"nowhere": failed, "noref": failed, "good": FetchStatus.CLONED}
    assert not outcome.of(PhaseStarted)
    assert not outcome.of(StepStarted)
    assert f"{lab.root}/no/such/repository" in outcome.stderr
    assert "no-such-ref" in outcome.stderr
    assert not (lab.dest / "nowhere").exists()
    assert not (lab.dest / "noref").exists()
    assert outcome.no_traceback


def test_a_repository_without_a_devstack_folder(lab: Lab) -> None:
    """It is no plugin: the line that enables it is named, and no phase starts."""
    lab.plugin("bare", files={"README": "no plugin\n"})
    lab.write_conf(lab.enable("good", "bare"))
    outcome = lab.run("stack")
    assert outcome.code == 2
    line = lab.conf.read_text().splitlines().index(lab.enable("bare").strip()) + 1
    assert f"{lab.conf}:{line}: plugin 'bare': has no devstack/ folder" in outcome.stderr
    assert not outcome.of(PhaseStarted)
    assert outcome.no_traceback


@pytest.mark.parametrize("content", ["nothing", "files"])
def test_a_directory_that_is_no_checkout_is_an_error(lab: Lab, content: str) -> None:
    """An empty directory or a heap of files at the plugin's place isn't taken for a plugin."""
    (lab.dest / "good").mkdir(parents=True)
    if content == "files":
        (lab.dest / "good" / "file").touch()
    lab.write_conf(lab.enable("good"))
    outcome = lab.run("stack")
    assert outcome.code == 1
    assert str(lab.dest / "good") in outcome.stderr
    assert not outcome.of(PhaseStarted)


def test_dest_that_is_not_writable(lab: Lab) -> None:
    """Who may not write to $DEST is told so before anything is fetched, with the way out."""
    lab.dest.mkdir()
    lab.dest.chmod(0o555)
    lab.write_conf(f"DATA_DIR={lab.home}/data\n{lab.enable('good')}")
    outcome = lab.run("stack", wrapper=ordinary_user())
    assert outcome.code == 2
    assert f"{lab.dest} is not writable" in outcome.stderr
    assert "--dest DIR" in outcome.stderr
    assert outcome.no_traceback
    assert not list(lab.dest.iterdir())
    assert not outcome.of(FetchFinished)
    assert outcome.of(RunFinished)[0].exit_code == 2


def test_dest_that_cannot_be_made(lab: Lab) -> None:
    """The same where $DEST isn't there and its parent is not writable."""
    parent = lab.root / "parent"
    parent.mkdir(mode=0o555)
    lab.write_conf(f"DEST={parent}/dest\nDATA_DIR=$DEST/data\n{lab.enable('good')}")
    outcome = lab.run("stack", wrapper=ordinary_user())
    assert outcome.code == 2
    assert f"{parent}/dest can't be created" in outcome.stderr
    assert outcome.no_traceback


def test_data_dir_that_does_not_follow_dest(lab: Lab) -> None:
    """What localrc leaves where it was is told by its own name, with the way out."""
    parent = lab.root / "parent"
    parent.mkdir(mode=0o555)
    lab.write_conf(f"DATA_DIR={parent}/data\n{lab.enable('good')}")
    outcome = lab.run("stack", wrapper=ordinary_user())
    assert outcome.code == 2
    assert f"{parent}/data can't be created (it is DATA_DIR" in outcome.stderr
    assert "set DATA_DIR in localrc as well" in outcome.stderr
    assert outcome.no_traceback


def test_a_dest_that_is_no_absolute_path(lab: Lab) -> None:
    """Nobody could say what it is relative to, and git would look for it from elsewhere."""
    lab.write_conf(lab.enable("good"))
    by_option = lab.run("fetch", lab.conf, "--dest", "opt/stack")
    lab.write_conf(f"DEST=opt/stack\n{lab.enable('good')}")
    for outcome in (lab.run("fetch", lab.conf), by_option):
        assert outcome.code == 2
        assert "opt/stack is no absolute path" in outcome.stderr
        assert "DEST=$HOME/opt/stack in localrc, or --dest $PWD/opt/stack" in outcome.stderr
    assert not list(lab.root.rglob("opt"))


def test_no_space_left_for_a_clone(lab: Lab) -> None:
    """Exit code 1 and the place to make room at; $DEST holds neither the plugin nor a part of it."""
    lab.plugin("large", "echo large\n", files={"large.bin": _incompressible(6_000_000)})
    lab.dest.mkdir()
    lab.write_conf(lab.enable("large"))
    report = 'status=$?; ls -A "$0"; exit $status'
    wrapper = [*small_disk(lab.dest, "3m"), "sh", "-c", f'"$@"; {report}', str(lab.dest)]
    outcome = lab.run("stack", wrapper=wrapper)
    assert outcome.code == 1
    assert "large fetch failed" in outcome.stderr
    assert "│ No space left on device" in outcome.stderr
    assert f"free some space in {lab.dest} (" in outcome.stderr
    assert not outcome.of(PhaseStarted)
    assert [name for name in outcome.stdout.split() if name != "data"] == []


def test_no_space_left_for_the_journal(lab: Lab) -> None:
    """A run that can't be recorded ends with exit code 2, names the file, and stops its driver."""
    lab.plugin("loud", 'echo $$ >>"$DATA_DIR/pids"; head -c 8000000 /dev/zero | tr "\\0" "x"\n')
    lab.write_conf(lab.enable("loud"))
    disk = lab.root / "disk"
    disk.mkdir()
    directory = disk / "run"
    outcome = lab.run(
        "stack",
        lab.conf,
        "--run-dir",
        directory,
        wrapper=small_disk(disk, "2m"),
        own_directory=True,
    )
    assert outcome.code == 2
    assert str(directory) in outcome.stderr
    assert "No space left on device" in outcome.stderr
    assert "--run-dir" in outcome.stderr
    assert outcome.no_traceback
    for pid in (lab.dest / "data/pids").read_text().split():
        assert not alive(pid)


def test_a_run_directory_that_cannot_be_written(lab: Lab) -> None:
    """It is named, with exit code 2, before anything else happens."""
    locked = lab.root / "locked"
    locked.mkdir(mode=0o555)
    lab.write_conf(lab.enable("good"))
    outcome = lab.run(
        "stack", lab.conf, "--run-dir", locked / "run", wrapper=ordinary_user(), own_directory=True
    )
    assert outcome.code == 2
    assert f"{locked}/run" in outcome.stderr
    assert "--run-dir" in outcome.stderr
    assert outcome.no_traceback
    assert not lab.dest.exists()


def test_a_run_directory_that_is_used_already(lab: Lab) -> None:
    """A run never writes into another one's directory."""
    lab.write_conf(lab.enable("good"))
    first = lab.run("stack")
    again = lab.run("stack", lab.conf, "--run-dir", first.directory, own_directory=True)
    assert again.code == 2
    assert "is not empty" in again.stderr


def test_a_state_directory_that_cannot_be_written(lab: Lab) -> None:
    """The node's own directory is named where it can't be made."""
    lab.state.mkdir(mode=0o555)
    lab.write_conf(lab.enable("good"))
    outcome = lab.run("stack", wrapper=ordinary_user())
    assert outcome.code == 2
    assert f"{lab.state}/asyncstack/nodes" in outcome.stderr
    assert "can't be created" in outcome.stderr
    assert outcome.no_traceback


def test_a_bash_that_is_too_old(lab: Lab) -> None:
    """A node whose bash is older than 5 is told so, with the version that it has."""
    real = shutil.which("bash")
    programs = lab.root / "programs"
    programs.mkdir()
    fake = programs / "bash"
    # The version variables of bash can't be set from outside, so the fake edits what reads them.
    fake.write_text(
        "#!/bin/sh\n"
        'sed -e "s/{BASH_VERSINFO\\[0\\]/{OLD/; s/\\$BASH_VERSION/4.2.46(2)-release/" '
        "driver.bash >old-driver\n"
        f"OLD=4 exec {real} --norc --noprofile ./old-driver\n"
    )
    fake.chmod(0o755)
    lab.write_conf(lab.enable("good"))
    path = f"{programs}:{lab.environment['PATH']}"
    outcome = lab.run("stack", environment={"PATH": path})
    assert outcome.code == 2
    assert "node localhost: bash 4.2.46(2)-release is too old" in outcome.stderr
    assert "bash 5.0 or later" in outcome.stderr
    assert outcome.no_traceback
    assert not lab.dest.exists()


def test_a_program_that_the_node_lacks(lab: Lab) -> None:
    """A node without git is unfit, and the message names what is missing."""
    programs = lab.root / "programs"
    programs.mkdir()
    for name in ("sh", "bash", "setsid", "flock", "mkfifo", "tail", "tar", "mkdir", "head", "cat"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    lab.write_conf(lab.enable("good"))
    outcome = lab.run("stack", environment={"PATH": str(programs)})
    assert outcome.code == 2
    assert "git is missing" in outcome.stderr
    assert outcome.no_traceback


def _incompressible(size: int) -> str:
    import random

    return "".join(random.Random(1).choices("0123456789abcdefghijklmnopqrstuvwxyz", k=size))
