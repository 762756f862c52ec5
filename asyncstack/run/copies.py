"""Files that nodes need from each other: CA certificates, ceph.conf and keyrings, ssh keys."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import anyio
import msgspec

from asyncstack.events import Emit, Event, FilesCopied
from asyncstack.executor import RECONNECT_S
from asyncstack.inventory import Copy
from asyncstack.run.parts import Part, parts_of
from asyncstack.run.reconnecting import connect_again
from asyncstack.run.spool import Spool, open_spool
from asyncstack.transports.base import Completed, Transport

__all__ = ["copy_files", "due_copies", "refuse_copy", "without_made"]


def due_copies(
    copies: Sequence[Copy],
    after: AbstractSet[str],
    batch: AbstractSet[str],
    ahead: AbstractSet[str],
) -> list[Copy]:
    """The copies that belong behind phases which the nodes of `batch` have just left.

    Not those with a source `ahead`, whose turn is yet to come: theirs is then.
    """
    behind = [copy for copy in copies if copy.after in after]
    return [c for c in behind if batch & {*c.sources} and not ahead & {*c.sources}]


def refuse_copy(copy: Copy, targets: Sequence[str], problem: str, emit: Emit) -> list[str]:
    """Say that these targets don't get the files, and why; the nodes that lack them now."""
    source = copy.sources[0]
    targets = [target for target in targets if target != source]
    for target in targets:
        emit(
            FilesCopied(
                source=source,
                target=target,
                paths=copy.paths,
                after=copy.after,
                ok=False,
                message=problem,
            )
        )
    return targets


def without_made(copy: Copy, seen: Sequence[Event]) -> Copy:
    """What is left of a copy after those that a journal tells of.

    Its plugins may have gone on from what they got: they don't get it twice.
    """
    made = {
        event.target
        for event in seen
        if isinstance(event, FilesCopied)
        and event.ok
        and (event.after, event.source, event.paths) == (copy.after, copy.sources[0], copy.paths)
    }
    return msgspec.structs.replace(copy, targets=tuple(t for t in copy.targets if t not in made))


async def copy_files(
    copy: Copy, transports: Mapping[str, Transport], emit: Emit, folder: Path
) -> list[str]:
    """Copy the files of the first source to all targets at once; the nodes that lack them now.

    A target that is the source itself has them already. All of the files are in `folder`, in one
    without a name, before any of them is written anywhere.
    """
    with ExitStack() as stack:
        parts = [(part, stack.enter_context(open_spool(folder))) for part in parts_of(copy.paths)]
        return await _copy_parts(copy, parts, transports, emit)


async def _copy_parts(
    copy: Copy,
    parts: Sequence[tuple[Part, Spool]],
    transports: Mapping[str, Transport],
    emit: Emit,
) -> list[str]:
    source = transports[copy.sources[0]]
    started = time.monotonic()
    packed = Completed(0)
    for part, spool in parts:
        if packed.ok:
            packed = await _persist(source, partial(spool.fill, source, part.pack()))
    sent = sum(spool.size for _, spool in parts)
    failed: list[str] = []

    async def unpack(target: str) -> None:
        done, there = packed, transports[target]
        for part, spool in parts:
            if done.ok:
                done = await _persist(there, partial(_give, there, part, spool, copy))
        if not done.ok:
            failed.append(target)
        emit(
            FilesCopied(
                source=source.node.name,
                target=target,
                paths=copy.paths,
                after=copy.after,
                ok=done.ok,
                sent_bytes=sent if packed.ok else 0,
                duration_s=round(time.monotonic() - started, 6),
                message="" if done.ok else done.stderr.decode("utf-8", "replace").strip(),
            )
        )

    async with anyio.create_task_group() as tasks:
        for target in copy.targets:
            if target in transports and target != source.node.name:
                tasks.start_soon(unpack, target)
    return failed


async def _give(there: Transport, part: Part, spool: Spool, copy: Copy) -> Completed:
    command = part.unpack(
        there.node.name, copy.owner, copy.mode, spool.size
    )  # another one for each try
    return await spool.feed(there, command)


async def _persist(transport: Transport, run: Callable[[], Awaitable[Completed]]) -> Completed:
    """Run a command that may be run twice, until a connection has lasted for all of it."""
    give_up = anyio.current_time() + RECONNECT_S
    while True:
        done = await run()
        if done.exit_status is not None or not await connect_again(transport, give_up):
            return done
