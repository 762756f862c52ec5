"""Who the other nodes waited for at each barrier, with which step, and what that cost."""

from __future__ import annotations

from rich.text import Text

from asyncstack.events import StepFinished
from asyncstack.reports.folding import fold
from asyncstack.reports.grid import Column, lines, shortened, width
from asyncstack.reports.steps import key_of
from asyncstack.reports.stretches import Load, Stretch
from asyncstack.reports.summary import Summary
from asyncstack.reports.units import duration, unit_aligned

__all__ = ["barrier_table"]

#: Shorter waits at a barrier are noise.
BARRIER_S = 0.1
NAME_ROOM = 30
#: Under the digits of the other rows.
NOTHING = "·   "


def barrier_table(summary: Summary, room: int) -> list[Text]:
    """A line a barrier that a node held, at most `room` wide if that can be had."""
    several = [stretch for stretch in summary.path.stretches if len(stretch.loads) > 1]
    held = [s for s in several if max(s.waited_s, s.lead_s) >= BARRIER_S]
    if not held:
        return []
    several_batches = len({frozenset(load.node for load in s.loads) for s in held}) > 1
    rows = [_row(stretch, named=several_batches) for stretch in held]
    columns = [
        Column(heading, tuple((cell, "") for cell in cells), right=index >= _TEXTS)
        for index, (heading, cells) in enumerate(
            zip(_HEADINGS, zip(*rows, strict=True), strict=True)
        )
    ]
    while width(columns) > room and len(columns) > _FIXED:
        columns.pop()
    return lines(columns)


_HEADINGS = (
    ("barrier after",),
    ("held by",),
    ("longest step",),
    ("took",),
    ("the first", "waited"),
    ("gain if", "free there"),
    ("free on", "all nodes"),
)
_TEXTS = 3

#: So many columns stay however narrow it gets.
_FIXED = 4


def _row(stretch: Stretch, *, named: bool) -> tuple[str, ...]:
    step = stretch.decisive.longest
    figures = (
        step.duration_s,
        stretch.waited_s,
        stretch.gain_s(step),
        stretch.joint_gain_s(stretch.like(step)),
    )
    return (
        _place(stretch, named=named),
        _holder(stretch.decisive),
        _step(stretch, step),
        *(unit_aligned(seconds) if seconds else NOTHING for seconds in figures),
    )


def _place(stretch: Stretch, *, named: bool) -> str:
    name = stretch.phases[0].name if len(stretch.phases) == 1 else "all phases"
    return f"{name} on {fold(sorted(load.node for load in stretch.loads))}" if named else name


def _holder(load: Load) -> str:
    """The node; and that it wasn't only its steps, if that is so."""
    outside = load.late_s + load.idle_s
    if outside < BARRIER_S:
        return load.node
    if load.late_s > load.idle_s:
        return f"{load.node}, which began {duration(load.late_s)} late"
    return f"{load.node}, {duration(outside)} between steps"


def _step(stretch: Stretch, step: StepFinished) -> str:
    name = shortened(step.plugin, NAME_ROOM)
    return name if len(stretch.phases) == 1 else f"{name} {key_of(step).name}"
