"""Ctrl-C at any moment, once or twice: exit code 130, no survivor, no rubbish, all recorded."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from asyncstack.events import RunFinished, StepFinished, StepStarted
from asyncstack.journal import RunRecord, read_events
from asyncstack.model import Status
from tests.helpers.lab import Lab

pytestmark = pytest.mark.slow

# In its install phase the second plugin waits for ever, with children that don't want to end.
_WAITS = """
if [[ $2 == install ]]; then
    sleep 1000 &
    bash -c 'trap "" TERM INT HUP; sleep 1000; sleep 1000' &
    setsid -f sleep 0
    mkfifo "$DATA_DIR/never"
    read -r _ <>"$DATA_DIR/never"
fi
"""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    lab.plugin("quick", "echo quick\n", files={f"file{n}": "x\n" * 999 for n in range(20)})
    lab.plugin("waits", _WAITS)
    lab.write_conf(lab.enable("quick", "waits"))
    return lab


def interrupted(lab: Lab, moment: int, signals: list[int]) -> tuple[int, Path, str]:
    """Send the signals after so many events, or when the run waits for ever."""
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
    for count, text in enumerate(process.stdout, start=1):
        event = json.loads(text)
        waits = (event["event"], event.get("plugin"), event.get("phase"))
        if count == moment or waits == ("step-started", "waits", "install"):
            break
    for number in signals:
        process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    return process.returncode, directory, stderr.decode()


def processes(lab: Lab) -> dict[int, str]:
    """The processes that were started for this lab and are still there: pid, command line."""
    found = {}
    mark = os.fsencode(lab.state)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(process.name)] = command
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("moment", "signals"),
    [(moment, [signal.SIGINT]) for moment in (1, 2, 5, 9, 15, 99)]
    + [(moment, [signal.SIGINT] * 3) for moment in (1, 7, 12, 99)],
)
def test_an_interrupted_run_leaves_nothing(lab: Lab, moment: int, signals: list[int]) -> None:
    """Whenever it comes, the driver's whole session ends, and journal and run.json say so."""
    code, directory, stderr = interrupted(lab, moment, signals)
    assert code == 130
    assert "Traceback" not in stderr, stderr
    assert processes(lab) == {}
    events = list(read_events(directory / "events.jsonl"))
    (finished,) = [event for event in events if isinstance(event, RunFinished)]
    assert finished == events[-1]
    assert (finished.status, finished.exit_code) == (Status.CANCELLED, 130)
    record = RunRecord.read(directory / "run.json")
    assert (record.status, record.exit_code) == (Status.CANCELLED, 130)
    assert record.finished is not None
    started = [(e.plugin, e.mode, e.phase) for e in events if isinstance(e, StepStarted)]
    ended = [(e.plugin, e.mode, e.phase) for e in events if isinstance(e, StepFinished)]
    assert set(started) <= set(ended)
    assert len(ended) == len(set(ended))
    assert_no_rubbish(lab)
    if len(signals) > 1:
        assert_next_run_works(lab)


def assert_no_rubbish(lab: Lab) -> None:
    """$DEST holds complete checkouts, and nothing else."""
    if not lab.dest.exists():
        return
    for path in lab.dest.iterdir():
        assert path.name in ("data", "quick", "waits")
        if path.name != "data":
            status = subprocess.run(
                ["git", "status", "--porcelain"], cwd=path, capture_output=True, check=True
            )
            assert status.stdout == b""


def assert_next_run_works(lab: Lab) -> None:
    """What the interrupted run left behind is no obstacle for the next one."""
    outcome = lab.run("stack", lab.conf, "--until-phase", "pre-install")
    assert outcome.code == 0, outcome


def test_what_was_finished_is_recorded(lab: Lab) -> None:
    """Interrupted in the middle of a phase: done, cancelled and never begun are told apart."""
    code, directory, _ = interrupted(lab, 99, [signal.SIGINT])
    assert code == 130
    steps = {
        (event.plugin, event.phase): event.status
        for event in read_events(directory / "events.jsonl")
        if isinstance(event, StepFinished)
    }
    assert steps["quick", "install"] is Status.OK
    assert steps["waits", "install"] is Status.CANCELLED
    assert steps["quick", "extra"] is Status.ABORTED
    assert steps["waits", "test-config"] is Status.ABORTED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_ways_to_be_ended(lab: Lab, number: int) -> None:
    """SIGTERM is as good as Ctrl-C; a terminal that closes leaves a run that can be taken up."""
    code, directory, stderr = interrupted(lab, 99, [number])
    assert "Traceback" not in stderr, stderr
    if number == signal.SIGTERM:
        assert code == 130
        assert processes(lab) == {}
    else:
        assert (directory / "events.jsonl").exists()
        for pid in processes(lab):
            # One that has ended since it was listed is as good as killed.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
