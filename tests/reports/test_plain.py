"""Plain lines: one an event, each of which says it all."""

from __future__ import annotations

import io
import itertools

import pytest
from hypothesis import given

from asyncstack.events import (
    BarrierOpened,
    ClockCompared,
    ConnectionChanged,
    Event,
    FetchFinished,
    FetchRetried,
    NodeFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    Warned,
)
from asyncstack.model import FetchStatus, Mode, Status
from asyncstack.reports.plain import Plain
from asyncstack.reports.wording import describe
from tests.helpers.journals import any_event


def lines(*events: Event, verbose: bool = False) -> list[str]:
    out = io.StringIO()
    with Plain(out, verbose=verbose, clock=itertools.count().__next__) as display:
        for event in events:
            display.emit(event)
    return out.getvalue().splitlines()


STEP = StepFinished(
    node="n1", mode=Mode.STACK, phase="install", plugin="p", status=Status.OK, duration_s=1.5
)


@given(any_event())
def test_an_event_is_at_most_one_line(event: Event) -> None:
    assert len(describe(event).split("\n")) == 1


def test_a_line_begins_with_seconds_since_the_start() -> None:
    assert lines(STEP) == ["    1.00  install p: ok in 1.50 s"]


def test_with_several_nodes_a_line_names_its_node() -> None:
    started = RunStarted(run_id="r", command="stack", version="0", nodes=("n1", "n2"))
    assert lines(started, STEP)[1] == "    2.00  n1: install p: ok in 1.50 s"


def test_a_node_is_not_named_twice() -> None:
    started = RunStarted(run_id="r", command="stack", version="0", nodes=("n1", "n2"))
    assert lines(started, NodeFinished(node="n1", status=Status.LOST))[1][10:] == "node n1 lost"


def test_beginnings_and_skipped_steps_are_for_the_verbose() -> None:
    begun = StepStarted(node="n", mode=Mode.STACK, plugin="p", phase="extra")
    skipped = StepFinished(
        node="n", mode=Mode.STACK, plugin="p", status=Status.SKIPPED, message="no plugin.sh"
    )
    assert lines(begun, skipped) == []
    assert [line[10:] for line in lines(begun, skipped, verbose=True)] == [
        "extra p: started",
        "stack p: skipped: no plugin.sh",
    ]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            StepFinished(
                node="n",
                mode=Mode.STACK,
                phase="install",
                plugin="p",
                status=Status.FAILED,
                exit_code=1,
                location="plugin.sh:3",
                command="false",
            ),
            "install p: failed in 0 ms, exit code 1, at plugin.sh:3: false",
        ),
        (
            Warned(code="order", message="a comes too late", path="local.conf", line=3),
            "warning: local.conf:3: a comes too late",
        ),
        (
            FetchRetried(
                plugin="p",
                url="u",
                attempt=1,
                reason="throttled",
                message="remote: wait\nfatal: HTTP 429",
                delay_s=2,
            ),
            "fetch p: try 1 failed (throttled), again in 2.00 s: fatal: HTTP 429",
        ),
        (
            FetchRetried(
                plugin="p",
                url="u",
                attempt=2,
                reason="not-found",
                message="next source: https://h/p: fatal: not found",
                delay_s=0.0,
            ),
            "fetch p: try 2 failed (not-found): next source: https://h/p: fatal: not found",
        ),
        (
            FetchFinished(
                plugin="p",
                url="u",
                ref="1.0",
                directory="d",
                status=FetchStatus.CLONED,
                commit="abcdef0123456789",
                duration_s=2,
                received_bytes=4200,
            ),
            "fetch p: cloned 1.0 at abcdef012345 in 2.00 s, 4.2 kB",
        ),
        (
            ConnectionChanged(node="n", up=False, message="reset by peer"),
            "connection to n was lost; its driver goes on: reset by peer",
        ),
        (ConnectionChanged(node="n", up=True), "connection to n is back"),
        (NodeFinished(node="n", status=Status.OK), ""),
        (NodeFinished(node="n", status=Status.LOST, message="no route"), "node n lost: no route"),
    ],
)
def test_what_is_said(event: Event, text: str) -> None:
    assert describe(event) == text


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(text)


def test_a_reader_that_goes_away_does_not_end_the_run() -> None:
    with Plain(Gone()) as display:
        display.emit(STEP)
        display.emit(STEP)


def test_a_long_wait_for_one_node_is_told_to_everybody() -> None:
    opened = BarrierOpened(mode=Mode.STACK, phase="install", held_by="n9", waited_s=26.1)
    told = "install: all nodes are through; n9 came last, 26.1 s after the first"
    assert [line[10:] for line in lines(opened)] == [told]
    short = BarrierOpened(mode=Mode.STACK, phase="install", held_by="n9", waited_s=0.2)
    assert lines(short) == []
    assert len(lines(short, verbose=True)) == 1


def test_how_a_clock_stands_is_for_the_verbose() -> None:
    compared = ClockCompared(node="n1", offset_s=-0.25, uncertainty_s=0.001)
    assert lines(compared) == []
    told = "the node's clock is -250 ms off ours, give or take 1.0 ms"
    assert [line[10:] for line in lines(compared, verbose=True)] == [told]


def retried(plugin: str, reason: str = "dns") -> FetchRetried:
    return FetchRetried(
        plugin=plugin, url="u", attempt=1, reason=reason, message="fatal: no", delay_s=1
    )


def test_retries_for_one_reason_are_told_once() -> None:
    """Without a network sixty repositories ask twice more each."""
    now = 0.0
    out = io.StringIO()
    with Plain(out, clock=lambda: now) as display:
        for number in range(60):
            display.emit(retried(f"p{number}"))
            now += 0.02
        display.emit(retried("other", "throttled"))
        now = 3.0
        display.emit(STEP)
        display.emit(retried("late"))
        display.emit(retried("last"))
    assert [line[10:] for line in out.getvalue().splitlines()] == [
        "fetch p0: try 1 failed (dns), again in 1.00 s: fatal: no",
        "fetch other: try 1 failed (throttled), again in 1.00 s: fatal: no",
        "fetch: 59 more tries failed (dns)",
        "install p: ok in 1.50 s",
        "fetch late: try 1 failed (dns), again in 1.00 s: fatal: no",
        "fetch last: try 1 failed (dns), again in 1.00 s: fatal: no",
    ]


def test_who_asks_for_it_is_told_each_retry() -> None:
    assert len(lines(*(retried(f"p{number}") for number in range(60)), verbose=True)) == 60
