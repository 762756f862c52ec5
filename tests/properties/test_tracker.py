"""Whatever a driver says, in whatever order it breaks off: each step ends once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.events import Event, PhaseFinished, PhaseStarted, StepFinished, StepStarted
from asyncstack.executor.tracker import NodeTracker
from asyncstack.model import Mode, PhaseKey, Plugin, Status
from asyncstack.plan import PlannedPhase
from asyncstack.runtime import messages as m

pytestmark = pytest.mark.slow

_PLUGINS = [Plugin(name, "https://x", "master", f"/dest/{name}") for name in "abc"]
_PHASES = [
    PlannedPhase(1, PhaseKey(Mode.SOURCE), ("plugins",)),
    PlannedPhase(2, PhaseKey(Mode.STACK, "install"), ("plugins", "local.sh")),
    PlannedPhase(3, PhaseKey(Mode.STACK, "extra"), ("merge=extra", "plugins")),
]


def _sampled(time: float, cpu: float) -> tuple[str, str, str, str, str]:
    # Clocks may step and a locale may write commas; figures may be missing altogether.
    times = f"0m{cpu:.3f}s 0m0.000s".replace(".", ",")
    return (f"{time:.6f}".replace(".", ","), f"{time:.2f}", times, times, "read_bytes: 5")


@st.composite
def _stories(draw: st.DrawFn) -> list[tuple[PlannedPhase, list[m.Message | bytes], str]]:
    """What is heard in each phase, and how hearing it ends."""
    told = []
    for phase in _PHASES:
        items: list[m.Message | bytes] = []
        ending = draw(st.sampled_from(["done", "done", "done", "exited", "killed", "lost"]))
        steps = phase.steps([plugin.name for plugin in _PLUGINS])
        upto = len(steps) if ending == "done" else draw(st.integers(0, len(steps)))
        for name in steps[:upto]:
            if draw(st.booleans()) and not name.startswith("@"):
                items.append(m.Skip(name, "nothing"))
                continue
            time = draw(st.floats(0, 1e9))
            items.append(m.Begin(*_sampled(time, draw(st.floats(0, 1e3))), name=name))
            items += draw(st.lists(st.binary(max_size=5), max_size=2))
            items += draw(
                st.lists(st.sampled_from([m.Die("x"), m.Reason("y"), m.SubError(1, "f", 2, "c")]))
            )
            if ending != "done" and name == steps[upto - 1] and draw(st.booleans()):
                break
            end = draw(st.floats(0, 1e9))
            status = draw(st.sampled_from([0, 0, 0, 1, 127]))
            items.append(m.End(*_sampled(end, draw(st.floats(0, 1e3))), status=status))
        if ending == "exited":
            if draw(st.booleans()):
                items.append(m.Exiting(*_sampled(draw(st.floats(0, 1e9)), 0.0), status=3))
            items.append(m.Exited(draw(st.sampled_from([0, 3])), "5.0"))
        elif ending == "killed":
            items.append(m.Exited(137, "5.0"))
        told.append((phase, items, ending))
        if ending != "done":
            break
    return told


def _play(story: list[tuple[PlannedPhase, list[m.Message | bytes], str]]) -> list[Event]:
    tracker = NodeTracker("node", _PLUGINS, {}, lambda _phase, step: f"logs/{step}", lambda: 7.0)
    events: list[Event] = []
    for phase, items, ending in story:
        failures = tracker.failures
        events += tracker.start_phase(phase)
        for item in items:
            events += tracker.feed(item)
        if ending == "lost":
            events += tracker.close(Status.LOST, "lost")
        good = ending == "done" and tracker.failures == failures
        events += tracker.finish_phase(Status.OK if good else Status.FAILED)
    for phase in _PHASES:
        events += tracker.skip_phase(phase, "the run ended before it")
    return events


@given(_stories())
def test_every_step_ends_in_exactly_one_final_status(
    story: list[tuple[PlannedPhase, list[m.Message | bytes], str]],
) -> None:
    """Planned steps and ended ones are the same, each once; nothing that began goes missing."""
    events = _play(story)
    ended = Counter((e.mode, e.phase, e.plugin) for e in events if isinstance(e, StepFinished))
    names = [plugin.name for plugin in _PLUGINS]
    planned = {(p.key.mode, p.key.phase, s) for p in _PHASES for s in p.steps(names)}
    assert set(ended) == planned
    assert set(ended.values()) == {1}
    assert all(e.status.final for e in events if isinstance(e, StepFinished))
    begun = [(e.mode, e.phase, e.plugin) for e in events if isinstance(e, StepStarted)]
    assert len(begun) == len(set(begun))


@given(_stories())
def test_no_figure_is_negative(
    story: list[tuple[PlannedPhase, list[m.Message | bytes], str]],
) -> None:
    """Clocks that step back make no negative duration, nor do figures that are missing."""
    for event in _play(story):
        if isinstance(event, StepFinished):
            figures = (event.duration_s, event.user_cpu_s, event.system_cpu_s)
            sizes = (event.read_bytes, event.write_bytes, event.output_bytes)
            assert min(*figures, *sizes) >= 0
        if isinstance(event, PhaseFinished):
            assert event.duration_s >= 0


@given(_stories())
def test_steps_of_a_node_are_in_the_order_of_the_plan(
    story: list[tuple[PlannedPhase, list[m.Message | bytes], str]],
) -> None:
    """They begin in it, one at a time, each within its phase."""
    open_phase: PhaseStarted | None = None
    order: list[str] = []
    for event in _play(story):
        if isinstance(event, PhaseStarted):
            open_phase, order = event, []
        elif isinstance(event, StepStarted):
            assert open_phase is not None
            assert (event.mode, event.phase) == (open_phase.mode, open_phase.phase)
            order.append(event.plugin)
            (phase,) = [p for p in _PHASES if p.key == PhaseKey(event.mode, event.phase)]
            steps = phase.steps([plugin.name for plugin in _PLUGINS])
            assert order == [step for step in steps if step in order]
