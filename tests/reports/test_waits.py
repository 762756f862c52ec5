"""Who waited for whom, and what to speed up first: as tables and as JSON and CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import msgspec
import pytest

from asyncstack.events import (
    BarrierOpened,
    ClockCompared,
    Event,
    NodeFinished,
    PhaseFinished,
    PhaseStarted,
    RunFinished,
    StepFinished,
)
from asyncstack.journal import read_events
from asyncstack.model import Mode, PhaseKey, Status
from asyncstack.reports.barriers import barrier_table
from asyncstack.reports.export import Report, to_json
from asyncstack.reports.slowest import slowest_table
from asyncstack.reports.spreadsheet import to_csv
from asyncstack.reports.summary import Summary, summarise
from tests.helpers.journals import T0, step

INSTALL = PhaseKey(Mode.STACK, "install")
PRE_INSTALL = PhaseKey(Mode.STACK, "pre-install")
EXTRA = PhaseKey(Mode.STACK, "extra")


def barrier(phase: PhaseKey) -> Event:
    return BarrierOpened(mode=phase.mode, phase=phase.phase)


def of(*events: Event) -> Summary:
    return summarise([*events, RunFinished(status=Status.OK, exit_code=0, duration_s=20.0)])


def text(lines: list[object]) -> list[list[str]]:
    """The words of each line."""
    return [str(line).split() for line in lines]


def one_phase() -> Summary:
    return of(
        *step("a", INSTALL, "p", 1.0),
        *step("a", INSTALL, "q", 2.0),
        *step("b", INSTALL, "p", 1.0),
        *step("b", INSTALL, "q", 10.0),
        barrier(INSTALL),
    )


def test_a_barrier_names_node_step_and_what_it_cost() -> None:
    rows = text([line.plain for line in barrier_table(one_phase(), 100)])
    # 11 on b, 3 on a. Without q on b 10 are left to 1 + 2 on a; without q anywhere 1.
    assert rows[-1] == ["install", "b", "q", "10.0", "s", "8.00", "s", "8.00", "s", "10.0", "s"]


@pytest.mark.parametrize("room", [30, 60, 80, 100])
def test_a_narrow_table_keeps_who_held_the_barrier(room: int) -> None:
    lines = [line.plain for line in barrier_table(one_phase(), room)]
    assert lines[-1].split()[:5] == ["install", "b", "q", "10.0", "s"]
    assert room < 60 or max(map(len, lines)) <= room


def test_what_to_speed_up_first_is_what_gains_most() -> None:
    lines = [line.plain for line in slowest_table(one_phase(), 100)]
    assert lines[0].startswith("to speed up first")
    assert lines[1].split()[:9] == ["q", "install", "b", "10.0", "s", "10.0", "s", "50", "%"]
    assert lines[2].split()[:9] == ["p", "install", "b", "1.00", "s", "1.00", "s", "5", "%"]


@pytest.mark.parametrize("nodes", [("controller",), ("compute-1", "compute-2")])
@pytest.mark.parametrize("room", [60, 80, 100])
def test_a_narrow_table_keeps_what_to_speed_up_first(nodes: tuple[str, ...], room: int) -> None:
    """Names are shortened before they are broken, and so is what is said below."""
    name = "networking-with-a-long-name-plugin"
    steps = [event for node in nodes for event in step(node, PRE_INSTALL, name, 10.0)]
    lines = [line.plain for line in slowest_table(of(*steps, barrier(PRE_INSTALL)), room)]
    assert max(map(len, lines)) <= room
    assert lines[1].startswith("networki")
    assert "10.0 s" in lines[1]


def test_where_all_steps_are_alike_the_first_few_are_told_all_the_same() -> None:
    """Each is less than a hundredth of the whole, and still something."""
    steps = [
        event
        for node in "ab"
        for number in range(200)
        for event in step(node, INSTALL, f"p{number:03}", 1 + number / 1000)
    ]
    lines = [line.plain for line in slowest_table(of(*steps, barrier(INSTALL)), 100)]
    assert [line.split()[0] for line in lines[1:6]] == ["p199", "p198", "p197", "p196", "p195"]


def test_one_node_has_slowest_steps_and_no_barriers() -> None:
    summary = of(*step("a", INSTALL, "p", 1.0), *step("a", EXTRA, "p", 3.0))
    assert barrier_table(summary, 100) == []
    lines = [line.plain for line in slowest_table(summary, 100)]
    assert [line.split()[:5] for line in lines[1:]] == [
        ["p", "extra", "3.00", "s", "75"],
        ["p", "install", "1.00", "s", "25"],
    ]


def test_nodes_that_took_no_time_have_no_table() -> None:
    summary = of(*step("a", INSTALL, "p", 0.0), *step("b", INSTALL, "p", 0.0), barrier(INSTALL))
    assert barrier_table(summary, 100) == []
    assert slowest_table(summary, 100) == []


def test_a_node_that_had_nothing_to_do_waited_all_along() -> None:
    there = PhaseFinished(node="b", mode=INSTALL.mode, phase=INSTALL.phase, status=Status.OK)
    summary = of(*step("a", INSTALL, "p", 5.0), there, barrier(INSTALL))
    (stretch,) = summary.path.stretches
    assert (stretch.decisive.node, stretch.waited_s) == ("a", 5.0)


def test_without_barriers_in_between_the_whole_chain_counts() -> None:
    """Strategy free: one barrier, behind the last phase."""
    summary = of(
        *step("a", INSTALL, "p", 1.0),
        *step("b", INSTALL, "p", 4.0),
        *step("a", EXTRA, "p", 6.0),
        *step("b", EXTRA, "p", 1.0),
        barrier(EXTRA),
    )
    assert summary.path.seconds == 7.0
    rows = text([line.plain for line in barrier_table(summary, 100)])
    assert rows[-1] == [
        "all",
        "phases",
        "a",
        "p",
        "extra",
        "6.00",
        "s",
        "2.00",
        "s",
        "2.00",
        "s",
        "3.00",
        "s",
    ]


def test_batches_come_one_after_another_and_are_told_apart() -> None:
    def batch(*nodes: str) -> list[Event]:
        started = [PhaseStarted(node=n, mode=INSTALL.mode, phase=INSTALL.phase) for n in nodes]
        steps = [e for s, n in enumerate(nodes) for e in step(n, INSTALL, "p", 1.0 + s)]
        ended = [NodeFinished(node=n, status=Status.OK) for n in nodes]
        return [*started, *steps, barrier(INSTALL), *ended]

    summary = of(*batch("a1", "a2"), *batch("b1", "b2", "b3"))
    assert summary.path.seconds == 5.0
    rows = text([line.plain for line in barrier_table(summary, 120)])
    assert [row[:4] for row in rows[-2:]] == [
        ["install", "on", "a[1-2]", "a2"],
        ["install", "on", "b[1-3]", "b3"],
    ]
    assert [gain.everywhere_s for gain in summary.path.gains] == [5.0]


def skewed(node: str, start: float, seconds: float, ahead: float) -> list[Event]:
    """A step by a clock that is `ahead`, which was compared."""
    return [
        ClockCompared(node=node, offset_s=ahead, uncertainty_s=0.001),
        StepFinished(
            node=node,
            mode=INSTALL.mode,
            phase=INSTALL.phase,
            plugin="p",
            status=Status.OK,
            start=T0 + start + ahead,
            end=T0 + start + seconds + ahead,
            duration_s=seconds,
        ),
    ]


def test_the_last_one_is_the_last_by_one_clock() -> None:
    """By its own clock a ended a thousand seconds after b; it was the first."""
    summary = of(
        *skewed("a", 0.0, 1.0, ahead=1000.0), *skewed("b", 0.0, 2.0, ahead=-7.0), barrier(INSTALL)
    )
    (stretch,) = summary.path.stretches
    assert stretch.decisive.node == "b"
    assert abs(stretch.waited_s - 1.0) < 1e-4


def test_who_began_late_is_told_from_who_worked_long() -> None:
    summary = of(
        *skewed("a", 0.0, 2.0, ahead=5.0), *skewed("b", 8.0, 1.0, ahead=-5.0), barrier(INSTALL)
    )
    line = barrier_table(summary, 120)[-1].plain
    assert "b, which began 8.00 s late" in line
    rows = to_csv(summary)
    offsets = [row["clock_offset_s"] for row in csv.DictReader(io.StringIO(rows))]
    assert offsets == ["5.000000", "-5.000000"]


def test_the_json_says_the_same() -> None:
    summary = one_phase()
    report = msgspec.json.decode(to_json(summary), type=Report)
    (wait,) = report.waits
    assert (wait.node, wait.plugin, wait.nodes) == ("b", "q", ("a", "b"))
    assert (wait.lead_s, wait.waited_s, wait.gain_s, wait.gain_everywhere_s) == (8, 8, 8, 10)
    assert [(g.plugin, g.node, g.gain_s, g.gain_there_s) for g in report.gains] == [
        ("q", "b", 10.0, 8.0),
        ("p", "b", 1.0, 1.0),
    ]
    assert report.path_s == 11.0
    rows = csv.DictReader(io.StringIO(to_csv(summary)))
    gains = {(row["node"], row["plugin"]): float(row["gain_s"]) for row in rows}
    assert gains == {("a", "p"): 0, ("a", "q"): 0, ("b", "p"): 1, ("b", "q"): 8}


def test_a_journal_of_before_clocks_were_compared_is_reported_all_the_same(data: Path) -> None:
    kept = [e for e in read_events(data / "events-v1.jsonl") if not isinstance(e, ClockCompared)]
    summary = summarise(kept)
    assert barrier_table(summary, 100)
    report = msgspec.json.decode(to_json(summary), type=Report)
    assert report.clocks == ()
    steps = [r for r in csv.DictReader(io.StringIO(to_csv(summary))) if r["kind"] == "step"]
    assert {row["clock_offset_s"] for row in steps} == {""}
