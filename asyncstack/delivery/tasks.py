"""The parcels of one node while they are under way, and the events that say so."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from asyncstack.delivery.values import Delivered, Parcel
from asyncstack.events import Emit, FetchFinished, FetchProgress, FetchRetried, FetchStarted, Warned
from asyncstack.git.failures import FailureClass, classify
from asyncstack.git.urls import parse_url, redact
from asyncstack.model import FetchStatus, Suspicion

__all__ = ["Batch", "Task"]

#: Seconds between two progress events of one repository.
_PROGRESS_EVERY_S = 0.1


@dataclass(slots=True)
class Task:
    """One parcel on its way to one node. It ends exactly once: `finish` or `fail`.

    `resumes` is set where an interrupted update is to be finished first.
    """

    number: int
    node: str
    parcel: Parcel
    emit: Emit
    result: Delivered | None = None
    resumes: bool = False
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
        parcel = self.parcel
        self.emit(
            FetchStarted(
                plugin=parcel.plugin,
                url=parse_url(parcel.url).url,
                ref=parcel.ref,
                directory=parcel.directory,
                node=self.node,
            )
        )

    def sent(self, count: int, size: int) -> None:
        """Count bytes that went out, and say so ten times a second, and at the end."""
        self._sent += count
        now = anyio.current_time()
        if self._sent < size and now - self._progress_at < _PROGRESS_EVERY_S:
            return
        self._progress_at, self._sent_at = now, time.time()
        self.emit(
            FetchProgress(
                plugin=self.parcel.plugin,
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
                plugin=self.parcel.plugin,
                url=parse_url(self.parcel.url).url,
                attempt=attempt,
                reason=classify(words).value,
                message=words.strip().rpartition("\n")[2],
                delay_s=delay_s,
                node=self.node,
            )
        )
        self._attempts = attempt + 1

    def fail(
        self, message: str, *, failure: FailureClass | None = None, hint: str = "", commit: str = ""
    ) -> None:
        """End as failed; git's words tell the class of failure if it isn't given."""
        words = redact(message).strip()
        self.finish(
            FetchStatus.FAILED,
            message=words or "it ended without a word",
            hint=hint,
            failure=failure or classify(words),
            commit=commit,
        )

    def finish(
        self,
        status: FetchStatus,
        *,
        commit: str = "",
        message: str = "",
        hint: str = "",
        failure: FailureClass | None = None,
        warnings: tuple[Suspicion, ...] = (),
    ) -> None:
        """End with a status."""
        if self.result is not None:
            return
        self.start()
        parcel, end = self.parcel, time.time()
        self.result = Delivered(
            node=self.node,
            plugin=parcel.plugin,
            url=parse_url(parcel.url).url,
            ref=parcel.ref,
            directory=parcel.directory,
            status=status,
            commit=commit,
            message=message,
            hint=hint,
            failure=failure,
            start=self._started,
            end=end,
            sent_bytes=self._sent,
            stages=self._stages(end),
            warnings=warnings,
        )
        self._tell(self.result)

    def _stages(self, end: float) -> dict[str, float]:
        if not self._sent:
            return {}
        between = self._sent_at or end
        return {
            "send": round(max(0.0, between - self._started), 6),
            "checkout": round(max(0.0, end - between), 6),
        }

    def _tell(self, result: Delivered) -> None:
        for warning in result.warnings:
            self.emit(
                Warned(
                    code=warning.code,
                    message=warning.message,
                    node=self.node,
                    plugin=result.plugin,
                )
            )
        self.emit(
            FetchFinished(
                plugin=result.plugin,
                url=result.url,
                ref=result.ref,
                directory=result.directory,
                status=result.status,
                commit=result.commit,
                node=self.node,
                start=result.start,
                end=result.end,
                duration_s=round(result.duration_s, 6),
                attempts=self._attempts,
                received_bytes=result.sent_bytes,
                stages=result.stages,
                message=result.message,
            )
        )


@dataclass(slots=True)
class Batch:
    """All tasks of one node."""

    node: str
    parcels: Sequence[Parcel]
    emit: Emit
    tasks: list[Task] = field(init=False)

    def __post_init__(self) -> None:
        self.tasks = [
            Task(number, self.node, parcel, self.emit) for number, parcel in enumerate(self.parcels)
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

    def results(self) -> list[Delivered]:
        """Return all results, in the order of the parcels."""
        return [task.result for task in self.tasks if task.result is not None]
