"""The live view: it always fits, shows what runs, and leaves only what matters behind."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from asyncstack.events import (
    ConnectionChanged,
    Event,
    FetchFinished,
    FetchProgress,
    FetchStarted,
    FilesCopied,
    NodeFinished,
    PhaseFinished,
    PhaseStarted,
    PluginRegistered,
    RunStarted,
    StepFinished,
    StepOutput,
    StepStarted,
    Warned,
)
from asyncstack.model import FetchStatus, Mode, Status
from asyncstack.reports.display import Quiet, choose_display
from asyncstack.reports.jsonl import JsonLines
from asyncstack.reports.lasting import is_lasting, lasting_lines
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
    assert "ironic  receiving   █" in text
    assert "61 %   42 MB" in text
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


def test_what_had_nothing_to_do_is_gone_when_all_know_it() -> None:
    """A step that is none of a plugin's: no row that runs for ever, and no row that says nothing."""
    two = RunStarted(command="stack", version="", local_conf="", nodes=("a", "b"))
    beginnings = [begun("@packages", "a"), begun("@packages", "b")]
    first, second = (ended("@packages", node, Status.SKIPPED) for node in ("a", "b"))
    assert "@packages" in shown(two, *beginnings, first)
    text = shown(two, *beginnings, first, second)
    assert "@packages" not in text
    assert "\N{BLACK RIGHT-POINTING TRIANGLE}" not in text
    did = ended("@packages", "b")
    assert "@packages" in shown(two, *beginnings, did, first)


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


def on(nodes: Sequence[str], *plugins: str) -> list[Event]:
    """A run whose nodes have registered these plugins."""
    registered = [
        PluginRegistered(node=node, plugin=plugin, url="u", ref="r", directory="d")
        for node in nodes
        for plugin in plugins
    ]
    return [RunStarted(command="stack", version="0", nodes=tuple(nodes)), *registered]


def row(text: str, plugin: str) -> list[str]:
    """The cells of a plugin's row."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"{plugin} "))
    return line.split()[1:]


def test_a_plugin_of_one_node_is_counted_on_that_one() -> None:
    lab = [*on(["a", "b", "c"], "everywhere"), *on(["a"], "there")[1:]]
    text = shown(*lab, INSTALL, begun("there", "a"), begun("everywhere", "b"))
    assert row(text, "there") == ["▶", "0/1"]
    assert row(text, "everywhere") == ["▶", "0/3"]
    assert row(shown(*lab, INSTALL, begun("there", "a"), ended("there", "a")), "there")[-1] == "s"


def test_what_some_have_not_begun_is_not_shown_as_done() -> None:
    text = shown(*on(["a", "b"], "p", "q"), INSTALL, begun("p", "a"), ended("p", "a"))
    assert row(text, "p") == ["1/2"]


def test_a_failure_is_seen_while_others_go_on_and_nobody_waits_for_who_is_out() -> None:
    lab = [*on(["a", "b", "c"], "p", "q"), INSTALL, *(begun("p", node) for node in "abc")]
    text = shown(*lab, ended("p", "a", Status.FAILED))
    assert row(text, "p") == ["✗", "1/3"]
    out = PhaseFinished(node="a", mode=Mode.STACK, phase="install", status=Status.FAILED)
    rest = [event for node in "bc" for event in (ended("p", node), begun("q", node))]
    text = shown(*lab, ended("p", "a", Status.FAILED), out, *rest, ended("q", "b"), ended("q", "c"))
    assert row(text, "q") == ["1.50", "s"]


def test_who_waits_at_the_barrier_is_named() -> None:
    nodes = [f"n{number}" for number in range(1, 5)]
    through = [
        PhaseFinished(node=node, mode=Mode.STACK, phase="install", status=Status.OK)
        for node in nodes[:3]
    ]
    text = shown(*on(nodes, "p"), INSTALL, begun("p", "n4"), *through)
    assert "install p on n4" in text
    assert "waiting: n[1-3]" in text
    assert "waiting" not in shown(*on(nodes, "p"), INSTALL, begun("p", "n4"))


def test_a_plugin_that_goes_to_many_nodes_is_one_line() -> None:
    progress = [
        FetchProgress(
            plugin="ironic", node=f"n{n}", stage="receiving", fraction=n / 10, received_bytes=1000
        )
        for n in range(1, 4)
    ]
    text = shown(*progress)
    assert "ironic to 3 nodes  receiving" in text
    assert "20 %  3.0 kB" in text


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Warned(code="c", message="look", node="n"), "! n[1-3]: warning: look"),
        (
            ended("p", "n", Status.FAILED),
            "✗ n[1-3]: install p: failed in 1.50 s",
        ),
        (ConnectionChanged(node="n", up=True), "! connection to n[1-3] is back"),
        (NodeFinished(node="n", status=Status.LOST, message="gone"), "✗ node n[1-3] lost: gone"),
    ],
)
def test_what_happens_to_many_nodes_at_once_stays_as_one_line(event: Event, line: str) -> None:
    events = [msgspec.structs.replace(event, node=f"n{n}") for n in (1, 2, 3)]
    other = Warned(code="other", message="something else")
    assert [text.plain for text in lasting_lines([*events, other], named=True)] == [
        line,
        "! warning: something else",
    ]


def test_files_that_did_not_come_to_many_nodes_stay_as_one_line() -> None:
    events = [
        FilesCopied(
            source="a", target=f"n{n}", paths=("/c",), after="extra", ok=False, message="disk full"
        )
        for n in (1, 2)
    ]
    (line,) = lasting_lines(events, named=True)
    assert line.plain == "✗ copying /c from a to n[1-2] failed: disk full"
    assert [is_lasting(event) for event in events] == [True, True]
    assert not is_lasting(msgspec.structs.replace(events[0], ok=True))


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
    assert isinstance(choose_display(quiet=True), Quiet)
    assert isinstance(choose_display(), Plain)  # pytest's stderr is no terminal
