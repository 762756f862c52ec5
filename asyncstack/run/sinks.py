"""Where events go: redacted once, then to the journal, the step logs and the display."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from asyncstack.events import (
    BarrierOpened,
    Event,
    FetchFinished,
    FetchStarted,
    NodeBooted,
    NodeFinished,
    PhaseFinished,
    PhaseStarted,
    PluginRegistered,
    RunFinished,
    SpanFinished,
    StepFinished,
    StepOutput,
    StepStarted,
    Warned,
    kind_of,
)
from asyncstack.journal import Journal, Redactor, StepLogs, StreamRedactor
from asyncstack.model import Status
from asyncstack.reports.display import Display

__all__ = ["Sinks"]


# What a controller that takes a run up hears, or finds out, once more.
_TOLD_AGAIN = (
    NodeBooted,
    PluginRegistered,
    Warned,
    FetchStarted,
    FetchFinished,
    PhaseStarted,
    PhaseFinished,
    BarrierOpened,
    StepStarted,
    StepFinished,
    SpanFinished,
    NodeFinished,
    RunFinished,
)
_IDENTITY = ("node", "mode", "phase", "plugin", "code", "path", "line", "name")


class Sinks:
    """The one `emit` of a run.

    `seen` is what its journal has already, from a controller that is gone: a node that is read
    again from the start says all of it again, and it isn't written twice.
    """

    def __init__(
        self,
        run_id: str,
        journal: Journal,
        logs: StepLogs,
        display: Display,
        redactor: Redactor,
        seen: Sequence[Event] = (),
    ) -> None:
        self._run_id = run_id
        self._journal = journal
        self._logs = logs
        self._display = display
        self._redactor = redactor
        self._streams: dict[str, StreamRedactor] = {}
        #: How each node ended that has.
        self.ended: dict[str, Status] = {}
        self._seen = {_identity(event) for event in seen} - {None}

    def emit(self, event: Event) -> None:
        """Take one event. Raises RunDirectoryError if an earlier one couldn't be written."""
        if isinstance(event, StepOutput):
            self._output(event)
            return
        if isinstance(event, StepFinished) and event.log in self._streams:
            self._write(event.log, self._streams.pop(event.log).flush())
        event = self._redactor.event(msgspec.structs.replace(event, run_id=self._run_id))
        self._display.emit(event)
        if isinstance(event, NodeFinished):
            self.ended[event.node] = event.status
        if not self._seen or _identity(event) not in self._seen:
            self._journal.emit(event)

    def _output(self, event: StepOutput) -> None:
        if event.log not in self._streams:
            self._streams[event.log] = self._redactor.stream()
        data = self._streams[event.log].feed(event.data)
        self._write(event.log, data)
        self._display.emit(msgspec.structs.replace(event, data=data))

    def _write(self, path: str, data: bytes) -> None:
        if data:
            self._logs.write(path, data)

    @property
    def pending_bytes(self) -> int:
        """How much output waits for `flush`, that of all nodes together."""
        return self._logs.pending_bytes

    async def flush(self) -> None:
        """Write the output that has gathered. Raises RunDirectoryError if that fails."""
        await self._logs.flush()

    async def finish(self) -> None:
        """Write everything, what was held back as a possible secret included."""
        for path, stream in self._streams.items():
            self._write(path, stream.flush())
        self._streams.clear()
        await self._logs.flush()
        await self._journal.flush()


def _identity(event: Event) -> tuple[object, ...] | None:
    """What makes it this event and no other, whenever it was heard; None if it is always new."""
    if not isinstance(event, _TOLD_AGAIN):
        return None
    start = event.start if isinstance(event, SpanFinished) else 0.0
    return (kind_of(event), start, *(getattr(event, name, None) for name in _IDENTITY))
