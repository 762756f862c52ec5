"""A run between its barriers, where the nodes of a batch wait for nobody and the slowest decides.

With strategy `linear` there is a barrier a phase, with `free` only one at the end: where barriers
are is read from the journal, not from what the run was told to do.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from asyncstack.events import (
    BarrierOpened,
    Event,
    NodeFinished,
    PhaseFinished,
    PhaseStarted,
    StepFinished,
)
from asyncstack.model import PhaseKey
from asyncstack.reports.clocks import Reading, readings
from asyncstack.reports.steps import key_of

__all__ = ["Load", "Stretch", "stretches"]


class Load(Struct, frozen=True, kw_only=True):
    """What one node did in a stretch. `late_s`: so much later than the first it began.

    `idle_s` lies between its steps. A delay is told only where the clocks are known well enough.
    """

    node: str
    steps: tuple[StepFinished, ...]
    work_s: float
    late_s: float = 0.0
    idle_s: float = 0.0

    @property
    def seconds(self) -> float:
        """From the beginning of the stretch to the node's last step's end."""
        return self.late_s + self.work_s + self.idle_s

    @property
    def longest(self) -> StepFinished:
        """Its longest step."""
        return max(self.steps, key=lambda step: step.duration_s)

    @property
    def waits(self) -> bool:
        """Whether it waits at the barrier; a node whose run has ended doesn't."""
        return all(step.status.good for step in self.steps)


class Stretch(Struct, frozen=True, kw_only=True):
    """From one barrier to the next. `loads` are its nodes', the one that held it first."""

    phases: tuple[PhaseKey, ...]
    loads: tuple[Load, ...]

    @property
    def decisive(self) -> Load:
        """The node that came last."""
        return self.loads[0]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.decisive.seconds

    @property
    def lead_s(self) -> float:
        """For how long the others were all through and only the last node was not."""
        return self.seconds - (self.loads[1].seconds if len(self.loads) > 1 else 0.0)

    @property
    def waited_s(self) -> float:
        """For how long the first node waited for the last one."""
        return self.seconds - min((n.seconds for n in self.loads if n.waits), default=self.seconds)

    def like(self, step: StepFinished) -> list[StepFinished]:
        """The same plugin in the same phase, on all of its nodes."""
        same = (step.plugin, key_of(step))
        return [s for load in self.loads for s in load.steps if (s.plugin, key_of(s)) == same]

    def gain_s(self, step: StepFinished) -> float:
        """How much sooner it would end if this one step took no time."""
        return min(step.duration_s, self.lead_s) if step.node == self.decisive.node else 0.0

    def joint_gain_s(self, steps: Collection[StepFinished]) -> float:
        """How much sooner it would end if none of these steps, on whichever nodes, took time."""
        free: dict[str, float] = defaultdict(float)
        for step in steps:
            free[step.node] += step.duration_s
        left = 0.0
        for load in self.loads:
            if load.seconds <= left:
                break  # nor can the ones that follow, which took less, be longer now
            left = max(left, load.seconds - free.get(load.node, 0.0))
        return max(0.0, self.seconds - left)


#: A step, and the clock that it was timed with.
_Timed = tuple[StepFinished, Reading]


def stretches(events: Sequence[Event]) -> list[Stretch]:
    """The stretches of a run, in their order; of one that is cut short, as far as it goes."""
    steps = [event for event in events if isinstance(event, StepFinished)]
    batch_of = _batches(events)
    number_of = _numbers(steps, {key_of(e) for e in events if isinstance(e, BarrierOpened)})
    groups: dict[tuple[int, int], list[_Timed]] = defaultdict(list)
    for timed in zip(steps, readings(events), strict=True):
        step = timed[0]
        groups[batch_of.get(step.node, 0), number_of[key_of(step)]].append(timed)
    there: dict[tuple[int, int], set[str]] = defaultdict(set)
    for event in events:
        if isinstance(event, PhaseFinished) and event.status.good and key_of(event) in number_of:
            there[batch_of.get(event.node, 0), number_of[key_of(event)]].add(event.node)
    return [_stretch(groups[key], there[key]) for key in sorted(groups)]


def _batches(events: Iterable[Event]) -> dict[str, int]:
    """Which nodes were under way at the same time (`--order` has several such batches)."""
    batch_of: dict[str, int] = {}
    under_way: set[str] = set()
    batch = -1
    for event in events:
        if isinstance(event, PhaseStarted) and event.node not in batch_of:
            batch += not under_way
            batch_of[event.node] = batch
            under_way.add(event.node)
        elif isinstance(event, NodeFinished):
            under_way.discard(event.node)
    return batch_of


def _numbers(steps: Iterable[StepFinished], barriers: Collection[PhaseKey]) -> dict[PhaseKey, int]:
    """Which stretch a phase is in: a new one begins behind each barrier."""
    numbers: dict[PhaseKey, int] = {}
    number = 0
    for key in dict.fromkeys(key_of(step) for step in steps):
        numbers[key] = number
        number += key in barriers
    return numbers


def _stretch(timed: Sequence[_Timed], there: Iterable[str]) -> Stretch:
    """Of what was done; who was `there` and had nothing to do waited all along."""
    by_node: dict[str, list[_Timed]] = defaultdict(list)
    for one in timed:
        by_node[one[0].node].append(one)
    first = min((_begin(one) for one in timed if _is_placed(one)), default=(0.0, math.inf))
    loads = [_load(node, mine, first) for node, mine in by_node.items()]
    idle = sorted(set(there) - by_node.keys())
    loads += [Load(node=node, steps=(), work_s=0.0) for node in idle]
    return Stretch(
        phases=tuple(dict.fromkeys(key_of(step) for step, _ in timed)),
        loads=tuple(sorted(loads, key=lambda load: -load.seconds)),
    )


def _is_placed(timed: _Timed) -> bool:
    """Whether it is known when it ran; what never ran has no time."""
    step, clock = timed
    return step.start > 0 and clock.known


def _begin(timed: _Timed) -> tuple[float, float]:
    step, clock = timed
    return clock.ours(step.start), clock.uncertainty_s


def _load(node: str, timed: Sequence[_Timed], first: tuple[float, float]) -> Load:
    work = sum(step.duration_s for step, _ in timed)
    late = idle = 0.0
    placed = [one for one in timed if _is_placed(one)]
    if placed:
        begin, uncertainty = min(_begin(one) for one in placed)
        late = begin - first[0]
        if late <= uncertainty + first[1]:
            late = 0.0
        end = max(_begin(one)[0] + one[0].duration_s for one in placed)
        idle = max(0.0, end - begin - sum(step.duration_s for step, _ in placed))
    steps = tuple(step for step, _ in timed)
    return Load(node=node, steps=steps, work_s=work, late_s=late, idle_s=idle)
