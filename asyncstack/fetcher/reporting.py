"""From how a job went to its result."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from asyncstack.checkouts.values import FetchResult
from asyncstack.checkouts.wording import hint_for
from asyncstack.fetcher.attempts import Job
from asyncstack.git.failures import FailureClass
from asyncstack.git.process import Ended
from asyncstack.git.urls import parse_url
from asyncstack.model import FetchStatus, Suspicion

__all__ = ["failure_of", "result_of"]

_MIB = 1 << 20


def failure_of(job: Job, ended: Ended, *, hint: str = "") -> FetchResult:
    """Return the result of a job that ended badly."""
    failure, pinned = ended.failure or FailureClass.OTHER, bool(job.request.commit)
    return result_of(
        job,
        FetchStatus.FAILED,
        message=ended.words.strip() or f"git ended with status {ended.returncode}",
        hint=hint or _where_to_make_room(job, failure) or hint_for(failure, pinned=pinned),
        failure=failure,
    )


def _where_to_make_room(job: Job, failure: FailureClass) -> str:
    """Name the one that is fuller, $DEST or the cache: git doesn't say where its disk is full."""
    if failure is not FailureClass.DISK_FULL:
        return ""
    places = [str(Path(job.request.directory).parent), job.options.cache_directory]
    free = {
        place: shutil.disk_usage(place).free for place in places if place and Path(place).is_dir()
    }
    if not free:
        return ""
    fuller = min(free, key=lambda place: free[place])
    return f"free some space in {fuller} ({free[fuller] // _MIB} MiB are left) and run it again"


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
