"""One batch of repositories, all at once: the async layer that carries the decisions out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from asyncstack.events import Emit, FetchFinished, FetchStarted, Warned
from asyncstack.fetcher.attempts import Job, failed
from asyncstack.fetcher.cache import Cache
from asyncstack.fetcher.checkout import make_checkout, move_into_place
from asyncstack.fetcher.decisions import Action, decide, in_order, mismatches, refuse
from asyncstack.fetcher.inspection import Found, State, inspect
from asyncstack.fetcher.mirror import Store
from asyncstack.fetcher.special import clone_partial, clone_shallow
from asyncstack.fetcher.throttle import Throttle
from asyncstack.fetcher.values import FetchOptions, FetchRequest, FetchResult, FetchWarning
from asyncstack.fetcher.warnings import about_contents, hint_for
from asyncstack.fetcher.workspace import workspace
from asyncstack.git.commands import Git, resolve_commit
from asyncstack.git.environment import base_environment
from asyncstack.git.failures import FailureClass
from asyncstack.git.process import Ended, Limits, run_git
from asyncstack.git.urls import parse_url
from asyncstack.model import FetchStatus

__all__ = ["Session", "fetch"]


async def fetch(
    requests: Sequence[FetchRequest], options: FetchOptions, emit: Emit
) -> list[FetchResult]:
    """Bring every repository to its directory, concurrently; return results in request order.

    A repository that fails is a value, not an exception, and stops no other. Cancelling kills every
    git and removes what is half made.
    """
    if not requests:
        return []
    results: dict[int, FetchResult] = {}
    with _session(options, emit) as session:
        await session.prepare(requests)

        async def one(number: int, request: FetchRequest) -> None:
            results[number] = await session.fetch_one(request)

        async with anyio.create_task_group() as group:
            for number, request in in_order(requests, session.durations):
                group.start_soon(one, number, request, name=f"fetch {request.plugin}")
    return [results[number] for number in range(len(requests))]


@contextmanager
def _session(options: FetchOptions, emit: Emit) -> Iterator[Session]:
    with ExitStack() as stack:
        cache = _open_cache(options, emit)
        yield Session(
            options=options,
            emit=emit,
            store=Store(cache, set()),
            throttle=Throttle(options.jobs, options.jobs_per_host),
            durations=cache.durations() if cache else {},
            stack=stack,
        )


def _open_cache(options: FetchOptions, emit: Emit) -> Cache | None:
    if not options.cache_directory:
        return None
    cache = Cache(Path(options.cache_directory))
    try:
        cache.prepare()
    except OSError as error:
        emit(
            Warned(
                code="cache-unusable",
                message=f"going without the cache: {error}",
                node=options.node,
            )
        )
        return None
    return cache


@dataclass(slots=True)
class Session:
    """What the repositories of one batch share."""

    options: FetchOptions
    emit: Emit
    store: Store
    throttle: Throttle
    durations: Mapping[str, float]
    stack: ExitStack
    environment: dict[str, str] = field(default_factory=dict)
    workspaces: dict[Path, Path] = field(default_factory=dict)
    checkouts: anyio.CapacityLimiter = field(
        default_factory=lambda: anyio.CapacityLimiter(max(2, os.cpu_count() or 1))
    )

    async def prepare(self, requests: Sequence[FetchRequest]) -> None:
        """Find out how the user's ssh is called, if any URL needs it."""
        ssh_command = ""
        sources = [request.url for request in requests] + [to for _, to in self.options.mirrors]
        if any(parse_url(url).scheme == "ssh" for url in sources):
            ended = await run_git(["git", "config", "--get", "core.sshCommand"], env=os.environ)
            ssh_command = ended.stdout.strip() if ended.ok else ""
        self.environment = base_environment(os.environ, ssh_command=ssh_command)

    async def fetch_one(self, request: FetchRequest) -> FetchResult:
        """Bring one repository to its place; everything that can go wrong is in the result."""
        start = time.time()
        job = self._job(request)
        problem = refuse(request)
        if problem:
            result = self._failed(job, start, failed(FailureClass.REFUSED_BY_US, problem))
        else:
            self._emit_started(request)
            result = await self._act(job, start)
        return self._finish(result)

    def _job(self, request: FetchRequest) -> Job:
        git = Git(self.environment, Limits(self.options.timeout_s, self.options.stall_s))
        return Job(request, self.options, self.emit, git, self.throttle)

    async def _act(self, job: Job, start: float) -> FetchResult:
        found = inspect(Path(job.request.directory))
        if found.state is State.UNKNOWN:
            found = await self._ask_git(job, found)
        decision = decide(found, self.options)
        match decision.action:
            case Action.FAIL:
                ended = failed(decision.failure, decision.problem)
                return self._failed(job, start, ended, hint=decision.hint)
            case Action.CLONE:
                return await self._clone(job, start)
            case _:
                return self._keep(job, start, found)

    async def _ask_git(self, job: Job, found: Found) -> Found:
        commit = await resolve_commit(job.git, found.git_dir, "HEAD")
        return Found(State.UNKNOWN if commit else State.NO_COMMIT, found.git_dir, commit=commit)

    def _keep(self, job: Job, start: float, found: Found) -> FetchResult:
        warnings = mismatches(job.request, found) if found.state is State.CHECKOUT else []
        warnings += about_contents(Path(job.request.directory), fresh=False)
        return self._result(
            job, start, FetchStatus.PRESENT, commit=found.commit, warnings=tuple(warnings)
        )

    async def _clone(self, job: Job, start: float) -> FetchResult:
        directory = Path(job.request.directory)
        try:
            work = self._workspace(directory.parent) / f"{directory.name}-{id(job):x}"
            work.mkdir()
        except OSError as error:
            return self._failed(job, start, failed(FailureClass.PERMISSION, str(error)))
        made = await self._make(job, work)
        if isinstance(made, Ended):
            return self._failed(job, start, made)
        tree, commit = made
        in_the_way = move_into_place(tree, directory)
        if in_the_way:
            return await self._overtaken(job, start, in_the_way)
        return self._result(
            job,
            start,
            FetchStatus.CLONED,
            commit=commit,
            warnings=tuple(about_contents(directory, fresh=True)),
        )

    async def _make(self, job: Job, work: Path) -> tuple[Path, str] | Ended:
        if self.options.offline or not (self.options.depth or self.options.filter):
            return await self._make_from_mirror(job, work)
        make = clone_shallow if self.options.depth else clone_partial
        return await make(job, work)

    async def _make_from_mirror(self, job: Job, work: Path) -> tuple[Path, str] | Ended:
        source = await self.store.source(job, work)
        if isinstance(source, Ended):
            return source
        async with self.checkouts:
            tree = await make_checkout(job, source, work)
        return tree if isinstance(tree, Ended) else (tree, source.commit)

    async def _overtaken(self, job: Job, start: float, in_the_way: str) -> FetchResult:
        """Something appeared at our place meanwhile: another asyncstack's checkout will do."""
        found = inspect(Path(job.request.directory))
        if found.state is State.CHECKOUT:
            return self._keep(job, start, found)
        words = f"{job.request.directory} can't be put in place: {in_the_way}"
        return self._failed(job, start, failed(FailureClass.PERMISSION, words))

    def _workspace(self, parent: Path) -> Path:
        """Return this batch's temporary directory beside the checkouts of `parent`."""
        if parent not in self.workspaces:
            self.workspaces[parent] = self.stack.enter_context(workspace(parent))
        return self.workspaces[parent]

    def _emit_started(self, request: FetchRequest) -> None:
        self.emit(
            FetchStarted(
                plugin=request.plugin,
                url=parse_url(request.url).url,
                ref=request.ref,
                directory=request.directory,
                node=self.options.node,
            )
        )

    def _failed(self, job: Job, start: float, ended: Ended, *, hint: str = "") -> FetchResult:
        failure = ended.failure or FailureClass.OTHER
        return self._result(
            job,
            start,
            FetchStatus.FAILED,
            message=ended.words.strip() or f"git ended with status {ended.returncode}",
            hint=hint or hint_for(failure),
            failure=failure,
        )

    def _result(
        self,
        job: Job,
        start: float,
        status: FetchStatus,
        *,
        commit: str = "",
        message: str = "",
        hint: str = "",
        failure: FailureClass | None = None,
        warnings: tuple[FetchWarning, ...] = (),
    ) -> FetchResult:
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
            start=start,
            end=time.time(),
            received_bytes=outcome.received_bytes,
            objects=outcome.objects,
            stages=dict(outcome.stages),
            warnings=warnings,
        )

    def _finish(self, result: FetchResult) -> FetchResult:
        for warning in result.warnings:
            self.emit(
                Warned(
                    code=warning.code,
                    message=warning.message,
                    plugin=result.plugin,
                    node=self.options.node,
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
                node=self.options.node,
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
