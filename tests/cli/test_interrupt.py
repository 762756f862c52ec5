"""Ctrl-C: what was started is ended, what was finished is kept, and 130 is what comes of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from asyncstack.cli.interrupt import Interrupted, run_interruptible
from asyncstack.events import FetchStarted, RunFinished, StepFinished
from asyncstack.journal import RunRecord, read_events
from asyncstack.model import Status
from tests.helpers.program import Program, make_plugin, write_local_conf

# Nobody ever writes to that FIFO: only a signal ends this.
WAITS = """
if [[ $2 == install ]]; then
    {trap}
    mkfifo "$DEST/never"
    read -r _ <>"$DEST/never"
fi
"""


def stack_until_it_waits(program: Program, trap: str = "") -> tuple[subprocess.Popen[bytes], Path]:
    """Start a run, and return when the install phase of its plugin is about to wait for ever."""
    plugin = make_plugin(program.folder / "waits", WAITS.format(trap=trap) + "\n")
    write_local_conf(program.folder, plugin)
    run = program.folder / "run"
    process = program.start("stack", "--json", "--run-dir", run)
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "step-started" and event["phase"] == "install":
            return process, run
    raise AssertionError(process.communicate()[1].decode())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_its_record_says_so(
    program: Program, number: signal.Signals
) -> None:
    process, run = stack_until_it_waits(program)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in stderr
    assert program.survivors() == []
    record = RunRecord.read(run / "run.json")
    assert (record.status, record.exit_code) == (Status.CANCELLED, 130)


def test_the_user_is_told_what_became_of_it(program: Program) -> None:
    write_local_conf(program.folder, make_plugin(program.folder / "waits", WAITS.format(trap="")))
    with program.start("stack", "--verbose") as process:
        assert process.stderr is not None
        lines = iter(process.stderr)
        # The step before the one that waits: from here on there is something to interrupt.
        assert any(b"pre-install waits" in line for line in lines)
        process.send_signal(signal.SIGINT)
        rest = b"".join(lines).decode()
    assert process.returncode == 130
    assert "asyncstack: interrupted" in rest
    assert "asyncstack resume" in rest


def test_what_was_finished_is_kept(program: Program) -> None:
    process, run = stack_until_it_waits(program)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    events = list(read_events(run / "events.jsonl"))
    steps = {
        event.phase: event.status
        for event in events
        if isinstance(event, StepFinished) and event.plugin == "waits"
    }
    assert steps["pre-install"] is Status.OK
    assert steps["install"] is Status.CANCELLED
    assert isinstance(events[-1], RunFinished)
    assert events[-1].status is Status.CANCELLED


@pytest.mark.slow
def test_a_second_signal_disturbs_nothing_even_where_a_plugin_ignores_them(
    program: Program,
) -> None:
    """The plugin doesn't listen to TERM: the driver is killed when its grace is over."""
    process, run = stack_until_it_waits(program, "trap '' TERM INT")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in stderr
    assert program.survivors() == []
    assert RunRecord.read(run / "run.json").status is Status.CANCELLED


def begin_to_fetch(
    program: Program, command: str, prefix: tuple[str, ...] = ()
) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a run whose git waits for ever where the real one would fetch, and wait for that."""
    write_local_conf(program.folder, make_plugin(program.folder / "waits", ""))
    run = program.folder / "run"
    git = program.folder / "bin" / "git"
    git.parent.mkdir()
    git.write_text(
        "#!/bin/bash\n"
        'for word; do if [[ $word == fetch || $word == clone ]]; then mkfifo "$0.never"; '
        'read -r _ <>"$0.never"; fi; done\n'
        'PATH=${PATH#*:}\nexec git "$@"\n'
    )
    git.chmod(0o755)
    process = program.start(
        command,
        *("--json", "--run-dir", run),
        env={"PATH": f"{git.parent}:{os.environ['PATH']}"},
        prefix=prefix,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "fetch-started":
            return process, run
    raise AssertionError(process.communicate()[1].decode())


@pytest.mark.parametrize(
    ("command", "number"),
    [("stack", signal.SIGINT), ("fetch", signal.SIGINT), ("fetch", signal.SIGHUP)],
)
def test_a_signal_while_fetching_leaves_no_half_checkout(
    program: Program, command: str, number: signal.Signals
) -> None:
    """Of `fetch` not even when the terminal is closed: its driver would wait for nothing."""
    process, run = begin_to_fetch(program, command)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert any(isinstance(event, FetchStarted) for event in read_events(run / "events.jsonl"))
    assert list((program.folder / "dest").iterdir()) == []
    assert program.survivors() == []
    assert RunRecord.read(run / "run.json").status is Status.CANCELLED


def test_nohup_keeps_a_fetch_from_being_ended(program: Program) -> None:
    process, run = begin_to_fetch(program, "fetch", ("nohup",))
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert RunRecord.read(run / "run.json").status is Status.CANCELLED


def test_work_that_ends_by_itself_hands_its_value_on() -> None:
    async def work() -> int:
        return 7

    assert run_interruptible(work) == 7


def test_an_error_of_the_work_comes_out_as_it_is() -> None:
    async def work() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_interruptible(work)


def test_a_signal_raises_interrupted() -> None:
    async def work() -> int:
        import anyio

        signal.raise_signal(signal.SIGINT)
        await anyio.sleep_forever()
        raise AssertionError

    with pytest.raises(Interrupted):
        run_interruptible(work)
