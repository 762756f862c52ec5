"""Nodes that die, reboot or are full: what was running is told as lost, nothing is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from asyncstack.events import FetchFinished, StepStarted
from asyncstack.journal import read_events
from asyncstack.model import FetchStatus, Status
from tests.ssh.lab import NodeOfLab, SshLab
from tests.ssh.proof import assert_nothing_lost, enable_witnesses

INSTALL = {"event": "step-started", "phase": "install", "plugin": "plugin"}
WAIT = '[[ ${2:-} != install || -e $DEST/went ]] || read -r _ <"$DEST/go"'


def power_off(lab: SshLab, node: NodeOfLab) -> None:
    """End every process of a node at once, as a machine does that loses power."""
    node.sshd.process.kill()
    node.sshd.process.wait(30)
    # Its sessions are the daemon's children no more; they have its configuration in common.
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _belongs_to(entry, node):
            with suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGKILL)


def _belongs_to(entry: Path, node: NodeOfLab) -> bool:
    try:
        environment = (entry / "environ").read_bytes().split(b"\0")
        folder = (entry / "cwd").readlink()
    except OSError:
        return False
    home = f"HOME={node.sshd.home}".encode()
    return home in environment or folder.is_relative_to(node.sshd.home)


@pytest.mark.parametrize("between", [False, True], ids=["in-a-phase", "between-phases"])
def test_a_node_that_reboots(lab: SshLab, between: bool) -> None:
    """The step that ran there is lost; its neighbour stops at the barrier; resume goes on."""
    rebooted, other = lab.node("rebooted"), lab.node("other")
    enable_witnesses(lab, "plugin", more=WAIT)
    lab.write_inventory()
    for node in (rebooted, other):
        node.dest.mkdir()
        os.mkfifo(node.dest / "go")
    if between:
        (rebooted.dest / "went").touch()
    process, directory = lab.start_stack()
    wanted = [INSTALL | {"node": "other"}, INSTALL | {"node": "rebooted"}]
    if between:
        wanted.append({"event": "phase-finished", "phase": "install", "node": "rebooted"})
    lab.wait_for(process, *wanted)
    power_off(lab, rebooted)
    rebooted.sshd.start_again()
    (other.dest / "go").write_text("on\n")
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 5, errors
    finals = assert_nothing_lost(lab, directory)
    lost = {(node, phase) for (node, _, phase), s in finals.items() if s is Status.LOST}
    assert lost == (set() if between else {("rebooted", "install")})
    assert finals["other", "plugin", "install"] is Status.OK
    assert finals["other", "plugin", "test-config"] is Status.ABORTED
    for node in (rebooted, other):
        (node.dest / "went").touch()
        node.forget()
    lab.environment["PWD"] = str(lab.root)
    again = lab.again("resume", directory)
    assert again.code == 0, again
    assert lab.driven() == []


def test_a_node_that_reboots_while_it_boots(lab: SshLab) -> None:
    """It is lost, which is not what the user wrote; nothing is run anywhere."""
    node, other = lab.node("rebooted"), lab.node("other")
    node.dest.mkdir()
    os.mkfifo(node.dest / "booting")
    lab.plugin("plugin", "")
    waits = "if [[ $NODE_NAME == rebooted ]]; then echo here >$DEST/booting; sleep 1000; fi\n"
    lab.write_conf(lab.enable("plugin") + "NODE_NAME=$(basename $DEST | cut -c6-)\n" + waits)
    lab.write_inventory()
    process, directory = lab.start_stack()
    assert (node.dest / "booting").read_text() == "here\n"
    power_off(lab, node)
    node.sshd.start_again()
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 5, errors
    assert b"node rebooted" in errors
    events = list(read_events(directory / "events.jsonl"))
    assert not [event for event in events if isinstance(event, StepStarted)]
    assert other.witness() == []
    assert lab.driven() == []


def test_stopping_a_run_one_of_whose_nodes_is_away(lab: SshLab) -> None:
    """It is named, the others are stopped; once it is back it is stopped as well, and then again."""
    lab.node("here")
    away = lab.node("away")
    enable_witnesses(lab, "plugin", more="[[ ${2:-} != install ]] || sleep 1000")
    lab.write_inventory()
    process, directory = lab.start_stack()
    lab.wait_for(process, INSTALL | {"node": "here"}, INSTALL | {"node": "away"})
    process.kill()
    process.communicate()
    away.sshd.stop()
    stopped = lab.again("stop", directory)
    assert stopped.code == 5, stopped
    assert "here: nothing is left" in stopped.stdout
    assert "away: unknown" in stopped.stdout
    assert lab.driven(0) != []
    away.sshd.start_again()
    for _ in range(2):
        stopped = lab.again("stop", directory)
        assert stopped.code == 0, stopped
        assert stopped.stdout.count("nothing is left") == 2
        assert lab.driven() == []
    # What happened until then is on the nodes; who takes the run up writes it down.
    assert lab.again("attach", directory).code in (1, 5)
    finals = assert_nothing_lost(lab, directory)
    for name in ("here", "away"):  # by what TERM has met first: the command, or its shell
        assert finals[name, "plugin", "install"] in (Status.FAILED, Status.LOST)
        assert finals[name, "plugin", "extra"] is Status.ABORTED


def test_a_supervisor_that_is_killed(lab: SshLab) -> None:
    """What it watched over is ended, which goes on otherwise, and what that has said is read."""
    lab.node("one")
    enable_witnesses(
        lab,
        "plugin",
        more='[[ ${2:-} != install ]] || { kill -9 "$PPID"; while echo on; do sleep 0.01; done; }',
    )
    lab.write_inventory()
    outcome = lab.stack()
    assert outcome.code == 5, outcome
    finals = assert_nothing_lost(lab, outcome.directory)
    assert finals["one", "plugin", "install"] is Status.LOST
    assert finals["one", "plugin", "extra"] is Status.ABORTED


@pytest.fixture
def killable(lab: SshLab) -> Iterator[NodeOfLab]:
    """A node whose processes see no others, and are ended with its first one."""
    machine = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    if os.getuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root may make a machine of its own to be killed")
    if subprocess.run([*machine, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine permits no process namespaces")
    node = lab.node("one")
    node.sshd.stop()
    node.sshd.start_again(machine)
    yield node
    node.sshd.process.kill()
    node.sshd.process.wait(30)


def test_a_plugin_that_kills_all_that_it_can_see(lab: SshLab, killable: NodeOfLab) -> None:
    """Its driver, who watches over that, and the connection's sshd: all but the first process."""
    lab.node("two")
    # Never here: this machine has more to be killed than the test's node.
    ours = Path("/proc/self/ns/pid").readlink()
    there = f'[[ $NODE_NAME$2 == oneinstall && $(readlink /proc/self/ns/pid) != "{ours}" ]]'
    enable_witnesses(lab, "plugin", more=f"! {there} || bash -c 'kill -9 -1; sleep 1000'")
    lab.write_inventory()
    outcome = lab.stack()
    assert outcome.code == 5, outcome
    finals = assert_nothing_lost(lab, outcome.directory)
    assert finals[killable.name, "plugin", "install"] is Status.LOST
    assert finals["two", "plugin", "install"] is Status.OK
    assert finals["two", "plugin", "extra"] is Status.ABORTED


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    """A file system of its own at `path`, with little room."""
    if os.getuid() != 0:
        pytest.skip("only root may mount a small disk")
    path.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine permits no mounts")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_disk_that_is_full_of_the_journal(lab: SshLab) -> None:
    """The driver can't tell how it goes on, so it doesn't; the reason is said."""
    node = lab.node("one")
    with small_disk(node.sshd.home, "3m"):
        enable_witnesses(lab, "plugin", more="[[ ${2:-} != install ]] || head -c 4M /dev/zero || :")
        lab.write_inventory()
        outcome = lab.stack()
        assert outcome.code == 5, outcome
        finals = assert_nothing_lost(lab, outcome.directory)
    assert finals["one", "plugin", "install"] is Status.LOST
    assert "disk is full" in outcome.stderr
    assert outcome.no_traceback


def test_a_disk_that_is_full_of_checkouts(lab: SshLab) -> None:
    """The repository is named, and what git said; nothing is run."""
    node = lab.node("one")
    with small_disk(node.dest, "1m"):
        lab.plugin("big", settings="", files={"noise": os.urandom(700_000).hex()})
        lab.write_conf(lab.enable("big"))
        lab.write_inventory()
        outcome = lab.stack()
    assert outcome.code == 1, outcome
    assert outcome.no_traceback
    told = [e for e in outcome.of(FetchFinished) if e.node == "one"]
    assert [e.status for e in told] == [FetchStatus.FAILED]
    assert "big" in outcome.stderr
    assert "unable to write" in outcome.stderr or "No space left" in outcome.stderr
    assert lab.driven() == []


def test_resume_leaves_those_alone_that_are_through(lab: SshLab) -> None:
    """The others begin again with the phase that failed."""
    lab.node("one")
    lab.node("two")
    enable_witnesses(lab, "plugin", more="[[ $NODE_NAME$2 != oneinstall || -e $DEST/mended ]]")
    lab.write_inventory()
    outcome = lab.stack("--keep-going")
    assert outcome.code == 1, outcome
    assert_nothing_lost(lab, outcome.directory)
    for node in lab.nodes.values():
        (node.dest / "mended").touch()
        node.forget()
    lab.environment["PWD"] = str(lab.root)
    again = lab.again("resume", outcome.directory)
    assert again.code == 0, again
    assert lab.nodes["two"].witness() == []
    phases = [phase for _, _, phase, what in lab.nodes["one"].witness() if what == "end"]
    assert phases == ["settings", "install", "post-config", "extra", "test-config"]
    assert lab.driven() == []
