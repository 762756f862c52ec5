"""The raw output of steps, one file each.

Writing is buffered and cheap; `flush` takes everything that is pending to the disk in one hop to
a thread. No file stays open between flushes, so that thousands of steps need no more descriptors
than one.
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio
from anyio import to_thread

from asyncstack.errors import RunDirectoryError

__all__ = ["StepLogs"]


class StepLogs:
    """The step logs of one run; `root` is its directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pending: dict[str, list[bytes]] = {}
        self._pending_bytes = 0
        self._order = anyio.Lock()

    @property
    def pending_bytes(self) -> int:
        """How much waits for the next flush; who produces fast flushes when this grows."""
        return self._pending_bytes

    def write(self, relative_path: str, data: bytes) -> None:
        """Take output of a step. Its file comes into being with its first byte."""
        if data:
            self._pending.setdefault(relative_path, []).append(data)
            self._pending_bytes += len(data)

    async def flush(self) -> None:
        """Write what is pending; when this returns, what was written before it is on the disk.

        Raises RunDirectoryError, which names the file, if it can't be.
        """
        # One flush at a time, or two of them could swap the parts of one file.
        async with self._order:
            pending, self._pending = self._pending, {}
            self._pending_bytes = 0
            if pending:
                await to_thread.run_sync(_append_all, self._root, pending)


def _append_all(root: Path, pending: dict[str, list[bytes]]) -> None:
    for relative_path, parts in pending.items():
        path = root / relative_path
        try:
            _append(path, b"".join(parts))
        except OSError as error:
            raise RunDirectoryError(
                f"the step's output can't be written: {error.strerror}",
                path=str(path),
                hint="free some space, or choose another directory with --run-dir DIR",
            ) from error


def _append(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, flags, 0o600)
    with open(descriptor, "wb") as stream:  # noqa: PTH123 – it is open already
        stream.write(data)
