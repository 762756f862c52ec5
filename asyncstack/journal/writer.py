"""The append-only journal of a run.

`emit` never blocks: it stamps the event and queues it. One task takes what has gathered, renders
it and writes it in one go, so that a burst of events costs one hop to a thread, not one each.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import CancelScope, to_thread

from asyncstack.errors import RunDirectoryError
from asyncstack.events import Event, Transient, stamped
from asyncstack.journal.directory import RunDirectory
from asyncstack.journal.logger import EventLogger, build_logger, log

if TYPE_CHECKING:
    from aiofiles.threadpool.binary import AsyncFileIO

__all__ = ["Journal", "open_journal"]

#: Seconds that events may gather before they are written.
LINGER_S = 0.05

#: Bytes; no event is longer than that.
_LONGEST_LINE = 1024 * 1024

#: Seconds that the end of a run waits for a disk that doesn't answer.
CLOSE_TIMEOUT_S = 10.0


class Journal:
    """The journal of one run, open for writing. Made by `open_journal`."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._queue: list[Event] = []
        self._wake = anyio.Event()
        self._hurry = anyio.Event()
        self._rested = anyio.Event()
        self._closing = False
        self._ended = False
        self._scope = CancelScope(shield=True)
        self._error: RunDirectoryError | None = None

    def emit(self, event: Event) -> None:
        """Queue one event, stamped with the present time unless it has a timestamp.

        The transient kinds are left out. Raises RunDirectoryError, once, if an earlier event
        couldn't be written; what is emitted after that is dropped. Not to be called from a thread.
        """
        self._raise_error()
        if isinstance(event, Transient):
            return
        self._queue.append(stamped(event))
        self._wake.set()

    async def flush(self) -> None:
        """Return when what was emitted is on the disk, or never will be, which `emit` tells."""
        with anyio.move_on_after(CLOSE_TIMEOUT_S):
            while self._queue and not self._ended:
                self._hurry.set()
                await self._rested.wait()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    async def _write_all(self, stream: AsyncFileIO) -> None:
        """Write what is emitted until `_close`, or until the disk refuses."""
        with self._scope:
            try:
                await self._write_batches(stream)
            except OSError as error:
                self._error = _unwritable(self._run, error.strerror or str(error))
        if self._scope.cancelled_caught:
            self._error = _unwritable(self._run, f"no answer in {CLOSE_TIMEOUT_S:.0f} s")
        self._ended = True
        self._rested.set()

    async def _write_batches(self, stream: AsyncFileIO) -> None:
        lines: list[bytes] = []
        logger: EventLogger | None = None
        while not (self._closing and not self._queue):
            await self._wake.wait()
            with anyio.move_on_after(LINGER_S):
                await self._hurry.wait()
            self._wake = anyio.Event()
            if logger is None:
                # The import of structlog: in a thread, while the first nodes are being reached.
                logger = await to_thread.run_sync(build_logger, self._run.run_id, lines.append)
            # Who waits for it to be empty wants it to be on the disk by then.
            batch = list(self._queue)
            for event in batch:
                log(logger, event)
            await _write(stream, b"".join(lines))
            lines.clear()
            del self._queue[: len(batch)]
            if self._queue:
                self._wake.set()
            elif not self._closing:
                self._hurry = anyio.Event()
            self._rested.set()
            self._rested = anyio.Event()

    def _close(self) -> None:
        self._scope.deadline = anyio.current_time() + CLOSE_TIMEOUT_S
        self._closing = True
        self._hurry.set()
        self._wake.set()


@asynccontextmanager
async def open_journal(run: RunDirectory) -> AsyncIterator[Journal]:
    """Open the run's journal for appending, and keep others from writing to it meanwhile.

    When the block ends, however it ends, what was emitted is on the disk. Raises
    RunDirectoryError if the file can't be opened or is being written by another process, and at
    the end if something couldn't be written and `emit` hasn't said so; an error of the block
    itself goes before that.
    """
    import aiofiles  # noqa: PLC0415 – 50 ms, which only a run should pay

    failure: Exception | None = None
    try:
        stream = await aiofiles.open(run.events, "ab", buffering=0)
    except OSError as error:
        raise _unwritable(run, error.strerror or str(error)) from error
    try:
        _lock(run, stream)
        await to_thread.run_sync(_mend, run.events)
        journal = Journal(run)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal._write_all, stream)  # noqa: SLF001 – its other half
            try:
                yield journal
            except Exception as error:  # noqa: BLE001 – raised again below, out of the group
                # Inside the group it would come out wrapped in an ExceptionGroup.
                failure = error
            finally:
                journal._close()  # noqa: SLF001
    finally:
        with CancelScope(shield=True, deadline=anyio.current_time() + CLOSE_TIMEOUT_S):
            await stream.close()
    if failure is not None:
        raise failure
    journal._raise_error()  # noqa: SLF001


def _lock(run: RunDirectory, stream: AsyncFileIO) -> None:
    # Two controllers must not drive one run; and who follows a run sees by it whether it goes on.
    try:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RunDirectoryError(
            "another process is writing this run's journal",
            path=str(run.events),
            hint=f"follow it with `asyncstack logs {run.run_id} --follow`",
        ) from error
    except OSError:
        return  # some network file systems have no locks; better no lock than no run


def _mend(path: Path) -> None:
    """Take away a last line that whoever wrote before us had no time to end."""
    with path.open("rb+") as stream:
        size = stream.seek(0, os.SEEK_END)
        tail = min(size, _LONGEST_LINE)
        stream.seek(-tail, os.SEEK_END)
        rest = stream.read(tail).rpartition(b"\n")[2]
        if rest:
            stream.truncate(size - len(rest))


async def _write(stream: AsyncFileIO, data: bytes) -> None:
    while data:
        data = data[await stream.write(data) :]


def _unwritable(run: RunDirectory, problem: str) -> RunDirectoryError:
    return RunDirectoryError(
        f"the journal can't be written: {problem}",
        path=str(run.events),
        hint="free some space, or choose another directory with --run-dir DIR",
    )
