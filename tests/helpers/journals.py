"""Hypothesis strategies for events and whole journals, and a run to render."""

from __future__ import annotations

import enum
import typing
from collections.abc import Sequence

from hypothesis import strategies as st

from asyncstack import events as events_module
from asyncstack.events import Event, RunFinished, RunStarted, StepFinished, StepStarted
from asyncstack.model import Frame, Mode, PhaseKey, Status

T0 = 1_790_000_000.0

#: Every kind that a journal holds, found by what the module defines, so that none is forgotten.
KINDS: tuple[type[Event], ...] = tuple(
    kind
    for kind in vars(events_module).values()
    if isinstance(kind, type)
    and issubclass(kind, Event)
    and kind is not Event
    and kind not in typing.get_args(events_module.Transient)
)

_SIMPLE: dict[object, st.SearchStrategy[object]] = {
    str: st.text(max_size=20),
    int: st.integers(0, 2**53),
    int | None: st.none() | st.integers(0, 255),
    float: st.floats(0, 1e12),
    bool: st.booleans(),
    tuple[str, ...]: st.lists(st.text(max_size=10), max_size=3).map(tuple),
    tuple[Frame, ...]: st.lists(
        st.builds(Frame, st.text(max_size=8), st.text(max_size=8), st.integers(0, 9999)),
        max_size=3,
    ).map(tuple),
    dict[str, str]: st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
    dict[str, float]: st.dictionaries(st.text(max_size=8), st.floats(0, 1e6), max_size=3),
}


def event_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Any event of a kind, every field drawn by its type."""
    hints = typing.get_type_hints(kind)
    fields = {name: _field(hints[name]) for name in kind.__struct_fields__}
    return st.builds(kind, **fields)


def _field(hint: object) -> st.SearchStrategy[object]:
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    assert isinstance(hint, enum.EnumType)
    return st.sampled_from([*hint])


def any_event() -> st.SearchStrategy[Event]:
    """Any event that a journal may hold."""
    return st.sampled_from(KINDS).flatmap(event_of)


PHASES = (
    PhaseKey(Mode.SOURCE),
    PhaseKey(Mode.STACK, "install"),
    PhaseKey(Mode.STACK, "extra"),
)
FINAL = tuple(status for status in Status if status.final)


@st.composite
def runs(draw: st.DrawFn) -> list[Event]:
    """The journal of a run: every plugin in every phase on every node, each step ended once."""
    nodes = draw(st.lists(st.sampled_from(["a", "n1", "n2", "n3"]), min_size=1, unique=True))
    plugins = draw(st.lists(st.sampled_from(["p", "q", "r", "s"]), min_size=1, unique=True))
    phases = draw(st.lists(st.sampled_from(PHASES), min_size=1, unique=True))
    made: list[Event] = [RunStarted(command="stack", version="0", nodes=tuple(nodes))]
    for phase in phases:
        for node in nodes:
            for plugin in plugins:
                seconds = draw(st.floats(0, 1000))
                made += step(node, phase, plugin, seconds, status=draw(st.sampled_from(FINAL)))
    return [*made, RunFinished(status=Status.OK, exit_code=0, duration_s=1.0)]


def step(
    node: str, phase: PhaseKey, plugin: str, seconds: float, status: Status = Status.OK
) -> Sequence[Event]:
    """The two events of a step that took `seconds`, half of them CPU."""
    log = f"logs/{node}/00-{phase.slug}/{plugin}.log"
    return (
        StepStarted(node=node, mode=phase.mode, phase=phase.phase, plugin=plugin, log=log),
        StepFinished(
            node=node,
            mode=phase.mode,
            phase=phase.phase,
            plugin=plugin,
            status=status,
            start=T0,
            end=T0 + seconds,
            duration_s=seconds,
            user_cpu_s=seconds / 2,
            log=log,
        ),
    )
