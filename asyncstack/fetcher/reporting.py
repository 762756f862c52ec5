"""From how a job went to its result."""

from __future__ import annotations

import time
from collections.abc import Sequence

from asyncstack.checkouts.values import FetchResult
from asyncstack.checkouts.wording import hint_for
from asyncstack.fetcher.attempts import Job
from asyncstack.git.failures import FailureClass
from asyncstack.git.process import Ended
from asyncstack.git.urls import parse_url
from asyncstack.model import FetchStatus, Suspicion

__all__ = ["failure_of", "result_of"]


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
    warnings: Sequence[Suspicion] = (),
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
        node=job.options.node,
    )
