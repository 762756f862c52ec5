"""The journal: nothing emitted is lost without a word, however the run ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from anyio import lowlevel

from asyncstack.errors import RunDirectoryError
from asyncstack.events import Event, FetchProgress, StepFinished, StepOutput
from asyncstack.journal import RunDirectory, open_journal, read_events
from asyncstack.model import Mode, Status

pytestmark = pytest.mark.anyio


def step(number: int) -> StepFinished:
    return StepFinished(
        node="n", mode=Mode.STACK, phase="install", plugin=f"p{number}", status=Status.OK
    )


def plugins(events: list[Event]) -> list[str]:
    return [event.plugin for event in events if isinstance(event, StepFinished)]


async def test_what_was_emitted_is_there_in_order(run: RunDirectory) -> None:
    async with open_journal(run) as journal:
        for number in range(2000):
            journal.emit(step(number))
            if number % 100 == 0:
                await lowlevel.checkpoint()
    assert plugins(list(read_events(run.events))) == [f"p{number}" for number in range(2000)]


async def test_a_line_begins_with_when_what_and_which_run(run: RunDirectory) -> None:
    async with open_journal(run) as journal:
        journal.emit(step(1))
    line = run.events.read_text()
    assert list(json.loads(line))[:3] == ["timestamp", "event", "run_id"]
    assert json.loads(line)["run_id"] == run.run_id


async def test_a_timestamp_of_the_event_is_kept(run: RunDirectory) -> None:
    event = StepFinished(
        timestamp="2026-01-01T00:00:00.000001Z",
        run_id="other",
        node="n",
        mode=Mode.CLEAN,
        plugin="p",
        status=Status.OK,
    )
    async with open_journal(run) as journal:
        journal.emit(event)
    assert list(read_events(run.events)) == [event]


async def test_flushing_writes_what_was_emitted(run: RunDirectory) -> None:
    """At once, and as often as it is asked for; what comes later is written later."""
    async with open_journal(run) as journal:
        await journal.flush()
        for number in range(3):
            journal.emit(step(number))
            await journal.flush()
            assert plugins(list(read_events(run.events))) == [f"p{n}" for n in range(number + 1)]


async def test_transient_events_are_left_out(run: RunDirectory) -> None:
    async with open_journal(run) as journal:
        journal.emit(FetchProgress(plugin="p", stage="receiving"))
        journal.emit(StepOutput(node="n", mode=Mode.STACK, plugin="p", log="l", data=b"x"))
    assert run.events.read_bytes() == b""


async def test_a_cancelled_run_keeps_what_it_emitted(run: RunDirectory) -> None:
    with anyio.CancelScope() as scope:
        async with open_journal(run) as journal:
            journal.emit(step(1))
            scope.cancel()
            journal.emit(step(2))
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert plugins(list(read_events(run.events))) == ["p1", "p2"]


async def emit_and_fail(run: RunDirectory) -> None:
    async with open_journal(run) as journal:
        journal.emit(step(1))
        raise ZeroDivisionError


async def test_an_error_of_the_block_comes_out_as_it_is(run: RunDirectory) -> None:
    with pytest.raises(ZeroDivisionError):
        await emit_and_fail(run)
    assert plugins(list(read_events(run.events))) == ["p1"]


async def test_a_journal_is_appended_to(run: RunDirectory) -> None:
    for number in (1, 2):
        async with open_journal(run) as journal:
            journal.emit(step(number))
    assert plugins(list(read_events(run.events))) == ["p1", "p2"]


async def test_only_one_writes_and_others_can_see_that(run: RunDirectory) -> None:
    async with open_journal(run):
        assert run.in_progress()
        with pytest.raises(RunDirectoryError, match="another process"):
            async with open_journal(run):
                pytest.fail("two writers")
        assert run.in_progress()
    assert not run.in_progress()


async def test_a_directory_that_is_gone_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError) as caught:
        async with open_journal(RunDirectory(tmp_path / "gone", "gone")):
            pytest.fail("opened")
    assert "--run-dir" in caught.value.hint


@pytest.fixture
def full(run: RunDirectory) -> RunDirectory:
    """A run whose journal lies on a disk that is full."""
    run.events.symlink_to("/dev/full")
    return run


async def test_a_full_disk_is_told_at_the_end(full: RunDirectory) -> None:
    with pytest.raises(RunDirectoryError, match="No space left"):
        async with open_journal(full) as journal:
            journal.emit(step(1))


async def test_a_full_disk_is_told_by_a_later_emit_and_only_once(full: RunDirectory) -> None:
    told = 0
    async with open_journal(full) as journal:
        with anyio.fail_after(30):
            while not told:
                await lowlevel.checkpoint()
                try:
                    journal.emit(step(1))
                except RunDirectoryError:
                    told += 1
        journal.emit(step(2))
    assert told == 1


async def test_an_error_of_the_block_goes_before_a_full_disk(full: RunDirectory) -> None:
    with pytest.raises(ZeroDivisionError):
        await emit_and_fail(full)


def test_importing_the_journal_loads_neither_structlog_nor_rich() -> None:
    code = "import sys, asyncstack.journal; print({'structlog', 'rich', 'typer'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


async def test_structlog_is_not_configured_for_others(run: RunDirectory) -> None:
    import structlog

    async with open_journal(run) as journal:
        journal.emit(step(1))
    assert not structlog.is_configured()
