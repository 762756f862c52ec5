"""What a journal adds up to: the one structure that every report is drawn from.

A cell is a plugin in a phase on all its nodes. Its seconds are those of its slowest node, because
that is what the others wait for; with one node that is simply the step. Totals are sums of cells,
so that a table's rows and columns add up to what stands below them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from msgspec import Struct

from asyncstack.events import (
    BarrierOpened,
    ClockCompared,
    Event,
    FetchFinished,
    FilesCopied,
    NodeBooted,
    NodeFinished,
    PluginRegistered,
    RunFinished,
    RunStarted,
    SpanFinished,
    StepFinished,
    Warned,
)
from asyncstack.model import PhaseKey, Status
from asyncstack.reports.clocks import Reading, readings
from asyncstack.reports.critical import CriticalPath, critical_path
from asyncstack.reports.steps import did_run, key_of, worst

__all__ = ["Cell", "Summary", "summarise"]

_E = TypeVar("_E", bound=Event)


class Cell(Struct, frozen=True):
    """One plugin in one phase: every node's step, and the one that took longest."""

    steps: tuple[StepFinished, ...]
    slowest: StepFinished
    status: Status

    @property
    def seconds(self) -> float:
        """Wall time on the slowest node; none if there was nothing to run."""
        return self.slowest.duration_s if did_run(self.slowest) else 0.0


class Summary(Struct, frozen=True, kw_only=True):
    """A run. Plugins are in registration order, phases in the order in which they ran.

    `plugin_s` and `phase_s` are the sums of the cells of a plugin and of a phase; `fetch_s` is the
    time of a plugin's slowest fetch, for those that were fetched. `readings` are the clocks of the
    `steps`, one for one; `dests` is each node's $DEST.
    """

    run_id: str
    timestamp: str
    command: str
    local_conf: str
    status: Status
    exit_code: int | None
    duration_s: float
    nodes: tuple[str, ...]
    plugins: tuple[str, ...]
    phases: tuple[PhaseKey, ...]
    cells: dict[tuple[str, PhaseKey], Cell]
    steps: tuple[StepFinished, ...]
    fetches: tuple[FetchFinished, ...]
    fetch_s: dict[str, float]
    plugin_s: dict[str, float]
    phase_s: dict[PhaseKey, float]
    spans: tuple[SpanFinished, ...]
    barriers: tuple[BarrierOpened, ...]
    copies: tuple[FilesCopied, ...]
    clocks: tuple[ClockCompared, ...]
    readings: tuple[Reading, ...]
    path: CriticalPath
    dests: dict[str, str]
    warnings: tuple[Warned, ...]
    lost_nodes: tuple[NodeFinished, ...]

    @property
    def total_s(self) -> float:
        """The sum of all cells."""
        return sum(self.phase_s.values())

    def slowest(self, count: int) -> list[StepFinished]:
        """The steps that took longest, longest first; at least a hundredth of the whole each."""
        enough = self.total_s / 100
        ran = [step for step in self.steps if step.duration_s > 0 and step.duration_s >= enough]
        return sorted(ran, key=lambda step: -step.duration_s)[:count]

    @property
    def failures(self) -> list[StepFinished]:
        """The steps that failed, or were lost with their node, in the order they ended."""
        return [step for step in self.steps if step.status in (Status.FAILED, Status.LOST)]

    @property
    def longest_fetches(self) -> list[FetchFinished]:
        """All repositories, longest first."""
        return sorted(self.fetches, key=lambda fetch: -fetch.duration_s)

    @property
    def failed_fetches(self) -> list[FetchFinished]:
        """The repositories that could not be fetched; of those that nobody else will clone."""
        return [fetch for fetch in self.fetches if not (fetch.status.good or fetch.prefetch)]


def summarise(events: Iterable[Event]) -> Summary:
    """Add up a journal. One that is cut short, or has no end yet, gives what is there."""
    events = list(events)
    by_kind: dict[type[Event], list[Event]] = {}
    for event in events:
        by_kind.setdefault(type(event), []).append(event)
    steps = _of(by_kind, StepFinished)
    started = next(iter(_of(by_kind, RunStarted)), RunStarted(command="", version=""))
    # A run that was taken up again has an end for each time; the last one counts.
    finished = next(reversed(_of(by_kind, RunFinished)), None)
    fetches = _of(by_kind, FetchFinished)
    plugins = _plugins(_of(by_kind, PluginRegistered), fetches, steps)
    phases = tuple(dict.fromkeys(key_of(step) for step in steps))
    booted = _of(by_kind, NodeBooted)
    cells = _cells(steps)
    return Summary(
        run_id=started.run_id,
        timestamp=started.timestamp,
        command=started.command,
        local_conf=started.local_conf,
        status=finished.status if finished else Status.RUNNING,
        exit_code=finished.exit_code if finished else None,
        duration_s=finished.duration_s if finished else _elapsed([*fetches, *steps]),
        nodes=_nodes(started, booted, steps),
        plugins=plugins,
        phases=phases,
        cells=cells,
        plugin_s={name: _seconds(cells, [(name, key) for key in phases]) for name in plugins},
        phase_s={key: _seconds(cells, [(name, key) for name in plugins]) for key in phases},
        steps=tuple(steps),
        fetches=tuple(fetches),
        fetch_s=_slowest_fetches(fetches),
        spans=tuple(_of(by_kind, SpanFinished)),
        barriers=tuple(_of(by_kind, BarrierOpened)),
        copies=tuple(_of(by_kind, FilesCopied)),
        clocks=tuple(_of(by_kind, ClockCompared)),
        readings=tuple(readings(events)),
        path=critical_path(events),
        dests={event.node: event.dest for event in booted},
        warnings=tuple(_of(by_kind, Warned)),
        lost_nodes=_lost(_of(by_kind, NodeFinished)),
    )


def _of(by_kind: dict[type[Event], list[Event]], kind: type[_E]) -> list[_E]:
    return [event for event in by_kind.get(kind, []) if isinstance(event, kind)]


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _plugins(
    registered: Sequence[PluginRegistered],
    fetches: Sequence[FetchFinished],
    steps: Sequence[StepFinished],
) -> tuple[str, ...]:
    names = [event.plugin for event in registered]
    names += [event.plugin for event in fetches]
    # What is no plugin (`@packages`) is told only if there was something to do.
    names += [step.plugin for step in steps if did_run(step) or not step.plugin.startswith("@")]
    return _unique(names)


def _nodes(
    started: RunStarted, booted: Sequence[NodeBooted], steps: Sequence[StepFinished]
) -> tuple[str, ...]:
    names = [*started.nodes, *(event.node for event in booted)]
    return _unique(names + [event.node for event in steps])


def _lost(finished: Sequence[NodeFinished]) -> tuple[NodeFinished, ...]:
    last = {event.node: event for event in finished}
    bad = (Status.LOST, Status.UNREACHABLE)
    return tuple(event for event in last.values() if event.status in bad)


def _elapsed(ended: Sequence[FetchFinished | StepFinished]) -> float:
    """How long it took so far, from the first that began to the last that ended."""
    known = [event for event in ended if event.start]
    if not known:
        return 0.0
    return max(0.0, max(event.end for event in known) - min(event.start for event in known))


def _cells(steps: Sequence[StepFinished]) -> dict[tuple[str, PhaseKey], Cell]:
    groups: dict[tuple[str, PhaseKey], list[StepFinished]] = {}
    for step in steps:
        groups.setdefault((step.plugin, key_of(step)), []).append(step)
    return {key: _cell(group) for key, group in groups.items()}


def _cell(steps: list[StepFinished]) -> Cell:
    ran = [step for step in steps if did_run(step)]
    slowest = max(ran or steps, key=lambda step: step.duration_s)
    return Cell(tuple(steps), slowest, worst(step.status for step in steps))


def _seconds(
    cells: dict[tuple[str, PhaseKey], Cell], keys: Iterable[tuple[str, PhaseKey]]
) -> float:
    return sum(cells[key].seconds for key in keys if key in cells)


def _slowest_fetches(fetches: Sequence[FetchFinished]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for fetch in fetches:
        seconds[fetch.plugin] = max(fetch.duration_s, seconds.get(fetch.plugin, 0.0))
    return seconds
