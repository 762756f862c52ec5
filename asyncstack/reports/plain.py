"""Progress as plain lines: for logs, pipes and terminals that can't move their cursor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TextIO

from asyncstack.events import (
    BarrierOpened,
    ClockCompared,
    ConnectionChanged,
    Event,
    FetchFinished,
    FetchRetried,
    FetchStarted,
    NodeBooted,
    NodeFinished,
    PhaseFinished,
    PhaseStarted,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)
from asyncstack.model import Status
from asyncstack.reports.units import count
from asyncstack.reports.wording import describe

__all__ = ["Plain"]

#: Kinds that `--verbose` adds: what began, not only what ended.
_VERBOSE = (FetchStarted, NodeBooted, ClockCompared, PhaseStarted, PhaseFinished, StepStarted)

#: Seconds from which on it is told to everybody that nodes waited for one.
LONG_WAIT_S = 1.0

#: Seconds in which retries for the same reason become one line, but for the first.
ALIKE_WITHIN_S = 2.0

# What never ran is told in detail to who asks for it; a failed run has very many of them.
_UNEVENTFUL = (Status.SKIPPED, Status.ABORTED)


class Plain:
    """Writes one line an event, retries apart: seconds since the run began, what, who, how it ended."""

    def __init__(
        self, stream: TextIO, *, verbose: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream: TextIO | None = stream
        self._verbose = verbose
        self._clock = clock
        self._began = clock()
        self._several_nodes = False
        self._retries: dict[str, _Retries] = {}

    def emit(self, event: Event) -> None:
        """Write the event's line, if it has one."""
        if isinstance(event, RunStarted):
            self._several_nodes = len(event.nodes) > 1
        if isinstance(event, _VERBOSE) and not self._verbose:
            return
        if _is_uneventful(event) and not self._verbose:
            return
        if self._retries:
            self._tell_retries(at_once=isinstance(event, RunFinished))
        if isinstance(event, FetchRetried) and not self._verbose:
            if event.reason in self._retries:
                self._retries[event.reason].untold.append(event)
                return
            self._retries[event.reason] = _Retries(self._clock() + ALIKE_WITHIN_S)
        self._line(event, describe(event))

    def _tell_retries(self, *, at_once: bool) -> None:
        """Tell of the retries that were like one that was told, once there may be no more of them."""
        now = self._clock()
        for reason, retries in list(self._retries.items()):
            if not at_once and now < retries.until:
                continue
            del self._retries[reason]
            if len(retries.untold) > 1:
                number = count(len(retries.untold), "more try")
                self._line(None, f"fetch: {number} failed ({reason})")
            elif retries.untold:
                self._line(retries.untold[0], describe(retries.untold[0]))

    def _line(self, event: Event | None, text: str) -> None:
        if text:
            prefix = self._prefix(event) if event else ""
            self._write(f"{self._clock() - self._began:8.2f}  {prefix}{text}\n")

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
        """Tell what was held back."""
        if self._retries:
            self._tell_retries(at_once=True)


@dataclass(slots=True)
class _Retries:
    """Retries for one reason: the first one was told, and those that follow before `until` weren't."""

    until: float
    untold: list[FetchRetried] = field(default_factory=list)


def _is_uneventful(event: Event) -> bool:
    if isinstance(event, BarrierOpened):
        return event.waited_s < LONG_WAIT_S
    if isinstance(event, FetchFinished):
        return event.prefetch and not event.status.good  # a warning follows
    return isinstance(event, StepFinished) and event.status in _UNEVENTFUL
