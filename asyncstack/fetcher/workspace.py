"""Temporary directories that end with their owner, even one that was killed.

Each holds a lock on itself for as long as its process lives. Whoever starts next removes those
whose lock is free, so that nothing is left to be cleaned by hand and nobody's work is swept away.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from asyncstack.fetcher.locks import try_lock

__all__ = ["PREFIX", "Workspaces", "remove_tree", "sweep", "workspace"]

#: Starts with a dot: neither DevStack nor a glob of checkouts looks at it.
PREFIX = ".asyncstack-"


@contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """Make a private directory in `parent`, on the same file system, and remove it at the end.

    Removes abandoned ones first. Raises OSError if `parent` can't be written.
    """
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent)
    path, lock = _create(parent)
    try:
        yield path
    finally:
        remove_tree(path)
        os.close(lock)
        # A git that outlived its killed asyncstack may have hindered the sweep at the beginning.
        sweep(parent)


class Workspaces:
    """One workspace a parent directory, made when it is first needed, removed with the stack."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._made: dict[Path, Path] = {}
        self._count = 0

    def place(self, parent: Path, name: str) -> Path:
        """Make a new directory in the workspace of `parent`. Raises OSError if that can't be."""
        if parent not in self._made:
            self._made[parent] = self._stack.enter_context(workspace(parent))
        self._count += 1
        place = self._made[parent] / f"{self._count}-{name}"
        place.mkdir()
        return place


def _create(parent: Path) -> tuple[Path, int]:
    while True:
        path = parent / f"{PREFIX}{secrets.token_hex(6)}"
        path.mkdir(mode=0o700)  # git's traces lie in it for a while
        # Between mkdir and flock a sweeper may take it for abandoned: then make another one.
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        if try_lock(lock) and path.is_dir():
            return path, lock
        os.close(lock)


def sweep(parent: Path) -> list[Path]:
    """Remove the temporary directories whose owner is gone; return them."""
    swept = []
    for path in parent.glob(f"{PREFIX}*"):
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            if try_lock(lock):
                remove_tree(path)
                swept.append(path)
        finally:
            os.close(lock)
    return swept


def remove_tree(path: Path) -> None:
    """Remove a tree as far as possible; what an orphaned git still writes is swept the next time."""
    for _ in range(3):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
