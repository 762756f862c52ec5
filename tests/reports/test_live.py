"""The live view: it always fits, shows what runs, and leaves only what matters behind."""

from __future__ import annotations

import io
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from asyncstack.events import (
    Event,
    FetchFinished,
    FetchProgress,
    FetchStarted,
    NodeFinished,
    PhaseStarted,
    PluginRegistered,
    RunStarted,
    StepFinished,
    StepOutput,
    StepStarted,
    Warned,
)
from asyncstack.model import FetchStatus, Mode, Status
from asyncstack.reports.display import Silent, choose_display
from asyncstack.reports.jsonl import JsonLines
from asyncstack.reports.live import Live
from asyncstack.reports.live_state import LiveState
from asyncstack.reports.live_view import view
from asyncstack.reports.plain import Plain
from tests.helpers.journals import any_event, runs


def shown(*events: Event, room: int = 100, height: int = 30, now: float = 0.0) -> str:
    state = LiveState(0.0)
    for event in events:
        state.apply(event, 0.0)
    return "\n".join(line.plain for line in view(state, now, room, height))


def begun(plugin: str, node: str = "n", phase: str = "install") -> StepStarted:
    return StepStarted(node=node, mode=Mode.STACK, phase=phase, plugin=plugin)


def ended(plugin: str, node: str = "n", status: Status = Status.OK) -> StepFinished:
    return StepFinished(
        node=node, mode=Mode.STACK, phase="install", plugin=plugin, status=status, duration_s=1.5
    )


INSTALL = PhaseStarted(node="n", mode=Mode.STACK, phase="install")
PROGRESS = FetchProgress(
    plugin="ironic", stage="receiving", fraction=0.61, received_bytes=42_000_000
)


@given(st.lists(any_event(), max_size=20) | runs(), st.integers(1, 120), st.integers(1, 30))
def test_the_view_never_outgrows_the_screen(events: list[Event], room: int, height: int) -> None:
    state = LiveState(0.0)
    for event in events:
        state.apply(event, 0.0)
        lines = view(state, 1.0, room, height)
        assert len(lines) <= max(1, height - 1)
        assert max(line.cell_len for line in lines) <= room


def test_a_clone_shows_stage_percentage_and_bytes() -> None:
    started = FetchStarted(plugin="ironic", url="u", ref="master", directory="d")
    text = shown(started, PROGRESS, now=63.0)
    assert "ironic  receiving  █" in text
    assert "61 %  42 MB" in text
    assert "1:03" in text


def test_a_narrow_terminal_drops_the_bar_and_keeps_the_percentage() -> None:
    text = shown(PROGRESS, room=46)
    assert "█" not in text
    assert "61 %" in text


def test_clones_that_ended_are_counted() -> None:
    good = FetchFinished(
        plugin="p", url="u", ref="r", directory="d", status=FetchStatus.CLONED, received_bytes=1000
    )
    bad = FetchFinished(plugin="q", url="u", ref="r", directory="d", status=FetchStatus.FAILED)
    assert "fetch  2 done, 1 failed, 1.0 kB" in shown(good, bad)


def test_the_running_step_shows_its_time_and_its_last_words() -> None:
    output = StepOutput(
        node="n", mode=Mode.STACK, plugin="p", log="l", data=b"one\n\x1b[31mCollecting pip\n"
    )
    text = shown(INSTALL, begun("p"), output, now=42.0)
    assert "▶ 0:42  install p  Collecting pip" in text


def test_the_matrix_has_a_row_for_plugins_that_wait() -> None:
    registered = [
        PluginRegistered(node="n", plugin=name, url="u", ref="r", directory="d") for name in "abc"
    ]
    text = shown(*registered, INSTALL, begun("a"), ended("a"), begun("b"), now=3.0)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line[:1] in "abc"}
    assert rows == {"a": ["1.50", "s"], "b": ["▶", "0:03"], "c": []}


def test_a_failure_has_a_mark() -> None:
    assert "✗ 1.50 s" in shown(INSTALL, begun("p"), ended("p", status=Status.FAILED), begun("q"))


def test_many_nodes_are_counted_and_folded() -> None:
    nodes = tuple(f"compute{number}" for number in range(1, 51))
    started = RunStarted(command="stack", version="0", nodes=nodes)
    steps = [begun("p", node) for node in nodes]
    text = shown(started, INSTALL, *steps, *(ended("p", node) for node in nodes[:20]))
    assert "stack on compute[1-50]" in text
    assert "▶ 20/50" in text
    assert "install p on compute[21-50]" in text


def test_more_plugins_than_rows_are_folded_around_what_runs() -> None:
    registered = [
        PluginRegistered(node="n", plugin=f"plugin-{number:02d}", url="u", ref="r", directory="d")
        for number in range(40)
    ]
    text = shown(*registered, INSTALL, begun("plugin-20"), height=12)
    assert "plugin-19" in text
    assert "plugin-39" not in text
    assert "more plugins" in text


def test_a_narrow_terminal_keeps_the_column_of_the_phase_that_runs() -> None:
    phases = ("pre-install", "install", "post-config", "extra", "test-config")
    started = RunStarted(command="stack", version="0", phases=phases)
    extra = PhaseStarted(node="n", mode=Mode.STACK, phase="extra")
    text = shown(started, extra, begun("p", phase="extra"), room=44)
    assert "extra" in text
    assert "pre-" not in text


@pytest.mark.parametrize(
    ("event", "lasting"),
    [
        (Warned(code="c", message="look at this"), "look at this"),
        (ended("p", status=Status.FAILED), "install p: failed"),
        (NodeFinished(node="n9", status=Status.LOST, message="gone"), "node n9 lost: gone"),
        (ended("p"), None),
        (begun("p"), None),
    ],
)
def test_only_what_matters_stays_above_the_view(event: Event, lasting: str | None) -> None:
    out = io.StringIO()
    with Live(Console(file=out, force_terminal=False, width=100)) as display:
        display.emit(event)
    assert (lasting in out.getvalue()) if lasting else ("install p" not in out.getvalue())


def test_the_drawing_thread_ends_with_the_display() -> None:
    before = threading.active_count()
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=20)
    with Live(console) as display:
        for _ in range(1000):
            display.emit(begun("p"))
            display.emit(ended("p"))
    assert threading.active_count() == before


def test_the_display_fits_its_stream(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(choose_display(json=True, quiet=True), JsonLines)
    assert isinstance(choose_display(quiet=True), Silent)
    assert isinstance(choose_display(), Plain)  # pytest's stderr is no terminal
