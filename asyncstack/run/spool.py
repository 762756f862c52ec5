"""What a command on a node prints, kept in a file that has no name, for commands on other nodes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
from anyio import EndOfStream, to_thread
from anyio.abc import ByteSendStream

from asyncstack.errors import ConnectionLostError, TransportError
from asyncstack.transports.base import Completed, Process, Transport

__all__ = ["Spool", "open_spool"]

#: Bytes that are in memory of each of them; what nodes send comes in smaller pieces.
_CHUNK = 1024 * 1024


class Spool:
    """A file of ours. What it holds may be secret, so that nobody else can open it: see `open_spool`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = 0

    async def fill(self, transport: Transport, command: str) -> Completed:
        """Keep what a command prints, in place of what was kept before."""
        self.size = 0

        async def write(process: Process) -> None:
            piece = bytearray()
            with suppress(EndOfStream):
                while True:
                    piece += await process.stdout.receive()
                    if len(piece) >= _CHUNK:
                        await to_thread.run_sync(self._write, bytes(piece))
                        piece.clear()
            await to_thread.run_sync(self._write, bytes(piece))

        return await _run(transport, command, write)

    async def feed(self, transport: Transport, command: str) -> Completed:
        """Run a command that reads what is kept, and a newline: so it knows that nothing was cut off.

        Several may at the same time.
        """

        async def write_and_read(process: Process) -> None:
            lost: list[ConnectionLostError] = []
            async with anyio.create_task_group() as tasks:
                # At the same time, or a command that prints as it reads would block us both.
                tasks.start_soon(self._send, process.stdin)
                try:
                    while True:
                        await process.stdout.receive()
                except EndOfStream:
                    pass
                except ConnectionLostError as error:
                    lost.append(error)  # a task group would wrap it
                tasks.cancel_scope.cancel()  # it need not want to read all of it
            if lost:
                raise lost[0]

        return await _run(transport, command, write_and_read)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, self.size)
            self.size += written
            view = view[written:]

    async def _send(self, stream: ByteSendStream) -> None:
        sent = 0
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            while sent < self.size:
                limit = min(_CHUNK, self.size - sent)
                data = await to_thread.run_sync(os.pread, self._descriptor, limit, sent)
                await stream.send(data)
                sent += len(data)
            await stream.send(b"\n")
        await stream.aclose()


@contextmanager
def open_spool(folder: Path) -> Iterator[Spool]:
    """A spool on the disk where `folder` is; nothing is left of it, however the process ends."""
    # Not in /tmp, which is memory on many systems.
    with tempfile.TemporaryFile(dir=folder) as file:
        yield Spool(file.fileno())


async def _run(
    transport: Transport, command: str, talk: Callable[[Process], Awaitable[None]]
) -> Completed:
    try:
        async with transport.open_process(command) as process:
            await talk(process)
            return Completed(await process.wait(), b"", process.stderr_tail())
    except ConnectionLostError as error:
        return Completed(None, b"", error.problem.encode())
    except TransportError as error:
        return Completed(1, b"", f"{error.problem}; {error.hint}".encode())
    except OSError as error:
        return Completed(1, b"", f"can't be kept on the controller meanwhile: {error}".encode())
