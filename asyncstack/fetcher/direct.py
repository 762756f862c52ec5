"""Clone from a smart http server with one git instead of three: we receive, index-pack unpacks.

`git clone` has a helper program for http, which hands the pack on to git, which hands it on to
index-pack. What index-pack verifies is the same here, and so is what is compared afterwards: that
each ref's object came. Whatever isn't plain (see `smart_http`) is left to git.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import anyio

from asyncstack.fetcher.attempts import Job, failed
from asyncstack.fetcher.conversations import Conversations, ask_for_refs, in_daemon_thread
from asyncstack.fetcher.files import in_words
from asyncstack.git.commands import Git, index_pack
from asyncstack.git.failures import FailureClass, classify
from asyncstack.git.layout import pack_files, write_bare, write_packed_refs
from asyncstack.git.packindex import missing_from
from asyncstack.git.pktline import Advertised, PackAnswer, pack_request
from asyncstack.git.process import Ended
from asyncstack.git.refs import RefKind, RefTable, extra_refspec, kind_of_ref
from asyncstack.git.smart_http import Conversation, Trouble
from asyncstack.git.trace import parse_retry_after
from asyncstack.git.urls import parse_url

__all__ = ["Fetched", "clone_directly", "fetch_shallow_directly", "goes_on_directly"]

T = TypeVar("T")

#: A ref as a checkout calls it, and its object.
Fetched = tuple[Ended, str, str]

#: Bytes between us and an index-pack: with Linux' 64 KB they would wait for each other.
_PIPE = 1 << 20
#: Bytes to hand over at once: servers send less, and each write is a chance to wait for the others.
_PIECE = 1 << 16
#: Seconds for a thread to notice that nobody reads any more.
_GRACE_S = 1.0


def goes_on_directly(ended: Ended) -> bool:
    """Say whether another try may do without git: what it can't cure, git can tell more about."""
    return ended.failure is FailureClass.THROTTLED


async def clone_directly(
    job: Job, conversations: Conversations, git: Git, url: str, target: Path
) -> Ended | None:
    """Do what `clone_mirror` does; None if git has to."""
    wanted = job.request.commit or job.request.ref
    if kind_of_ref(wanted) is RefKind.OTHER:
        return None

    async def clone(conversation: Conversation) -> Ended | None:
        asked = await _ask(job, conversation, url)
        if asked is None or isinstance(asked, Ended):
            return asked
        if not asked.head:
            return None
        names = asked.refs.shown()  # a server may name more than it was asked for
        oid, _, name = extra_refspec(wanted).removeprefix("+").partition(":")
        if name:
            names[name] = oid
        write_bare(target, asked.head)
        ended = await _receive(conversation, git, url, target, set(names.values()))
        if ended is None or not ended.ok:
            return ended
        if _lacks(target, asked.refs.peeled.values()):
            return failed(FailureClass.GARBAGE, "a tag isn't what the server says it is")
        write_packed_refs(target, RefTable(names, {**names, **asked.refs.peeled}))
        return ended

    return await _converse(job, conversations, url, clone)


async def fetch_shallow_directly(
    job: Job, conversations: Conversations, git: Git, url: str, git_dir: Path
) -> Fetched | Ended | None:
    """Fetch one ref, GIT_DEPTH commits deep, into a repository that is empty; None if git has to."""
    wanted, depth = job.request.commit or job.request.ref, job.options.depth
    kind = kind_of_ref(wanted)
    if kind not in (RefKind.COMMIT, RefKind.NAMED):
        return None

    async def fetch(conversation: Conversation) -> Fetched | Ended | None:
        oid, _, name = extra_refspec(wanted).removeprefix("+").partition(":")
        if kind is RefKind.NAMED:
            short = wanted.removeprefix("refs/heads/").removeprefix("refs/tags/")
            prefixes = (f"refs/heads/{short}", f"refs/tags/{short}")
            asked = await _ask(job, conversation, url, prefixes)
            if asked is None or isinstance(asked, Ended):
                return asked
            name = asked.refs.find(wanted)
            if not name:
                return None
            oid = asked.refs.names[name]
        ended = await _receive(conversation, git, url, git_dir, [oid], depth)
        if ended is None or not ended.ok:
            return ended
        return ended, name.replace("refs/heads/", "refs/remotes/origin/", 1), oid

    return await _converse(job, conversations, url, fetch)


async def _converse(
    job: Job,
    conversations: Conversations,
    url: str,
    talk: Callable[[Conversation], Awaitable[T | Ended | None]],
) -> T | Ended | None:
    """Have a conversation with a URL's server, in GIT_TIMEOUT; None if there can't be one."""
    address = parse_url(url)
    if not await conversations.possible(address, job.git):
        return None
    with (
        anyio.move_on_after(job.options.timeout_s or None),
        conversations.lend(address, job.options) as conversation,
    ):
        return await talk(conversation)
    words = f"git was ended: it took longer than {job.options.timeout_s:g} s"
    return failed(FailureClass.TIMEOUT, words)


async def _ask(
    job: Job, conversation: Conversation, url: str, prefixes: Sequence[str] = ()
) -> Advertised | Ended | None:
    job.enter("negotiate")
    started = time.monotonic()
    asked = await ask_for_refs(conversation, job.options, url, prefixes)
    job.outcome.add("connect", conversation.connect_s)
    job.outcome.add("negotiate", time.monotonic() - started - conversation.connect_s)
    return _ended(asked) if isinstance(asked, Trouble) else asked


@dataclass(slots=True)
class _Carried:
    """What has become of a pack on its way to index-pack, noted before that can find out.

    `said` is None if git should ask.
    """

    ended: bool = False
    said: PackAnswer | Trouble | None = None


async def _receive(
    conversation: Conversation,
    git: Git,
    url: str,
    git_dir: Path,
    wanted: Collection[str],
    depth: int = 0,
) -> Ended | None:
    """Receive a pack of some objects into a repository that is empty; None if git has to."""
    reader, writer = os.pipe()
    request = pack_request(wanted, depth)
    carried = _Carried()

    async def carry() -> None:
        try:
            await in_daemon_thread(
                lambda: _carry(carried, conversation, request, url, git_dir, writer)
            )
        except OSError:  # no thread has begun, which would have closed it
            os.close(writer)
            raise

    with _one_error():
        async with anyio.create_task_group() as group:
            try:
                group.start_soon(carry)
                ended = await index_pack(git, git_dir, reader, lambda: conversation.received_bytes)
                first = not ended.ok and not carried.ended
            finally:
                os.close(reader)  # nobody reads any more: who writes is told
            if first:
                conversation.abandon()
            group.cancel_scope.deadline = anyio.current_time() + _GRACE_S
    if first:  # what it says itself; that the rest was never read is no fault of the server's
        return _unsound(ended)
    if isinstance(carried.said, Trouble):
        return replace(_ended(carried.said), received_bytes=ended.received_bytes)
    if carried.ended and carried.said is None:
        return None
    if ended.ok and (not carried.ended or _lacks(git_dir, wanted)):
        return failed(FailureClass.GARBAGE, "the server's pack isn't what was asked for")
    return _unsound(ended)


@contextmanager
def _one_error() -> Iterator[None]:
    """Raise what went wrong in a task group, as if it had gone wrong without one.

    An OSError, too few descriptors for instance, is a repository's failure; a group of them is none.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


def _carry(
    carried: _Carried,
    conversation: Conversation,
    request: bytes,
    url: str,
    git_dir: Path,
    writer: int,
) -> None:
    """Carry a pack to index-pack."""

    def begin(shallow: Sequence[str]) -> None:
        if shallow:  # before index-pack reads a commit and looks for its parents
            (git_dir / "shallow").write_text("".join(f"{oid}\n" for oid in shallow), "ascii")

    # If nobody reads any more, index-pack says why, or there is more than it needs.
    with suppress(BrokenPipeError), os.fdopen(writer, "wb", _PIECE) as pipe:
        # A user may have so many bytes in pipes, and no more; not everybody is on Linux.
        with suppress(AttributeError, OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
        try:
            carried.said = conversation.pack(request, url, begin, pipe.write)
        except BrokenPipeError:
            return
        except OSError as error:
            carried.said = Trouble(f"fatal: {in_words(error)}")
        carried.ended = True


def _lacks(git_dir: Path, wanted: Iterable[str]) -> bool:
    indexes = [path for path in pack_files(git_dir) if path.suffix == ".idx"]
    return len(indexes) != 1 or bool(missing_from(indexes[0], wanted))


def _unsound(ended: Ended) -> Ended:
    """Whatever else index-pack finds fault with came from the server."""
    other = ended.failure is FailureClass.OTHER
    return replace(ended, failure=FailureClass.GARBAGE) if other else ended


def _ended(trouble: Trouble) -> Ended:
    ended = failed(classify(trouble.words), trouble.words)
    return replace(ended, retry_after_s=parse_retry_after(trouble.retry_after))
