"""One batch of repositories, all at once: the async layer that carries the decisions out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import msgspec

from asyncstack.checkouts.rules import Action, State, refuse
from asyncstack.checkouts.telling import tell_end, warn
from asyncstack.checkouts.values import FetchOptions, FetchRequest, FetchResult
from asyncstack.checkouts.wording import about_contents, about_resumed
from asyncstack.events import Emit, Warned
from asyncstack.fetcher.attempts import Job, failed, failed_by
from asyncstack.fetcher.cache import Cache
from asyncstack.fetcher.checkout import make_checkout, move_into_place
from asyncstack.fetcher.contents import contents_of
from asyncstack.fetcher.decisions import decide, in_order, mismatches
from asyncstack.fetcher.files import in_words
from asyncstack.fetcher.healing import heal
from asyncstack.fetcher.inspection import Found, inspect
from asyncstack.fetcher.locks import only_one
from asyncstack.fetcher.mirror import Store
from asyncstack.fetcher.reporting import failure_of, result_of
from asyncstack.fetcher.retry import LONGEST_RETRY_AFTER_S
from asyncstack.fetcher.special import clone_partial, clone_shallow
from asyncstack.fetcher.throttle import Throttle
from asyncstack.fetcher.update import update_checkout
from asyncstack.fetcher.workspace import Workspaces, remove_tree, sweep
from asyncstack.git.commands import Git, resolve_commit
from asyncstack.git.environment import base_environment
from asyncstack.git.failures import FailureClass
from asyncstack.git.layout import unfinished
from asyncstack.git.process import Ended, Limits, run_git
from asyncstack.git.urls import parse_url
from asyncstack.model import FetchStatus, Suspicion

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
    # Even where nothing is to be made: who was killed behind its last checkout left rubbish, too.
    for parent in {Path(request.directory).parent for request in requests}:
        sweep(parent)
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
        cache, writable = _open_cache(options, emit)
        workspaces = Workspaces(stack)
        store = Store(cache, workspaces, warned=not writable)
        stack.callback(store.conversations.close)
        yield Session(
            options=options,
            emit=emit,
            store=store,
            throttle=Throttle(options.jobs, options.jobs_per_host, LONGEST_RETRY_AFTER_S),
            durations=cache.durations() if cache else {},
            workspaces=workspaces,
        )


def _open_cache(options: FetchOptions, emit: Emit) -> tuple[Cache | None, bool]:
    """The cache, and whether it can be written: somebody else's can still be read."""
    if not options.cache_directory:
        return None, False
    cache = Cache(Path(options.cache_directory))
    try:
        cache.prepare()
    except OSError as error:
        readable = os.access(cache.root, os.R_OK | os.X_OK) and cache.root.is_dir()
        without = "the cache is only read, and keeps nothing of what is fetched"
        message = (
            f"{without if readable else 'going without the cache'}: {in_words(error)}; "
            f"make {cache.root} a directory that can be written, or set XDG_CACHE_HOME to another place"
        )
        emit(Warned(code="cache-unusable", message=message, node=options.node))
        return cache if readable else None, False
    return cache, True


@dataclass(slots=True)
class Session:
    """What the repositories of one batch share."""

    options: FetchOptions
    emit: Emit
    store: Store
    throttle: Throttle
    durations: Mapping[str, float]
    workspaces: Workspaces
    environment: dict[str, str] = field(default_factory=dict)
    checkouts: anyio.CapacityLimiter = field(
        default_factory=lambda: anyio.CapacityLimiter(max(2, os.cpu_count() or 1))
    )

    async def prepare(self, requests: Sequence[FetchRequest]) -> None:
        """Find out how the user's ssh is called, unless all is local.

        Not only where a URL says ssh: `url.*.insteadOf` may have git use it for any other.
        """
        ssh_command = ""
        sources = [request.url for request in requests] + [to for _, to in self.options.mirrors]
        if any(parse_url(url).scheme != "file" for url in sources):
            ended = await run_git(["git", "config", "--get", "core.sshCommand"], env=os.environ)
            ssh_command = ended.stdout.strip() if ended.ok else ""
        self.environment = base_environment(os.environ, ssh_command=ssh_command)

    async def fetch_one(self, request: FetchRequest) -> FetchResult:
        """Bring one repository to its place; everything that can go wrong is in the result."""
        job = self._job(request)
        problem = refuse(request)
        if problem:
            refused = failed(FailureClass.REFUSED_BY_US, problem)
            return tell_end(failure_of(job, refused), self.emit)
        try:
            result = await self._act(job)
        except anyio.get_cancelled_exc_class():
            cancelled = result_of(job, FetchStatus.CANCELLED, message="cancelled")
            tell_end(cancelled, self.emit)
            raise
        except OSError as error:
            result = failure_of(job, failed_by(error))
        return tell_end(result, self.emit)

    def _job(self, request: FetchRequest) -> Job:
        git = Git(self.environment, Limits(self.options.timeout_s, self.options.stall_s))
        return Job(request, self.options, self.emit, git, self.throttle)

    async def _act(self, job: Job) -> FetchResult:
        if self.options.mirror_only:
            return await self._mirror(job)
        found = await self._found(job)
        if decide(job.request, found, self.options).action not in (Action.HEAL, Action.UPDATE):
            return await self._act_on(job, found)
        # What looks interrupted may be another asyncstack at work, and what it leaves is up to date.
        async with only_one(found.git_dir):
            return await self._act_on(job, await self._found(job))

    async def _act_on(self, job: Job, found: Found) -> FetchResult:
        decision = decide(job.request, found, self.options)
        match decision.action:
            case Action.FAIL:
                ended = failed(decision.failure, decision.problem)
                return failure_of(job, ended, hint=decision.hint)
            case Action.CLONE:
                return await self._clone(job)
            case Action.HEAL:
                return await self._heal(job, found)
            case Action.UPDATE:
                return await self._update(job, found)
            case _:
                return self._keep(job, found)

    async def _mirror(self, job: Job) -> FetchResult:
        with self._work(job) as work:
            source = await self.store.source(job, work)
            if self._blames_mirror(job, source):
                source = await self.store.source(job, work)
            if isinstance(source, Ended):
                return failure_of(job, source)
            if source.shallow:
                words = "the repository is a shallow clone itself, which can't be handed on"
                hint = "complete it with git fetch --unshallow, or use --fetch-from node"
                return failure_of(job, failed(FailureClass.REFUSED_BY_US, words), hint=hint)
            # Of a small pack that came in one piece git tells the objects alone, not the size.
            received = job.outcome.received_bytes or job.outcome.objects
            status = FetchStatus.CLONED if received else FetchStatus.PRESENT
            result = result_of(job, status, commit=source.commit)
        return msgspec.structs.replace(result, directory=str(source.mirror.path))

    async def _found(self, job: Job) -> Found:
        found = inspect(Path(job.request.directory))
        return await self._ask_git(job, found) if found.state is State.UNKNOWN else found

    async def _ask_git(self, job: Job, found: Found) -> Found:
        commit = await resolve_commit(job.git, found.git_dir, "HEAD")
        if not commit:
            refs = await job.git.at(found.git_dir).run("for-each-ref", "--count=1")
            return Found(State.UNBORN if refs.stdout else State.NO_COMMIT, found.git_dir)
        where = await job.git.at(found.git_dir).run("rev-parse", "--absolute-git-dir")
        begun = unfinished(Path(where.stdout.strip() or found.git_dir))
        return Found(State.UNKNOWN, found.git_dir, commit=commit, unfinished=begun)

    def _keep(self, job: Job, found: Found) -> FetchResult:
        warnings = mismatches(job.request, found) if found.state is State.CHECKOUT else []
        warnings += _contents(job, fresh=False)
        return result_of(job, FetchStatus.PRESENT, commit=found.commit, warnings=warnings)

    async def _clone(self, job: Job) -> FetchResult:
        directory = Path(job.request.directory)
        with self._work(job) as work:
            made = await self._make(job, work)
            if isinstance(made, Ended):
                return failure_of(job, made)
            tree, commit = made
            in_the_way = move_into_place(tree, directory)
        if in_the_way:
            return self._overtaken(job, in_the_way)
        warnings = _contents(job, fresh=True)
        return result_of(job, FetchStatus.CLONED, commit=commit, warnings=warnings)

    async def _make(self, job: Job, work: Path) -> tuple[Path, str] | Ended:
        if self.options.depth and not self.options.offline:
            return await clone_shallow(job, self.store.conversations, work)
        if self.options.filter and not self.options.offline:
            return await clone_partial(job, work)
        made = await self._make_from_mirror(job, work / "first")
        if self._blames_mirror(job, made):
            made = await self._make_from_mirror(job, work / "second")
        return made

    def _blames_mirror(self, job: Job, ended: object) -> bool:
        """Set the mirror aside if only that explains a failure; False if there is none to blame."""
        corrupt = isinstance(ended, Ended) and ended.failure is FailureClass.CORRUPT
        return corrupt and self.store.distrust(job)

    async def _make_from_mirror(self, job: Job, work: Path) -> tuple[Path, str] | Ended:
        work.mkdir()  # noqa: ASYNC240 - microseconds
        source = await self.store.source(job, work)
        if isinstance(source, Ended):
            return source
        async with self.checkouts:
            tree = await make_checkout(job, source, work)
        return tree if isinstance(tree, Ended) else (tree, source.commit)

    async def _update(self, job: Job, found: Found) -> FetchResult:
        with self._work(job) as work:
            updated = await update_checkout(job, self.store, found, work)
            if self._blames_mirror(job, updated):
                found = await self._found(job)
                updated = await update_checkout(job, self.store, found, work)
        if isinstance(updated, Ended):
            return failure_of(job, updated)
        warnings = [*updated.warnings, *_contents(job, fresh=False)]
        status = FetchStatus.UPDATED if updated.moved else FetchStatus.PRESENT
        return result_of(job, status, commit=updated.commit, warnings=warnings)

    async def _heal(self, job: Job, found: Found) -> FetchResult:
        job.begin()
        with self._work(job) as work:
            healed = await heal(job, found, work)
        if isinstance(healed, Ended):
            return failure_of(job, healed)
        if not healed:
            return await self._act_on(job, await self._found(job))
        resumed = about_resumed(job.request.directory, job.request.plugin)
        warn(resumed, self.options.node, self.emit)
        found = inspect(Path(job.request.directory))
        if self.options.updates(job.request):
            return await self._update(job, found)
        return result_of(job, FetchStatus.UPDATED, commit=healed)

    def _overtaken(self, job: Job, in_the_way: str) -> FetchResult:
        """Something appeared at our place meanwhile: another asyncstack's checkout will do."""
        found = inspect(Path(job.request.directory))
        if found.state is State.CHECKOUT:
            return self._keep(job, found)
        words = f"{job.request.directory} can't be put in place: {in_the_way}"
        return failure_of(job, failed(FailureClass.PERMISSION, words))

    @contextmanager
    def _work(self, job: Job) -> Iterator[Path]:
        """Give a job a temporary directory beside its checkout. Raises OSError if that can't be."""
        directory = Path(job.request.directory)
        work = self.workspaces.place(directory.parent, directory.name)
        try:
            yield work
        finally:
            remove_tree(work)


def _contents(job: Job, *, fresh: bool) -> list[Suspicion]:
    directory = job.request.directory
    found = contents_of(Path(directory), fresh=fresh)
    return about_contents(directory, job.request.plugin, found)
