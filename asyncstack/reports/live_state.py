"""What is going on at this moment, as the events told it: no drawing, no clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from asyncstack.events import (
    Event,
    FetchFinished,
    FetchProgress,
    FetchRetried,
    FetchStarted,
    NodeBooted,
    PhaseFinished,
    PhaseStarted,
    PluginRegistered,
    RunStarted,
    StepFinished,
    StepOutput,
    StepStarted,
)
from asyncstack.model import PhaseKey, Status
from asyncstack.reports.steps import worst

__all__ = ["CellState", "FetchState", "LiveState", "Running"]


@dataclass(slots=True)
class FetchState:
    """A repository that is being fetched; `since` is by the display's clock.

    `done` of `total` objects are through the stage that it is in; `objects` were received. `again`
    is when its next try begins.
    """

    since: float
    stage: str = "connecting"
    fraction: float | None = None
    done: int = 0
    total: int = 0
    objects: int = 0
    received_bytes: int = 0
    bytes_per_s: float = 0.0
    again: float = 0.0


@dataclass(slots=True)
class CellState:
    """A plugin in a phase: how many nodes run it, how many are done, how it looks so far."""

    running: int = 0
    since: float = 0.0
    done: int = 0
    seconds: float = 0.0
    status: Status = Status.SKIPPED


@dataclass(slots=True)
class Running:
    """What one node is doing, and the last thing that it printed."""

    plugin: str
    phase: str
    since: float
    output: bytes = b""


@dataclass(slots=True)
class LiveState:
    """The whole picture. `apply` is all that changes it."""

    began: float
    command: str = ""
    nodes: dict[str, None] = field(default_factory=dict)
    #: Plugin → the nodes that registered it; empty for what isn't registered (`@packages`).
    plugins: dict[str, set[str]] = field(default_factory=dict)
    phases: dict[str, None] = field(default_factory=dict)
    phase: str = ""
    fetching: dict[tuple[str, str], FetchState] = field(default_factory=dict)
    #: Plugins that a fetch was told of.
    begun: set[str] = field(default_factory=set)
    fetched: int = 0
    fetch_failures: int = 0
    fetched_bytes: int = 0
    fetched_objects: int = 0
    cells: dict[tuple[str, str], CellState] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)
    #: Nodes that are through with the phase, and wait for the others or for the next one.
    waiting: set[str] = field(default_factory=set)
    #: Nodes whose run has ended early.
    out: set[str] = field(default_factory=set)

    def due(self, plugin: str) -> int:
        """How many nodes are to run a plugin, as far as they still run anything."""
        return len((self.plugins.get(plugin) or self.nodes.keys()) - self.out)

    @property
    def to_be_fetched(self) -> int:
        """How many plugins have had no turn yet."""
        return sum(bool(nodes) and name not in self.begun for name, nodes in self.plugins.items())

    def apply(self, event: Event, now: float) -> None:
        """Take in one event that arrived at `now`."""
        match event:
            case StepOutput():
                self._output(event)
            case StepStarted():
                self._step_started(event, now)
            case StepFinished():
                self._step_finished(event)
            case FetchStarted() | FetchProgress() | FetchRetried() | FetchFinished():
                self._fetch(event, now)
            case PhaseStarted():
                self.phase = PhaseKey(event.mode, event.phase).name
                self.phases.setdefault(self.phase)
                self.waiting.discard(event.node)
            case PhaseFinished():
                (self.waiting if event.status.good else self.out).add(event.node)
            case PluginRegistered():
                self.plugins.setdefault(event.plugin, set()).add(event.node)
            case NodeBooted():
                self.nodes.setdefault(event.node)
            case RunStarted():
                self.command = event.command
                self.nodes.update(dict.fromkeys(event.nodes))
                self.phases.update(dict.fromkeys(event.phases))

    def _fetch(
        self, event: FetchStarted | FetchProgress | FetchRetried | FetchFinished, now: float
    ) -> None:
        key = (event.plugin, event.node)
        self.begun.add(event.plugin)
        if isinstance(event, FetchFinished):
            self.fetching.pop(key, None)
            self.fetched += 1
            self.fetch_failures += not (event.status.good or event.prefetch)
            self.fetched_bytes += event.received_bytes
            self.fetched_objects += event.objects
            return
        if isinstance(event, FetchRetried):
            self._retried(event, now)
            return
        state = self.fetching.setdefault(key, FetchState(now))
        if isinstance(event, FetchProgress):
            state.stage, state.fraction = event.stage, event.fraction
            state.done, state.total = event.objects, event.total_objects
            state.bytes_per_s, state.again = event.bytes_per_s, 0.0
            if event.stage == "receive":
                state.objects = max(state.objects, event.objects)
            state.received_bytes = max(state.received_bytes, event.received_bytes)

    def _retried(self, event: FetchRetried, now: float) -> None:
        """Begin anew with what the next try has to do again; what has come stays counted."""
        key = (event.plugin, event.node)
        last = self.fetching.get(key, FetchState(now))
        self.fetching[key] = FetchState(
            last.since,
            objects=last.objects,
            received_bytes=last.received_bytes,
            again=now + event.delay_s,
        )

    def _cell(self, event: StepStarted | StepFinished) -> CellState:
        phase = PhaseKey(event.mode, event.phase).name
        self.plugins.setdefault(event.plugin, set())
        self.phases.setdefault(phase)
        return self.cells.setdefault((event.plugin, phase), CellState())

    def _step_started(self, event: StepStarted, now: float) -> None:
        cell = self._cell(event)
        cell.since = cell.since if cell.running else now
        cell.running += 1
        phase = PhaseKey(event.mode, event.phase).name
        self.running[event.node] = Running(event.plugin, phase, now)

    def _step_finished(self, event: StepFinished) -> None:
        cell = self._cell(event)
        cell.running = max(0, cell.running - 1)
        self.running.pop(event.node, None)
        if event.status is Status.SKIPPED and event.plugin.startswith("@"):
            self._forget(event.plugin)
            return
        cell.done += 1
        cell.seconds = max(cell.seconds, event.duration_s)
        cell.status = worst((cell.status, event.status))

    def _forget(self, plugin: str) -> None:
        """Leave out what is no plugin and has found nothing to do anywhere: not worth a row."""
        cells = {key: cell for key, cell in self.cells.items() if key[0] == plugin}
        if not any(cell.running or cell.done for cell in cells.values()):
            self.plugins.pop(plugin, None)
            for key in cells:
                del self.cells[key]

    def _output(self, event: StepOutput) -> None:
        running = self.running.get(event.node)
        if running is not None and running.plugin == event.plugin:
            running.output = event.data
