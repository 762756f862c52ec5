"""Progress as plain lines: for logs, pipes and terminals that can't move their cursor."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from asyncstack.events import (
    BarrierOpened,
    ClockCompared,
    ConnectionChanged,
    Event,
    FetchFinished,
    FetchStarted,
    NodeBooted,
    NodeFinished,
    PhaseFinished,
    PhaseStarted,
    RunStarted,
    StepFinished,
    StepStarted,
)
from asyncstack.model import Status
from asyncstack.reports.wording import describe

__all__ = ["Plain"]

#: Kinds that `--verbose` adds: what began, not only what ended.
_VERBOSE = (FetchStarted, NodeBooted, ClockCompared, PhaseStarted, PhaseFinished, StepStarted)

#: Seconds from which on it is told to everybody that nodes waited for one.
LONG_WAIT_S = 1.0

# What never ran is told in detail to who asks for it; a failed run has very many of them.
_UNEVENTFUL = (Status.SKIPPED, Status.ABORTED)


class Plain:
    """Writes one line an event: seconds since the run began, what, who, how it ended."""

    def __init__(
        self, stream: TextIO, *, verbose: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream: TextIO | None = stream
        self._verbose = verbose
        self._clock = clock
        self._began = clock()
        self._several_nodes = False

    def emit(self, event: Event) -> None:
        """Write the event's line, if it has one."""
        if isinstance(event, RunStarted):
            self._several_nodes = len(event.nodes) > 1
        if isinstance(event, _VERBOSE) and not self._verbose:
            return
        if _is_uneventful(event) and not self._verbose:
            return
        text = describe(event)
        if text:
            self._write(f"{self._clock() - self._began:8.2f}  {self._prefix(event)}{text}\n")

    def _prefix(self, event: Event) -> str:
        if not self._several_nodes or isinstance(event, NodeFinished | ConnectionChanged):
            return ""
        node = getattr(event, "node", "")
        return f"{node}: " if node else ""

    def _write(self, line: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(line)
            self._stream.flush()
        except OSError:
            # Whoever read along is gone; the run isn't their business alone.
            self._stream = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to end: every line is flushed already."""


def _is_uneventful(event: Event) -> bool:
    if isinstance(event, BarrierOpened):
        return event.waited_s < LONG_WAIT_S
    if isinstance(event, FetchFinished):
        return event.prefetch and not event.status.good  # a warning follows
    return isinstance(event, StepFinished) and event.status in _UNEVENTFUL
