"""Where events go: redacted once, then to the journal, the step logs and the display."""

from __future__ import annotations

import msgspec

from asyncstack.events import Event, StepFinished, StepOutput
from asyncstack.journal import Journal, Redactor, StepLogs, StreamRedactor
from asyncstack.reports.display import Display

__all__ = ["Sinks"]


class Sinks:
    """The one `emit` of a run."""

    def __init__(
        self, run_id: str, journal: Journal, logs: StepLogs, display: Display, redactor: Redactor
    ) -> None:
        self._run_id = run_id
        self._journal = journal
        self._logs = logs
        self._display = display
        self._redactor = redactor
        self._streams: dict[str, StreamRedactor] = {}

    def emit(self, event: Event) -> None:
        """Take one event. Raises RunDirectoryError if an earlier one couldn't be written."""
        if isinstance(event, StepOutput):
            self._output(event)
            return
        if isinstance(event, StepFinished) and event.log in self._streams:
            self._write(event.log, self._streams.pop(event.log).flush())
        event = self._redactor.event(msgspec.structs.replace(event, run_id=self._run_id))
        self._journal.emit(event)
        self._display.emit(event)

    def _output(self, event: StepOutput) -> None:
        if event.log not in self._streams:
            self._streams[event.log] = self._redactor.stream()
        data = self._streams[event.log].feed(event.data)
        self._write(event.log, data)
        self._display.emit(msgspec.structs.replace(event, data=data))

    def _write(self, path: str, data: bytes) -> None:
        if data:
            self._logs.write(path, data)

    async def flush(self) -> None:
        """Write the output that has gathered. Raises RunDirectoryError if that fails."""
        await self._logs.flush()

    async def finish(self) -> None:
        """Write everything, what was held back as a possible secret included."""
        for path, stream in self._streams.items():
            self._write(path, stream.flush())
        self._streams.clear()
        await self._logs.flush()
