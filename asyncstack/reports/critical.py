"""The critical path: how much sooner a run would have ended without this step or that one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from asyncstack.events import Event, StepFinished
from asyncstack.model import PhaseKey
from asyncstack.reports.steps import key_of
from asyncstack.reports.stretches import Stretch, stretches

__all__ = ["CriticalPath", "Gain", "critical_path"]


class Gain(Struct, frozen=True, kw_only=True):
    """A plugin in a phase: how much sooner the run would end if that took no time.

    `slowest` is the step on the node where it takes longest; `there_s` is the gain if only the
    step that costs most took none.
    """

    plugin: str
    phase: PhaseKey
    slowest: StepFinished
    everywhere_s: float
    there_s: float


class CriticalPath(Struct, frozen=True):
    """The stretches of a run, in order, and its plugins in each phase, greatest gain first."""

    stretches: tuple[Stretch, ...] = ()
    gains: tuple[Gain, ...] = ()

    @property
    def seconds(self) -> float:
        """What the steps made the run last; the rest is connecting, fetching, copying."""
        return sum(stretch.seconds for stretch in self.stretches)

    def step_gains(self) -> dict[tuple[str, str, PhaseKey], float]:
        """Node, plugin, phase → how much sooner the run would end without that one step."""
        return {
            (step.node, step.plugin, key_of(step)): stretch.gain_s(step)
            for stretch in self.stretches
            for load in stretch.loads
            for step in load.steps
        }


def critical_path(events: Sequence[Event]) -> CriticalPath:
    """The critical path of a journal; of one that is cut short, as far as it goes."""
    found = tuple(stretches(events))
    gains = _joined(gain for stretch in found for gain in _gains(stretch))
    return CriticalPath(found, tuple(sorted(gains, key=lambda gain: -gain.everywhere_s)))


def _gains(stretch: Stretch) -> Iterable[Gain]:
    cells: dict[tuple[str, PhaseKey], list[StepFinished]] = defaultdict(list)
    for load in stretch.loads:
        for step in load.steps:
            if step.duration_s > 0:
                cells[step.plugin, key_of(step)].append(step)
    for (plugin, phase), steps in cells.items():
        yield Gain(
            plugin=plugin,
            phase=phase,
            slowest=max(steps, key=lambda step: step.duration_s),
            everywhere_s=stretch.joint_gain_s(steps),
            there_s=max(stretch.gain_s(step) for step in steps),
        )


def _joined(gains: Iterable[Gain]) -> Iterable[Gain]:
    """Add up those of several batches, which come one after another."""
    by_cell: dict[tuple[str, PhaseKey], list[Gain]] = defaultdict(list)
    for gain in gains:
        by_cell[gain.plugin, gain.phase].append(gain)
    for (plugin, phase), parts in by_cell.items():
        yield Gain(
            plugin=plugin,
            phase=phase,
            slowest=max((part.slowest for part in parts), key=lambda step: step.duration_s),
            everywhere_s=sum(part.everywhere_s for part in parts),
            there_s=max(part.there_s for part in parts),
        )
