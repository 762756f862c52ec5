"""Carry out the retry policy: sources in order, tries with their waits, caps that follow the host."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio

from asyncstack.checkouts.rules import sources
from asyncstack.checkouts.telling import tell_start
from asyncstack.checkouts.values import FetchOptions, FetchRequest
from asyncstack.events import Emit, FetchProgress, FetchRetried
from asyncstack.fetcher.files import in_words
from asyncstack.fetcher.retry import (
    LONGEST_RETRY_AFTER_S,
    delay_before_retry,
    explain,
    is_throttling,
    not_before,
)
from asyncstack.fetcher.throttle import Throttle
from asyncstack.git.commands import Git
from asyncstack.git.failures import FailureClass, essence
from asyncstack.git.process import Ended
from asyncstack.git.progress import Progress
from asyncstack.git.trace import read_retry_after, read_stages, trace_environment
from asyncstack.git.urls import parse_url

__all__ = ["Job", "Operation", "Outcome", "failed", "failed_by", "read_from_mirror", "try_all"]

#: One try: talk to this URL with this git.
Operation = Callable[[Git, str], Awaitable[Ended]]

#: Failures of gits that we have ended ourselves.
_KILLED = (FailureClass.STALL, FailureClass.TIMEOUT)

#: Seconds between two progress events of one repository.
_PROGRESS_EVERY_S = 0.1


@dataclass(slots=True)
class Outcome:
    """What a job has cost so far; filled in as it goes on."""

    attempts: int = 0
    received_bytes: int = 0
    objects: int = 0
    stages: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, seconds: float) -> None:
        self.stages[stage] = round(self.stages.get(stage, 0.0) + seconds, 6)


@dataclass(slots=True)
class Job:
    """One repository on its way."""

    request: FetchRequest
    options: FetchOptions
    emit: Emit
    git: Git
    throttle: Throttle
    start: float = 0.0
    outcome: Outcome = field(default_factory=Outcome)
    _last_progress: float = -1.0

    def begin(self) -> None:
        """Note, once, that work begins: a place in the queue is none."""
        if self.start:
            return
        self.start = time.time()
        tell_start(self.request, self.options.node, self.emit)

    def enter(self, stage: str) -> None:
        """Tell that a stage begins, for git says nothing of its first two seconds."""
        received = self.outcome.received_bytes
        self.progress(Progress(stage, None, 0, 0, received, 0.0), at_once=True)

    def progress(self, progress: Progress, *, at_once: bool = False) -> None:
        """Pass git's progress on, ten times a second at most; the end of a stage always."""
        now = anyio.current_time()
        urgent = at_once or progress.fraction == 1.0
        if now - self._last_progress < _PROGRESS_EVERY_S and not urgent:
            return
        self._last_progress = now
        self.emit(
            FetchProgress(
                plugin=self.request.plugin,
                node=self.options.node,
                stage=progress.stage,
                fraction=progress.fraction,
                received_bytes=progress.received_bytes,
                objects=progress.objects,
                total_objects=progress.total,
                bytes_per_s=progress.bytes_per_s,
            )
        )


async def try_all(job: Job, operation: Operation, work: Path) -> Ended:
    """Try every source until one works; return how the last one ended."""
    first, *others = sources(job.request.url, job.options.mirrors)
    ended = await _try_source(job, operation, first, work)
    for url in others:
        if ended.failure is None:
            break
        _tell(job, first, ended, f"next source: {parse_url(url).url}", 0.0)
        first = url
        ended = await _try_source(job, operation, url, work)
    return ended


async def _try_source(job: Job, operation: Operation, url: str, work: Path) -> Ended:
    host = job.throttle.host(parse_url(url).host)
    tries = 0
    while True:
        served, alone = host.served, host.allowed == 1
        ended, retry_after = await _try_once(job, operation, url, work)
        if ended.failure is None:
            return ended
        # Who is sent away while others are served, or because there are too many of us, waits for
        # a turn: that is no failed try.
        refused = alone and host.served == served
        tries += refused or ended.failure is not FailureClass.THROTTLED
        delay = delay_before_retry(
            ended.failure,
            max(1, tries),
            job.options.tries,
            jitter=random.random(),  # noqa: S311 - it only spreads load
            first_s=job.options.backoff_s,
            retry_after_s=retry_after,
        )
        if delay is None:
            return ended
        _tell(job, url, ended, explain(ended.failure), delay)
        await anyio.sleep(delay)
        job.outcome.add("queue", delay)


def _tell(job: Job, url: str, ended: Ended, why: str, delay_s: float) -> None:
    """Tell why another try follows."""
    job.emit(
        FetchRetried(
            plugin=job.request.plugin,
            node=job.options.node,
            url=parse_url(url).url,
            attempt=job.outcome.attempts,
            reason=(ended.failure or FailureClass.OTHER).value,
            message=f"{why}: {essence(ended.words)}".rstrip(": "),
            delay_s=round(delay_s, 3),
        )
    )


async def _try_once(job: Job, operation: Operation, url: str, work: Path) -> tuple[Ended, float]:
    address = parse_url(url)
    job.outcome.attempts += 1
    trace = work / f"trace-{job.outcome.attempts}"
    trace.mkdir(parents=True)
    queued = anyio.current_time()
    async with job.throttle.slot(address.host) as host:
        job.begin()
        job.outcome.add("queue", anyio.current_time() - queued)
        if job.throttle.closed(host):
            # Another repository was told so: each that asks all the same makes it worse.
            return failed(FailureClass.THROTTLED, not_before(host.pause_s)), host.pause_s
        git = replace(job.git, on_progress=job.progress)
        opened = anyio.current_time()
        ended = await operation(git.reaching(address, **trace_environment(trace)), address.url)
        retry_after = ended.retry_after_s
        if ended.failure and not retry_after:
            retry_after = read_retry_after(trace)
        if ended.failure is None:
            host.succeeded()
        elif is_throttling(ended.failure):
            now = anyio.current_time()
            host.throttled(since=opened, now=now, until=now + (retry_after or _rest(job, ended)))
    if retry_after > LONGEST_RETRY_AFTER_S:
        ended = replace(ended, words=f"{essence(ended.words)}; {not_before(retry_after)}")
    killed = time.time() if ended.failure in _KILLED else 0.0
    for stage, seconds in read_stages(trace, killed=killed).items():
        job.outcome.add(stage, seconds)
    job.outcome.received_bytes += ended.received_bytes
    job.outcome.objects += ended.objects
    return ended, retry_after


def _rest(job: Job, ended: Ended) -> float:
    """Return how long a host is left alone that asks to slow down and doesn't say for how long.

    It may count requests a second and not connections: then fewer at once are no fewer a second.
    """
    return job.options.backoff_s if ended.failure is FailureClass.THROTTLED else 0.0


def failed_by(error: OSError) -> Ended:
    """Return the failure that an error of the file system is."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return failed(FailureClass.DISK_FULL if full else FailureClass.PERMISSION, in_words(error))


def failed(failure: FailureClass, words: str) -> Ended:
    """Return what a git would have ended like that found out what we did."""
    return Ended(1, "", words, failure, 0.0)


def read_from_mirror(ended: Ended) -> Ended:
    """Return how a git ended that read a mirror and no server: what would be bad luck is corrupt."""
    if ended.failure in (FailureClass.GARBAGE, FailureClass.RESET):
        return replace(ended, failure=FailureClass.CORRUPT)
    return ended
