"""The critical path against a simulation that runs the whole lab again without a step."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.events import (
    BarrierOpened,
    ClockCompared,
    Event,
    NodeFinished,
    PhaseStarted,
    StepFinished,
)
from asyncstack.model import Mode, PhaseKey, Status
from asyncstack.reports.clocks import readings
from asyncstack.reports.critical import CriticalPath, critical_path
from tests.helpers.journals import T0, runs, step

PLUGINS = ("p", "q", "r")
PHASES = tuple(PhaseKey(Mode.STACK, name) for name in ("pre-install", "install", "extra"))
INSTALL = PHASES[1]

#: Seconds: of what is added to and taken from an epoch, the rest is rounding.
NEAR = 1e-4

#: node, plugin, phase
Key = tuple[str, str, PhaseKey]


@dataclass(frozen=True)
class Lab:
    """What would happen: the batches, how long each step takes and how long after the one before
    it begins, how wrong each node's clock is and by how much it jumps in a step.
    """

    batches: list[list[str]]
    linear: bool
    takes: dict[Key, float]
    pauses: dict[Key, float]
    skews: dict[str, float]
    jumps: dict[Key, float]
    events: list[Event] = field(default_factory=list)

    def run(self, without: Collection[Key] = ()) -> float:
        """The seconds that it all takes if some steps took none; what is journalled goes along."""
        self.events.clear()
        now = 0.0
        for batch in self.batches:
            for phases in [[phase] for phase in PHASES] if self.linear else [list(PHASES)]:
                now = self._stretch(batch, phases, now, without)
                if len(batch) > 1:
                    self.events.append(BarrierOpened(mode=Mode.STACK, phase=phases[-1].phase))
            self.events.extend(NodeFinished(node=node, status=Status.OK) for node in batch)
        return now

    def _stretch(
        self, batch: list[str], phases: list[PhaseKey], now: float, without: Collection[Key]
    ) -> float:
        self.events.extend(
            PhaseStarted(node=n, mode=Mode.STACK, phase=phases[0].phase) for n in batch
        )
        found: list[tuple[float, StepFinished]] = []
        ends = []
        for node in batch:
            clock = now
            for phase in phases:
                for plugin in PLUGINS:
                    key = (node, plugin, phase)
                    clock += self.pauses.get(key, 0.0)
                    takes = 0.0 if key in without else self.takes[key]
                    found.append((clock + takes, self._step(key, clock, takes)))
                    clock += takes
            ends.append(clock)
        self.events.extend(event for _, event in sorted(found, key=lambda pair: pair[0]))
        return max(ends)

    def _step(self, key: Key, begin: float, takes: float) -> StepFinished:
        node, plugin, phase = key
        start = T0 + begin + self.skews[node]
        jump = self.jumps.get(key, 0.0)
        self.skews[node] += jump
        return StepFinished(
            node=node,
            mode=phase.mode,
            phase=phase.phase,
            plugin=plugin,
            status=Status.OK,
            start=start,
            end=start + takes + jump,
            duration_s=takes,
            clock_step_s=jump,
        )


def all_keys(batches: list[list[str]]) -> list[Key]:
    nodes = [node for batch in batches for node in batch]
    return [(node, plugin, phase) for node in nodes for phase in PHASES for plugin in PLUGINS]


SECONDS = st.integers(0, 40).map(lambda tenths: tenths / 10)


@st.composite
def labs(draw: st.DrawFn, *, one_batch: bool = False) -> Lab:
    """Few nodes, few different durations: so that ties and near misses are common."""
    nodes = draw(st.sampled_from([["a"], ["a", "b"], ["a", "b", "c"]]))
    batches = [nodes] if one_batch else draw(st.sampled_from([[nodes], [["z"], nodes]]))
    keys = all_keys(batches)
    # A pause in front of a stretch's first step begins it late on that node.
    pauses = draw(st.dictionaries(st.sampled_from(keys), SECONDS, max_size=4))
    return Lab(
        batches=batches,
        linear=draw(st.booleans()),
        takes={key: draw(SECONDS) for key in keys},
        pauses=pauses,
        skews={node: draw(st.floats(-1e4, 1e4)) for batch in batches for node in batch},
        jumps=draw(st.dictionaries(st.sampled_from(keys), st.floats(-100, 100), max_size=2)),
    )


def journal_of(lab: Lab, without: Collection[Key] = (), *, compared: bool = True) -> list[Event]:
    clocks = [
        ClockCompared(node=node, offset_s=skew, uncertainty_s=0.0)
        for node, skew in lab.skews.items()
    ]
    skews = dict(lab.skews)
    lab.run(without)
    lab.skews.update(skews)
    return [*(clocks if compared else []), *lab.events]


def near(left: float, right: float) -> bool:
    return math.isclose(left, right, abs_tol=NEAR)


@given(labs(), st.data())
def test_without_a_step_the_run_is_shorter_by_its_gain(lab: Lab, data: st.DataObject) -> None:
    """However wrong the clocks are, whoever began late, whatever the strategy is."""
    path = critical_path(journal_of(lab))
    key = data.draw(st.sampled_from([*lab.takes]))
    assert near(path.step_gains()[key], lab.run() - lab.run([key]))


@given(labs(), st.data())
def test_without_a_plugins_phase_the_run_is_shorter_by_its_gain(
    lab: Lab, data: st.DataObject
) -> None:
    path = critical_path(journal_of(lab))
    gains = {(gain.plugin, gain.phase): gain.everywhere_s for gain in path.gains}
    plugin, phase = data.draw(st.sampled_from(PLUGINS)), data.draw(st.sampled_from(PHASES))
    free = [key for key in lab.takes if key[1:] == (plugin, phase)]
    assert near(gains.get((plugin, phase), 0.0), lab.run() - lab.run(free))


@given(labs())
def test_the_path_is_as_long_as_the_run(lab: Lab) -> None:
    """But for what nobody did anything in: a pause of all nodes at the beginning of a stretch."""
    lab.pauses.clear()
    assert near(critical_path(journal_of(lab)).seconds, lab.run())


@given(labs(one_batch=True))
def test_gains_are_sorted_and_within_what_the_step_took(lab: Lab) -> None:
    gains = critical_path(journal_of(lab)).gains
    assert [g.everywhere_s for g in gains] == sorted((g.everywhere_s for g in gains), reverse=True)
    for gain in gains:
        assert 0 <= gain.there_s <= gain.everywhere_s + NEAR
        assert gain.everywhere_s <= gain.slowest.duration_s + NEAR


@given(labs())
def test_clocks_that_were_never_compared_put_nobody_late(lab: Lab) -> None:
    """A journal of an old version: what the steps took is all that can be compared."""
    path = critical_path(journal_of(lab, compared=False))
    lab.pauses.clear()
    assert near(path.seconds, lab.run())


@given(labs(one_batch=True), st.data())
def test_what_is_within_the_uncertainty_is_not_called_late(lab: Lab, data: st.DataObject) -> None:
    """Clocks as they were estimated, each wrong by less than is said of it."""
    lab.pauses.clear()
    lab.jumps.clear()
    wrong = [
        ClockCompared(
            node=node, offset_s=skew + data.draw(st.floats(-0.19, 0.19)), uncertainty_s=0.2
        )
        for node, skew in lab.skews.items()
    ]
    path = critical_path([*wrong, *journal_of(lab, compared=False)])
    assert near(path.seconds, lab.run())
    assert {load.late_s for stretch in path.stretches for load in stretch.loads} == {0.0}


@given(runs())
def test_any_journal_has_a_path(events: list[Event]) -> None:
    for length in range(len(events)):
        path = critical_path(events[:length])
        assert path.seconds >= 0


def linear(*groups: list[Event]) -> CriticalPath:
    """A run of several phases with a barrier behind each."""
    events: list[Event] = []
    for group, phase in zip(groups, PHASES, strict=False):
        events += [*group, BarrierOpened(mode=phase.mode, phase=phase.phase)]
    return critical_path(events)


def test_the_slowest_node_decides_and_its_longest_step_is_named() -> None:
    path = linear(
        [
            *step("a", INSTALL, "p", 3.0),
            *step("a", INSTALL, "q", 4.0),
            *step("b", INSTALL, "p", 5.0),
        ]
    )
    (stretch,) = path.stretches
    assert (stretch.decisive.node, stretch.decisive.longest.plugin) == ("a", "q")
    assert (stretch.seconds, stretch.lead_s, stretch.waited_s) == (7.0, 2.0, 2.0)
    gains = {gain.plugin: (gain.everywhere_s, gain.there_s) for gain in path.gains}
    # Without p: 4 on a. Without q: 5 on b.
    assert gains == {"p": (3.0, 2.0), "q": (2.0, 2.0)}


def test_a_node_that_failed_may_hold_the_barrier_but_does_not_wait_there() -> None:
    path = linear(
        [
            *step("a", INSTALL, "p", 1.0, status=Status.FAILED),
            *step("b", INSTALL, "p", 5.0),
            *step("c", INSTALL, "p", 7.0, status=Status.FAILED),
        ]
    )
    (stretch,) = path.stretches
    assert (stretch.decisive.node, stretch.waited_s) == ("c", 2.0)


def test_equal_nodes_gain_nothing_alone_and_everything_together() -> None:
    path = linear([*step("a", INSTALL, "p", 5.0), *step("b", INSTALL, "p", 5.0)])
    assert [(gain.there_s, gain.everywhere_s) for gain in path.gains] == [(0.0, 5.0)]


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_is_set_counts_from_there_on(jump: float) -> None:
    first = StepFinished(node="n", mode=Mode.STACK, plugin="p", status=Status.OK, clock_step_s=jump)
    second = StepFinished(node="n", mode=Mode.STACK, plugin="q", status=Status.OK)
    events = [ClockCompared(node="n", offset_s=1.0, uncertainty_s=0.1), first, second]
    assert [clock.offset_s for clock in readings(events)] == [1.0, 1.0 + jump]
