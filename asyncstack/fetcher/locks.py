"""Locks between processes: the kernel's, which end with their process and so can't be stale."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

__all__ = ["only_one", "try_lock"]


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
