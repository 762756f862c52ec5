"""Files that nodes need from each other: CA certificates, ceph.conf and keyrings, ssh keys."""

from __future__ import annotations

import shlex
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import anyio
import msgspec
from msgspec import Struct

from asyncstack.events import Emit, Event, FilesCopied
from asyncstack.executor import RECONNECT_S
from asyncstack.inventory import Copy
from asyncstack.run.reconnecting import connect_again
from asyncstack.run.spool import Spool, open_spool
from asyncstack.transports.base import Completed, Transport

__all__ = ["copy_files", "due_copies", "refuse_copy", "without_made"]

_HOME = "~/"

# As root, for that is who owns such files; a node where sudo asks for a password says so.
_AS_ROOT = 'as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }\n'


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
        parts = [(part, stack.enter_context(open_spool(folder))) for part in _parts(copy.paths)]
        return await _copy_parts(copy, parts, transports, emit)


async def _copy_parts(
    copy: Copy,
    parts: Sequence[tuple[_Part, Spool]],
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
                done = await _persist(there, partial(spool.feed, there, part.unpack(copy)))
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


async def _persist(transport: Transport, run: Callable[[], Awaitable[Completed]]) -> Completed:
    """Run a command that may be run twice, until a connection has lasted for all of it."""
    give_up = anyio.current_time() + RECONNECT_S
    while True:
        done = await run()
        if done.exit_status is not None or not await connect_again(transport, give_up):
            return done


class _Part(Struct, frozen=True):
    """Paths below one folder. `folder` and `run` are shell words, `paths` relative to it."""

    folder: str
    run: str
    paths: tuple[str, ...]
    tar: str = ""

    def pack(self) -> str:
        """The command that prints them as an archive."""
        paths = " ".join(map(shlex.quote, self.paths))
        return f"{_AS_ROOT}{self.run} tar -C {self.folder} -cf - -- {paths}"

    def unpack(self, copy: Copy) -> str:
        """The command that puts an archive's files where they belong."""
        paths = " ".join(f"{self.folder}/{shlex.quote(path)}" for path in self.paths)
        lines = [_AS_ROOT + "set -e", f"{self.run} tar -C {self.folder} {self.tar} -xpf -"]
        if copy.owner:
            lines.append(f"as_root chown -R -- {shlex.quote(copy.owner)} {paths}")
        if copy.mode:
            # Of the files; a directory that nobody may enter would help nobody.
            mode = shlex.quote(copy.mode)
            lines.append(f"as_root find {paths} -type f -exec chmod {mode} {{}} +")
        return "\n".join(lines)


def _parts(paths: Sequence[str]) -> list[_Part]:
    """The paths by where they begin: a home is another one on each node, and its login's own."""
    below_root = tuple(path.lstrip("/") for path in paths if not path.startswith(_HOME))
    below_home = tuple(
        path.removeprefix(_HOME).lstrip("/") for path in paths if path.startswith(_HOME)
    )
    parts = [
        _Part("/", "as_root", below_root),
        _Part('"$HOME"', "command", below_home, "--no-same-owner"),
    ]
    return [part for part in parts if part.paths]
