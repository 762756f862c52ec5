"""From how a job went to its result, and to the events that tell of it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from asyncstack.events import FetchFinished, Warned
from asyncstack.fetcher.attempts import Job
from asyncstack.fetcher.values import FetchResult, FetchWarning
from asyncstack.fetcher.warnings import hint_for
from asyncstack.git.failures import FailureClass
from asyncstack.git.process import Ended
from asyncstack.git.urls import parse_url
from asyncstack.model import FetchStatus

__all__ = ["failure_of", "finish", "result_of", "warn"]


def failure_of(job: Job, ended: Ended, *, hint: str = "") -> FetchResult:
    """Return the result of a job that ended badly."""
    failure = ended.failure or FailureClass.OTHER
    return result_of(
        job,
        FetchStatus.FAILED,
        message=ended.words.strip() or f"git ended with status {ended.returncode}",
        hint=hint or hint_for(failure, pinned=bool(job.request.commit)),
        failure=failure,
    )


def result_of(
    job: Job,
    status: FetchStatus,
    *,
    commit: str = "",
    message: str = "",
    hint: str = "",
    failure: FailureClass | None = None,
    warnings: Sequence[FetchWarning] = (),
) -> FetchResult:
    """Return a job's result, ending now."""
    job.begin()
    request, outcome = job.request, job.outcome
    return FetchResult(
        plugin=request.plugin,
        url=parse_url(request.url).url,
        ref=request.ref,
        directory=request.directory,
        status=status,
        commit=commit,
        message=message,
        hint=hint,
        failure=failure,
        attempts=outcome.attempts,
        start=job.start,
        end=time.time(),
        received_bytes=outcome.received_bytes,
        objects=outcome.objects,
        stages=dict(outcome.stages),
        warnings=tuple(warnings),
    )


def warn(job: Job, warning: FetchWarning) -> None:
    """Tell of something that a user should know."""
    job.emit(
        Warned(
            code=warning.code,
            message=warning.message,
            plugin=job.request.plugin,
            node=job.options.node,
        )
    )


def finish(job: Job, result: FetchResult) -> FetchResult:
    """Tell of a job's warnings and end; return its result."""
    for warning in result.warnings:
        warn(job, warning)
    job.emit(
        FetchFinished(
            plugin=result.plugin,
            url=result.url,
            ref=result.ref,
            directory=result.directory,
            status=result.status,
            commit=result.commit,
            node=job.options.node,
            start=result.start,
            end=result.end,
            duration_s=round(result.duration_s, 6),
            attempts=result.attempts,
            received_bytes=result.received_bytes,
            objects=result.objects,
            stages=result.stages,
            message=result.message,
        )
    )
    return result
