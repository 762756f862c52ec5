"""The parcels of one node while they are under way, and the events that say so."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from asyncstack.checkouts.telling import tell_end, tell_start
from asyncstack.checkouts.values import FetchRequest, FetchResult
from asyncstack.checkouts.wording import hint_for
from asyncstack.events import Emit, FetchProgress, FetchRetried
from asyncstack.git.failures import FailureClass, classify
from asyncstack.git.urls import parse_url, redact
from asyncstack.model import FetchStatus, Suspicion

__all__ = ["Batch", "Task"]

#: What no other way of getting there cures.
_ENDS_DETOURS = frozenset(
    {
        FailureClass.DISK_FULL,
        FailureClass.LOCAL_CHANGES,
        FailureClass.PERMISSION,
        FailureClass.REFUSED_BY_US,
    }
)
#: Seconds between two progress events of one repository.
_PROGRESS_EVERY_S = 0.1


@dataclass(slots=True)
class Task:
    """One repository on its way to one node. It ends exactly once: `finish` or `fail`.

    On a `detour`, by way of a seed or a mirror, what fails is told as a retry: there is another way.
    """

    number: int
    node: str
    request: FetchRequest
    emit: Emit
    result: FetchResult | None = None
    detour: str = ""
    _started: float = 0.0
    _sent: int = 0
    _sent_at: float = 0.0
    _progress_at: float = -1.0
    _attempts: int = 1

    def start(self) -> None:
        """Say that work on it begins."""
        if self._started:
            return
        self._started = time.time()
        tell_start(self.request, self.node, self.emit)

    def sent(self, count: int, size: int) -> None:
        """Count bytes that went out, and say so ten times a second, and at the end."""
        self._sent += count
        now = anyio.current_time()
        if self._sent < size and now - self._progress_at < _PROGRESS_EVERY_S:
            return
        self._progress_at, self._sent_at = now, time.time()
        self.emit(
            FetchProgress(
                plugin=self.request.plugin,
                stage="Sending",
                fraction=self._sent / size,
                received_bytes=self._sent,
                bytes_per_s=self._sent / max(1e-6, self._sent_at - self._started),
                node=self.node,
            )
        )

    def retry(self, attempt: int, delay_s: float, message: str) -> None:
        """Say that a try failed and another one follows."""
        words = redact(message)
        self.emit(
            FetchRetried(
                plugin=self.request.plugin,
                url=parse_url(self.request.url).url,
                attempt=attempt,
                reason=classify(words).value,
                message=_last(words),
                delay_s=delay_s,
                node=self.node,
            )
        )
        self._attempts = attempt + 1

    def fail(
        self, message: str, *, failure: FailureClass | None = None, hint: str = "", commit: str = ""
    ) -> None:
        """End as failed; git's words tell the class of failure if it isn't given."""
        if self.result is not None:
            return
        words = redact(message).strip()
        failure = failure or classify(words)
        if self.detour and failure not in _ENDS_DETOURS:
            self.leave_detour(words or failure.value)
            return
        self.finish(
            FetchStatus.FAILED,
            message=words or "it ended without a word",
            hint=hint or hint_for(failure, pinned=bool(self.request.commit)),
            failure=failure,
            commit=commit,
        )

    def leave_detour(self, words: str) -> None:
        """Say that it doesn't come that way, and let it come by another one."""
        place, self.detour = self.detour, ""
        self.retry(self._attempts, 0.0, f"not from {place}: {_last(words)}")

    def finish(
        self,
        status: FetchStatus,
        *,
        commit: str = "",
        message: str = "",
        hint: str = "",
        failure: FailureClass | None = None,
        warnings: Sequence[Suspicion] = (),
    ) -> None:
        """End with a status."""
        if self.result is not None:
            return
        self.start()
        request, end = self.request, time.time()
        self.result = FetchResult(
            plugin=request.plugin,
            url=parse_url(request.url).url,
            ref=request.ref,
            directory=request.directory,
            status=status,
            commit=commit,
            message=message,
            hint=hint,
            failure=failure,
            attempts=self._attempts,
            start=self._started,
            end=end,
            received_bytes=self._sent,
            stages=self._stages(end),
            warnings=tuple(warnings),
            node=self.node,
        )
        tell_end(self.result, self.emit)

    def _stages(self, end: float) -> dict[str, float]:
        if not self._sent:
            return {}
        between = self._sent_at or end
        return {
            "send": round(max(0.0, between - self._started), 6),
            "checkout": round(max(0.0, end - between), 6),
        }


def _last(words: str) -> str:
    return words.strip().rpartition("\n")[2]


@dataclass(slots=True)
class Batch:
    """All tasks of one node."""

    node: str
    requests: Sequence[FetchRequest]
    emit: Emit
    tasks: list[Task] = field(init=False)

    def __post_init__(self) -> None:
        self.tasks = [
            Task(number, self.node, request, self.emit)
            for number, request in enumerate(self.requests)
        ]

    def fail_rest(self, message: str) -> None:
        """End what has no end yet: nobody will hear of it any more."""
        for task in self.tasks:
            if task.result is None:
                task.fail(message, failure=FailureClass.RESET)

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Give every task an end, however the block ends."""
        try:
            yield
        except anyio.get_cancelled_exc_class():
            for task in self.tasks:
                task.finish(FetchStatus.CANCELLED, message="cancelled")
            raise

    def results(self) -> list[FetchResult]:
        """Return all results, in the order of the requests."""
        return [task.result for task in self.tasks if task.result is not None]
