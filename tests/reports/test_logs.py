"""The raw output of steps, selected, copied and followed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from asyncstack.events import Event, RunFinished
from asyncstack.model import Mode, PhaseKey, Status
from asyncstack.reports.logs import LogFollower, LogPrinter, Selection, StepLog, step_logs
from tests.helpers.journals import step

INSTALL = PhaseKey(Mode.STACK, "install")
EXTRA = PhaseKey(Mode.STACK, "extra")
EVENTS: list[Event] = [
    *step("n1", INSTALL, "ironic", 1.0),
    *step("n2", INSTALL, "ironic", 1.0),
    *step("n1", EXTRA, "octavia", 1.0),
]


def write(root: Path, step: StepLog, data: bytes) -> None:
    path = root / step.log
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.write(data)


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        (Selection(), 3),
        (Selection(node="n1"), 2),
        (Selection(node="n*", plugin="ironic"), 2),
        (Selection(phase="extra"), 1),
        (Selection(plugin="iron"), 0),
    ],
)
def test_steps_are_selected_by_pattern(selection: Selection, count: int) -> None:
    assert sum(selection.fits(step) for step in step_logs(EVENTS)) == count


def test_one_step_is_copied_byte_for_byte(tmp_path: Path) -> None:
    (only, *_) = step_logs(EVENTS)
    write(tmp_path, only, b"\xff\x00 no newline")
    out = io.BytesIO()
    LogPrinter(tmp_path, out, headings=False).copy([only])
    assert out.getvalue() == b"\xff\x00 no newline"


def test_headings_part_steps_and_begin_on_a_line_of_their_own(tmp_path: Path) -> None:
    steps = step_logs(EVENTS)
    write(tmp_path, steps[0], b"one")
    write(tmp_path, steps[2], b"two\n")
    out = io.BytesIO()
    LogPrinter(tmp_path, out, headings=True).copy(steps)
    assert out.getvalue() == (
        b"==> install ironic on n1 <==\none\n\n==> extra octavia on n1 <==\ntwo\n"
    )


def test_a_second_copy_gives_only_what_is_new(tmp_path: Path) -> None:
    first, second, _ = step_logs(EVENTS)
    out = io.BytesIO()
    printer = LogPrinter(tmp_path, out, headings=True)
    write(tmp_path, first, b"a\n")
    printer.copy([first, second])
    write(tmp_path, first, b"b\n")
    printer.copy([first, second])
    write(tmp_path, second, b"c\n")
    printer.copy([first, second])
    assert out.getvalue() == (
        b"==> install ironic on n1 <==\na\nb\n\n==> install ironic on n2 <==\nc\n"
    )


def test_a_follower_looks_once_more_at_a_step_that_ended() -> None:
    follower = LogFollower(Selection(node="n1"))
    assert [step.plugin for step in follower.take(EVENTS[:1])] == ["ironic"]
    assert [step.plugin for step in follower.take([])] == ["ironic"]
    assert [step.plugin for step in follower.take(EVENTS[1:2])] == ["ironic"]
    assert follower.take([]) == []
    assert not follower.finished


def test_a_follower_is_finished_when_the_run_is() -> None:
    follower = LogFollower(Selection())
    follower.take([*EVENTS, RunFinished(status=Status.OK, exit_code=0, duration_s=1)])
    assert follower.finished
    assert len(follower.steps) == 3


def test_nodes_are_selected_as_reports_name_them() -> None:
    steps = [StepLog(f"compute{n}", "p", "install", "log") for n in (1, 2, 11, 12)]
    chosen = [s.node for s in steps if Selection(node="compute[2-11],!compute3").fits(s)]
    assert chosen == ["compute2", "compute11"]
