"""Locks between processes: the kernel's, which end with their process and so can't be stale."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

__all__ = ["only_one", "remove_stale_lock", "try_lock"]

_REF_LOCK = re.compile(
    r"^error: cannot lock ref .*: Unable to create '(.+\.lock)': File exists", re.MULTILINE
)
#: A living git holds the lock of a ref for milliseconds.
_STALE_S = 2.0


@asynccontextmanager
async def only_one(path: Path, flags: int = os.O_RDONLY) -> AsyncIterator[None]:
    """Be the only one, in any process, to hold this file or directory; wait for whoever does.

    Where nothing can be locked everybody goes on: the lock spares double work and errors, and what
    it guards is safe without.
    """
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError:
        yield
        return
    try:
        pause = 0.005
        while not try_lock(descriptor):
            await anyio.sleep(pause)
            pause = min(0.25, pause * 2)
        yield
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file; False if somebody else has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: nobody can hold one
    return True


async def remove_stale_lock(words: str, git_dir: Path) -> bool:
    """Remove the lock of a ref that a killed git has left, which git's `words` complain of.

    Say whether another try may do: it was removed, or went by itself. Raises OSError.
    """
    found = _REF_LOCK.search(words)
    lock = Path(found[1]) if found else git_dir
    if not lock.is_relative_to(git_dir / "refs") or ".." in lock.parts:
        return False
    try:
        before = lock.stat()
        await anyio.sleep(max(0.0, _STALE_S - (time.time() - before.st_mtime)))
        after = lock.stat()
        if (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns):
            lock.unlink()
    except FileNotFoundError:
        return True
    return True
