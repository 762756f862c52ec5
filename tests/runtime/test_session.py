"""The channel to a driver: what happens to it when somebody is killed, and when nobody reaps."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from asyncstack.events import NodeFinished, StepStarted
from asyncstack.model import Status
from tests.helpers.lab import Lab, Outcome, alive

pytestmark = pytest.mark.slow

# Kills what it is told by $0, and says so first, so that the log shows that it came to that.
_KILLS = 'if [[ $2 == install ]]; then echo "about to"; {}; fi\n'
# As PID 1 of a container that starts one program and reaps nobody else.
_INIT = "import os, subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    lab.plugin("fine", "echo fine\n")
    return lab


def _lost(outcome: Outcome, plugin: str) -> None:
    assert outcome.code == 5
    assert outcome.step(plugin).status is Status.LOST
    assert outcome.of(NodeFinished)[0].status is Status.LOST
    assert f"{plugin} install" in outcome.stderr
    assert outcome.no_traceback


@pytest.mark.parametrize("victim", ["kill -9 $$", "kill -9 0", "kill -9 $PPID; kill -9 $$"])
def test_nobody_needs_to_reap(lab: Lab, victim: str) -> None:
    """In a container whose PID 1 leaves zombies lying, a killed driver is noticed all the same."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    container = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*container, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine permits no process namespaces")
    lab.plugin("killer", _KILLS.format(victim))
    lab.write_conf(lab.enable("fine", "killer"))
    outcome = lab.run("stack", wrapper=[*container, sys.executable, "-c", _INIT], timeout=90)
    _lost(outcome, "killer")
    assert outcome.log("killer").startswith(b"about to\n")


def test_what_a_killed_driver_had_said_is_read(lab: Lab) -> None:
    """Output and events that were on the node's disk before the kill are not lost with it."""
    lab.plugin("killer", _KILLS.format("seq 200000; kill -9 0"))
    lab.write_conf(lab.enable("fine", "killer"))
    outcome = lab.run("stack")
    _lost(outcome, "killer")
    assert outcome.statuses()["fine"] == "ok"
    lines = outcome.log("killer").splitlines()
    assert lines[-1] == b"200000"
    assert len(lines) == 200_001


def test_a_run_leaves_no_process(lab: Lab) -> None:
    """When a run has ended well neither driver nor supervisor nor follower is there."""
    lab.plugin("tells", 'echo "$$ $PPID" >"$DATA_DIR/pids"\n')
    lab.write_conf(lab.enable("tells"))
    assert lab.run("stack").code == 0
    for pid in (lab.dest / "data/pids").read_text().split():
        assert not alive(pid)
    mark = os.fsencode(lab.state)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            assert mark not in (process / "environ").read_bytes()
        except OSError:
            continue


def test_no_descriptor_of_ours_reaches_a_service_but_the_log(lab: Lab) -> None:
    """What a plugin starts holds the journal, and not the lock that says that we live."""
    lab.plugin("tells", 'ls -l "/proc/self/fd" >"$DATA_DIR/descriptors"\n')
    lab.write_conf(lab.enable("tells"))
    assert lab.run("stack").code == 0
    assert "/alive" not in (lab.dest / "data/descriptors").read_text()


def test_a_driver_that_is_killed_from_outside(lab: Lab) -> None:
    """The same for whom somebody else (the kernel, short of memory) kills in the middle of a step."""
    lab.plugin(
        "waits", 'echo $$ >"$DATA_DIR/pid"; mkfifo "$DATA_DIR/f"; read -r _ <>"$DATA_DIR/f"\n'
    )
    lab.write_conf(lab.enable("waits"))
    line, directory = lab.command("stack", "--json", lab.conf)
    process = subprocess.Popen(
        line,
        cwd=lab.root,
        env=lab.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    for text in process.stdout:
        if b'"event":"step-started"' in text and b'"waits"' in text:
            break
    pid = lab.dest / "data/pid"
    while not (pid.exists() and pid.read_text().endswith("\n")):
        os.sched_yield()
    os.kill(int(pid.read_text()), signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == 5
    outcome = Outcome(5, b"", b"", directory)
    assert outcome.step("waits", "pre-install").status is Status.LOST
    assert outcome.of(StepStarted)[-1].plugin == "waits"
