"""Get a repository's objects: from the cache, over the network, or both; end with a commit.

Without a cache the same is done with a mirror that is thrown away after its checkout was made.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio

from asyncstack.events import Warned
from asyncstack.fetcher.asking import Questions
from asyncstack.fetcher.attempts import Job, failed, failed_by, try_all
from asyncstack.fetcher.cache import Cache, Mirror
from asyncstack.fetcher.conversations import Conversations
from asyncstack.fetcher.direct import clone_directly, goes_on_directly
from asyncstack.fetcher.files import in_words, share_packs
from asyncstack.fetcher.workspace import Workspaces, remove_tree
from asyncstack.git.commands import (
    Git,
    clone_mirror,
    fetch_mirror,
    pack_refs,
    repack,
    resolve_commit,
)
from asyncstack.git.failures import FailureClass
from asyncstack.git.layout import has_single_objects, pack_files, write_packed_refs
from asyncstack.git.process import Ended
from asyncstack.git.refs import (
    RefKind,
    extra_refspec,
    kind_of_ref,
    read_refs,
    suggest,
)
from asyncstack.git.urls import Address, parse_url

__all__ = ["Source", "Store", "resolve"]

#: A mirror with more packs than this is repacked when something new comes.
_MOST_PACKS = 20


@dataclass(frozen=True, slots=True)
class Source:
    """Where a checkout is made from: a mirror and the commit wanted of it."""

    mirror: Mirror
    commit: str
    replaced: frozenset[str] = frozenset()

    @property
    def shallow(self) -> bool:
        """Say whether the origin has a part of its history only: it is a shallow clone itself."""
        return (self.mirror.path / "shallow").exists()


@dataclass(slots=True)
class Store:
    """The cache, if there is one, and what this fetch has already asked about."""

    cache: Cache | None
    workspaces: Workspaces
    warned: bool = False
    fresh: set[str] = field(default_factory=set)
    questions: Questions = field(init=False)
    locks: dict[str, anyio.Lock] = field(default_factory=dict)
    conversations: Conversations = field(default_factory=Conversations)

    def __post_init__(self) -> None:
        self.questions = Questions(self.conversations)

    def knows(self, job: Job) -> bool:
        """Say whether there is a mirror of a job's URL."""
        return self.cache is not None and self.cache.path(parse_url(job.request.url)).is_dir()

    async def source(self, job: Job, work: Path, *, expected: str = "") -> Source | Ended:
        """Return the source of a job's checkout, or how getting it failed.

        `expected` is the commit that the server has just named for the ref; a mirror that holds it
        needn't ask again.
        """
        address = parse_url(job.request.url)
        if self.cache is None:
            offline = job.options.offline
            return _offline(job, None) if offline else await self._download(job, None, work)
        # Two plugins may share a URL: in one process they queue here, without polling a file.
        async with self.locks.setdefault(address.key, anyio.Lock()), self.cache.locked(address):
            return await self._from_cache(job, address, work, expected)

    async def _from_cache(
        self, job: Job, address: Address, work: Path, expected: str
    ) -> Source | Ended:
        assert self.cache is not None
        mirror = self._open(job, address)
        if mirror is not None:
            known = await self._known(job, mirror, address, work, expected)
            if known is not None:
                self.cache.touch(mirror)
                return known
        if job.options.offline:
            return _offline(job, mirror)
        started = time.monotonic()
        fetched = await self._download(job, mirror, self._place(work, address))
        if isinstance(fetched, Ended) or fetched.shallow:  # a mirror is whole, or isn't kept
            return fetched
        try:
            published = self.cache.publish(
                fetched.mirror,
                address,
                seconds=time.monotonic() - started,
                replaced=fetched.replaced,
            )
        except OSError as error:  # what was fetched is good without being kept
            self._warn_once(job, error)
            return fetched
        self.fresh.add(address.url)
        return replace(fetched, mirror=published)

    def _place(self, work: Path, address: Address) -> Path:
        """Return where to download: on the cache's file system, so that a rename publishes it."""
        assert self.cache is not None
        try:
            return self.workspaces.place(self.cache.root, address.key)
        except OSError:
            return work

    def _warn_once(self, job: Job, error: OSError) -> None:
        if not self.warned:
            message = f"what is fetched can't be kept in the cache: {in_words(error)}"
            job.emit(Warned(code="cache-unusable", message=message, node=job.options.node))
        self.warned = True

    def _open(self, job: Job, address: Address) -> Mirror | None:
        """Open a mirror; one that can't be right is set aside, and said so."""
        assert self.cache is not None
        mirror = self.cache.open(address)
        if mirror is None and self.cache.path(address).exists():
            self.distrust(job)
        return mirror

    def distrust(self, job: Job) -> bool:
        """Set a job's mirror aside as corrupt; False if that can't be.

        One that somebody else has pruned meanwhile is gone: its checkout lacked what went.
        """
        if self.cache is None:
            return False
        address = parse_url(job.request.url)
        moved = self.cache.set_aside(self.cache.path(address))
        self.fresh.discard(address.url)
        if moved is None:
            return not self.knows(job)
        job.emit(
            Warned(
                code="cache-corrupt",
                message=f"the cached mirror of {address.url} is corrupt; it was moved to {moved}",
                plugin=job.request.plugin,
                node=job.options.node,
            )
        )
        return True

    async def _known(
        self, job: Job, mirror: Mirror, address: Address, work: Path, expected: str
    ) -> Source | Ended | None:
        """Return what can be had without fetching; None if the network has something new."""
        wanted = job.request.commit or job.request.ref
        kind = kind_of_ref(wanted)
        if kind is RefKind.COMMIT or expected or job.options.offline or address.url in self.fresh:
            commit = await resolve(job.git, mirror, expected or wanted)
            return Source(mirror, commit) if commit else None
        if kind is RefKind.OTHER:
            return None  # asking costs what fetching costs: no server-side filter names one ref
        answer = await self.questions.ask(job, work)
        if isinstance(answer, Ended):
            return answer
        if mirror.refs.shown() != answer.shown():
            return None
        commit = await resolve(job.git, mirror, wanted)
        return Source(mirror, commit) if commit else _no_such_ref(job, mirror)

    async def _download(self, job: Job, known: Mirror | None, place: Path) -> Source | Ended:
        """Fetch over the network into a mirror of our own below `place`."""
        number = 0
        directly = known is None
        source: Source | None = None

        async def download(git: Git, url: str) -> Ended:
            nonlocal number, directly, source
            number += 1
            target = place / f"mirror-{number}"
            ended = (
                await clone_directly(job, self.conversations, git, url, target)
                if directly
                else None
            )
            if ended is None:
                remove_tree(target)
                ended = await _transfer(git, url, target, known, job)
            if not ended.ok:
                directly = directly and goes_on_directly(ended)
                return _moved(ended, job)
            mirror = Mirror(target, read_refs(target))
            commit = await resolve(job.git, mirror, job.request.commit or job.request.ref)
            if not commit:
                return _no_such_ref(job, mirror)
            source = Source(mirror, commit, await _repack(job.git, mirror))
            return ended

        try:
            ended = await try_all(job, download, place)
        except OSError as error:
            pruned = known is not None and not known.path.exists()
            return failed(FailureClass.CORRUPT, str(error)) if pruned else failed_by(error)
        return source if source is not None else ended


async def _transfer(git: Git, url: str, target: Path, known: Mirror | None, job: Job) -> Ended:
    specs = [spec for spec in (extra_refspec(job.request.commit or job.request.ref),) if spec]
    if known is None:
        return await clone_mirror(git, url, target, specs)
    _private_copy(known, target)
    ended = await fetch_mirror(git, url, target, specs)
    return await pack_refs(job.git, target) if ended.ok else ended


async def resolve(git: Git, mirror: Mirror, wanted: str) -> str:
    """Return the commit that a ref means in a mirror; '' if it means none there."""
    kind = kind_of_ref(wanted)
    if kind is RefKind.COMMIT:
        return await resolve_commit(git, mirror.path, wanted.lower())
    name = mirror.refs.find(wanted)
    if name:
        return mirror.refs.commit(name) or await resolve_commit(git, mirror.path, name)
    if kind is RefKind.ABBREVIATED:
        return await resolve_commit(git, mirror.path, wanted)
    return ""


async def _repack(git: Git, mirror: Mirror) -> frozenset[str]:
    """Put many packs into one; return the names of those that are superseded.

    Every update adds a pack, and every checkout links them all. Single objects, which a server of
    plain files gives out, are no use at all: only packs are shared.
    """
    before = {path.stem for path in pack_files(mirror.path) if path.suffix == ".pack"}
    if len(before) <= _MOST_PACKS and not has_single_objects(mirror.path):
        return frozenset()
    ended = await repack(git, mirror.path)
    after = {path.stem for path in pack_files(mirror.path) if path.suffix == ".pack"}
    return frozenset(before - after) if ended.ok else frozenset()


def _private_copy(mirror: Mirror, target: Path) -> None:
    """Make a repository with a mirror's refs that shares its packs; git may write into this one."""
    (target / "refs").mkdir(parents=True)
    share_packs(mirror.path, target)
    for name in ("HEAD", "config"):
        (target / name).write_bytes((mirror.path / name).read_bytes())
    write_packed_refs(target, mirror.refs)


def _moved(ended: Ended, job: Job) -> Ended:
    """A ref that vanished between the server's two answers is worth another look."""
    asked = kind_of_ref(job.request.commit or job.request.ref)
    if "not our ref" in ended.words and asked is not RefKind.COMMIT:
        return replace(ended, failure=FailureClass.MOVED)
    return ended


def _no_such_ref(job: Job, mirror: Mirror) -> Ended:
    wanted = job.request.commit or job.request.ref
    if not mirror.refs.names:
        return failed(FailureClass.NOT_FOUND, "the repository is empty")
    if kind_of_ref(wanted) is RefKind.ABBREVIATED:
        words = (
            f"no branch or tag is called {wanted!r}, and it abbreviates no single commit that a "
            "branch or tag reaches"
        )
    else:
        hint = suggest(wanted, mirror.refs.short_names())
        words = f"the repository has no branch or tag {wanted!r}" + (f"; {hint}" if hint else "")
    return failed(FailureClass.REF_NOT_FOUND, words)


def _offline(job: Job, mirror: Mirror | None) -> Ended:
    what = (
        "the cache has no mirror of it"
        if mirror is None
        else (f"its cached mirror has no {job.request.commit or job.request.ref!r}")
    )
    return failed(FailureClass.OFFLINE, f"OFFLINE forbids to clone it, and {what}")
