"""The steps that a run's time went into, and what could be had by making them faster.

On one node each step counts in full. On several the slowest node of each phase decides: what is
slow somewhere else costs nobody anything, and what all nodes do is only gained on all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from rich.cells import cell_len
from rich.text import Text

from asyncstack.events import StepFinished
from asyncstack.reports.critical import Gain
from asyncstack.reports.grid import GAP, Column, Span, lines, shortened, width
from asyncstack.reports.steps import cpu_is_known, cpu_s, key_of
from asyncstack.reports.summary import Summary
from asyncstack.reports.units import bar, duration, share, unit_aligned

__all__ = ["slowest_table"]

SLOWEST = 5
METER_WIDTH = 10
NAME_ROOM = 30

#: Less than that part of the whole, and than so many seconds, is noise.
WORTH_SAYING, WORTH_SAYING_S = 0.01, 0.1

#: From which part of the run on its steps were all of it.
ALL_OF_IT = 0.95


def slowest_table(summary: Summary, room: int) -> list[Text]:
    """The few steps that matter most, in at most `room` columns if that can be had."""
    if len(summary.nodes) > 1:
        return _gain_table(summary, room)
    steps = summary.slowest(SLOWEST)
    return _fitting(_slowest_columns(summary, steps), steps, room) if steps else []


def _slowest_columns(summary: Summary, steps: Sequence[StepFinished]) -> list[Column]:
    whole = summary.total_s
    return [
        *_named("slowest steps", steps),
        Column(("time",), tuple((unit_aligned(s.duration_s), "bold") for s in steps)),
        Column(("share",), tuple((share(s.duration_s, whole), "") for s in steps)),
    ]


def _gain_table(summary: Summary, room: int) -> list[Text]:
    path_s = summary.path.seconds
    enough_s = min(path_s * WORTH_SAYING, WORTH_SAYING_S)
    gains = [gain for gain in summary.path.gains if gain.everywhere_s >= enough_s][:SLOWEST]
    if not path_s or not gains:
        return []
    steps = [gain.slowest for gain in gains]
    run_s = max(summary.duration_s, path_s)
    made = _fitting(_gain_columns(gains, steps, run_s), steps, room)
    notes = [
        f"gain: how much sooner the run ({duration(run_s)}) would end if that took no time anywhere"
    ]
    if path_s < run_s * ALL_OF_IT:
        rest = "connecting, fetching, copying, waiting on the network"
        notes.append(f"steps made up {duration(path_s)} of it; the rest is {rest}")
    return [*made, *(Text(line, "dim") for note in notes for line in wrap(note, room))]


def _gain_columns(
    gains: Sequence[Gain], steps: Sequence[StepFinished], run_s: float
) -> list[Column]:
    return [
        *_named("to speed up first", steps),
        Column(("slowest on",), tuple((step.node, "") for step in steps), right=False),
        Column(("time",), tuple((unit_aligned(step.duration_s), "") for step in steps)),
        Column(("gain",), tuple((unit_aligned(gain.everywhere_s), "bold") for gain in gains)),
        Column(("share",), tuple((share(gain.everywhere_s, run_s), "") for gain in gains)),
    ]


def _named(heading: str, steps: Sequence[StepFinished]) -> list[Column]:
    names = tuple((shortened(step.plugin, NAME_ROOM), "") for step in steps)
    return [
        Column((heading,), names, right=False),
        Column(("",), tuple((key_of(step).name, "") for step in steps), right=False),
    ]


def _fitting(columns: list[Column], steps: Sequence[StepFinished], room: int) -> list[Text]:
    """With what the CPU did beside it, as a picture and in per cent, as far as there is room."""
    if any(cpu_is_known(step.duration_s) for step in steps):
        percent = Column(("",), tuple((_cpu_share(step), "") for step in steps))
        meter = Column(("CPU █░ waiting",), tuple(map(_meter, steps)), right=False)
        for more in ([meter, percent], [percent]):
            if width([*columns, *more]) <= room:
                return lines([*columns, *more])
    return lines(_narrowed(columns, room))


def _narrowed(columns: list[Column], room: int) -> list[Column]:
    """With shorter names, and then without the share, which the time tells as well."""
    names, *others = columns
    least = cell_len(names.heading[0])
    if least + GAP + width(others) > room:
        others = others[:-1]
    left = max(least, room - width(others) - GAP)
    cut = tuple((shortened(text, left), style) for text, style in names.cells)
    return [Column(names.heading, cut, right=False), *others]


def _cpu_share(step: StepFinished) -> str:
    if not cpu_is_known(step.duration_s):
        return ""
    return share(cpu_s(step), step.duration_s) + " CPU"


def _meter(step: StepFinished) -> Span:
    """CPU as the filled part of the step's wall time, waiting as the rest."""
    if not cpu_is_known(step.duration_s):
        return ("", "")
    busy = bar(cpu_s(step) / step.duration_s, METER_WIDTH)
    return (busy + "░" * (METER_WIDTH - len(busy)), "cyan")
