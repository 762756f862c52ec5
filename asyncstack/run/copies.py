"""Files that nodes need from each other: CA certificates, ceph.conf and keyrings, ssh keys."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence

import anyio

from asyncstack.events import Emit, FilesCopied
from asyncstack.inventory import Copy
from asyncstack.model import PhaseKey
from asyncstack.transports.base import Transport

__all__ = ["copy_files", "due_copies"]

# As root, for that is who owns such files; a node where sudo asks for a password says so.
_AS_ROOT = 'as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }\n'


def due_copies(copies: Sequence[Copy], key: PhaseKey, finished: set[str]) -> list[Copy]:
    """The copies that belong behind a phase, of those whose sources have all finished it."""
    return [c for c in copies if c.after == key.name and finished >= set(c.sources)]


async def copy_files(copy: Copy, transports: Mapping[str, Transport], emit: Emit) -> list[str]:
    """Copy the files of the first source to all targets at once; the nodes that lack them now.

    A target that is the source itself has them already.
    """
    source = transports[copy.sources[0]]
    started = time.monotonic()
    paths = " ".join(shlex.quote(path.lstrip("/")) for path in copy.paths)
    packed = await source.run(f"{_AS_ROOT}as_root tar -C / -cf - -- {paths}")
    failed: list[str] = []

    async def unpack(target: str) -> None:
        done = packed
        if packed.ok:
            done = await transports[target].run(_unpack_command(copy), stdin=packed.stdout)
        if not done.ok:
            failed.append(target)
        emit(
            FilesCopied(
                source=source.node.name,
                target=target,
                paths=copy.paths,
                after=copy.after,
                ok=done.ok,
                sent_bytes=len(packed.stdout) if packed.ok else 0,
                duration_s=round(time.monotonic() - started, 6),
                message="" if done.ok else done.stderr.decode("utf-8", "replace").strip(),
            )
        )

    async with anyio.create_task_group() as tasks:
        for target in copy.targets:
            if target in transports and target != source.node.name:
                tasks.start_soon(unpack, target)
    return failed


def _unpack_command(copy: Copy) -> str:
    paths = " ".join(shlex.quote(path) for path in copy.paths)
    lines = [_AS_ROOT + "set -e", "as_root tar -C / -xpf -"]
    if copy.owner:
        lines.append(f"as_root chown -R -- {shlex.quote(copy.owner)} {paths}")
    if copy.mode:
        # Of the files; a directory that nobody may enter would help nobody.
        lines.append(f"as_root find {paths} -type f -exec chmod {shlex.quote(copy.mode)} {{}} +")
    return "\n".join(lines)
