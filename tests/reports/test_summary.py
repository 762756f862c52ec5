"""What a journal adds up to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given

from asyncstack.events import Event, NodeFinished, RunFinished, RunStarted, StepFinished
from asyncstack.model import Mode, PhaseKey, Status
from asyncstack.reports.steps import worst
from asyncstack.reports.summary import Summary, summarise
from tests.helpers.journals import runs, step

INSTALL = PhaseKey(Mode.STACK, "install")


@given(runs())
def test_rows_and_columns_and_cells_add_up_to_the_same(events: list[Event]) -> None:
    summary = summarise(events)
    cells = sum(cell.seconds for cell in summary.cells.values())
    assert math.isclose(cells, summary.total_s, abs_tol=1e-9)
    assert math.isclose(sum(summary.plugin_s.values()), summary.total_s, abs_tol=1e-9)
    assert math.isclose(sum(summary.phase_s.values()), summary.total_s, abs_tol=1e-9)


@given(runs())
def test_nothing_takes_less_than_no_time(events: list[Event]) -> None:
    summary = summarise(events)
    figures = [*summary.plugin_s.values(), *summary.phase_s.values(), *summary.fetch_s.values()]
    assert min([*figures, summary.duration_s, summary.total_s]) >= 0


@given(runs())
def test_every_step_is_in_exactly_one_cell(events: list[Event]) -> None:
    summary = summarise(events)
    in_cells = [step for cell in summary.cells.values() for step in cell.steps]
    assert len(in_cells) == len(summary.steps)
    assert {id(step) for step in in_cells} == {id(step) for step in summary.steps}


@given(runs())
def test_a_journal_that_goes_on_gives_what_is_there(events: list[Event]) -> None:
    for length in range(len(events)):
        summary = summarise(events[:length])
        ended = sum(isinstance(event, StepFinished) for event in events[:length])
        assert len(summary.steps) == ended
        assert summary.status is Status.RUNNING


def of(*groups: Sequence[Event]) -> Summary:
    return summarise([RunStarted(command="stack", version="0"), *(e for g in groups for e in g)])


def test_a_cell_is_as_slow_as_its_slowest_node_and_as_bad_as_its_worst() -> None:
    summary = of(
        step("a", INSTALL, "p", 2.0),
        step("b", INSTALL, "p", 1.0, status=Status.FAILED),
        step("c", INSTALL, "p", 0.0, status=Status.SKIPPED),
    )
    cell = summary.cells["p", INSTALL]
    assert (cell.seconds, cell.slowest.node, cell.status) == (2.0, "a", Status.FAILED)


def test_the_slowest_come_first_and_what_took_no_time_does_not_come() -> None:
    summary = of(
        step("a", INSTALL, "p", 1.0),
        step("a", INSTALL, "q", 0.0, status=Status.SKIPPED),
        step("a", INSTALL, "r", 2.0),
    )
    assert [slow.plugin for slow in summary.slowest(5)] == ["r", "p"]
    assert [slow.plugin for slow in summary.slowest(1)] == ["r"]


def test_failed_and_lost_are_failures_and_aborted_is_not() -> None:
    summary = of(
        step("a", INSTALL, "p", 1.0, status=Status.FAILED),
        step("b", INSTALL, "p", 1.0, status=Status.LOST),
        step("c", INSTALL, "p", 1.0, status=Status.ABORTED),
        [
            NodeFinished(node="d", status=Status.UNREACHABLE),
            NodeFinished(node="a", status=Status.OK),
        ],
    )
    assert [failed.node for failed in summary.failures] == ["a", "b"]
    assert [lost.node for lost in summary.lost_nodes] == ["d"]


def test_the_last_end_of_a_run_and_of_a_node_counts() -> None:
    summary = of(
        [
            NodeFinished(node="a", status=Status.LOST),
            RunFinished(status=Status.LOST, exit_code=5, duration_s=1),
            NodeFinished(node="a", status=Status.OK),
            RunFinished(status=Status.OK, exit_code=0, duration_s=2),
        ]
    )
    assert (summary.status, summary.exit_code, summary.lost_nodes) == (Status.OK, 0, ())


@pytest.mark.parametrize(
    ("statuses", "gravest"),
    [
        ([], Status.SKIPPED),
        ([Status.SKIPPED, Status.OK], Status.OK),
        ([Status.OK, Status.ABORTED], Status.ABORTED),
        ([Status.LOST, Status.FAILED, Status.OK], Status.FAILED),
    ],
)
def test_the_gravest_status_counts(statuses: list[Status], gravest: Status) -> None:
    assert worst(statuses) is gravest


def test_plugins_stand_in_registration_order(golden: Summary) -> None:
    assert golden.plugins == ("devstack-plugin-ceph", "ironic", "octavia", "@packages")
