"""The local host as a node: the same commands, the same mechanism, no network."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from types import TracebackType
from typing import IO, Self

import anyio
from anyio import CancelScope, EndOfStream
from anyio.abc import ByteReceiveStream, ByteSendStream

from asyncstack.model import Node
from asyncstack.transports.base import Completed, Process
from asyncstack.transports.sockets import SocketReceiver, SocketSender

__all__ = ["LocalTransport"]

#: Seconds that a command may take to end after its streams were closed, then after TERM, KILL.
_GRACE_S = ((None, 0.5), (signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0))
_POLL_S = 0.01
_STDERR_LIMIT = 64 * 1024


class _LocalProcess:
    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stdin: ByteSendStream,
        stdout: ByteReceiveStream,
        stderr: IO[bytes],
    ) -> None:
        self._process = process
        self._stderr = stderr
        self.stdin = stdin
        self.stdout = stdout

    def stderr_tail(self) -> bytes:
        descriptor = self._stderr.fileno()
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, _STDERR_LIMIT, max(0, size - _STDERR_LIMIT))

    async def wait(self) -> int | None:
        if self._process.poll() is None:
            # The end of the process is what its pidfd says, whoever still holds its pipes.
            descriptor = os.pidfd_open(self._process.pid)
            try:
                await anyio.wait_readable(descriptor)
            finally:
                os.close(descriptor)
        return self._process.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with CancelScope(shield=True):
            for stream in (self.stdin, self.stdout):
                await stream.aclose()
            for number, grace in _GRACE_S:
                if number is not None:
                    with suppress(ProcessLookupError):
                        os.killpg(self._process.pid, number)
                with anyio.move_on_after(grace):
                    await self.wait()
                    # It may have ended before its children, who may not want to.
                    while self._has_children():  # noqa: ASYNC110 – the kernel has no event for it
                        await anyio.sleep(_POLL_S)
                    return

    def _has_children(self) -> bool:
        try:
            os.killpg(self._process.pid, 0)
        except (ProcessLookupError, PermissionError):  # gone, or somebody else's
            return False
        # Or only a zombie, which its new parent may be slow to reap, in a container for ever.
        # (By name: a Path a process would be most of the cost, and this is asked at every end.)
        found = (name for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208
        return any(_lives_in(name, self._process.pid) for name in found)


def _lives_in(pid: str, group: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123
            state, _, its_group, *_ = stat.read().rpartition(b") ")[2].split()
    except (OSError, ValueError):
        return False
    return int(its_group) == group and state != b"Z"


async def _feed(stream: ByteSendStream, data: bytes) -> None:
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await stream.send(data)
    await stream.aclose()


class LocalTransport:
    """Runs commands on this machine, each in a session of its own (so that it can be killed)."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def node(self) -> Node:
        return self._node

    async def connect(self) -> None:
        """There is nothing to connect to."""

    def open_process(self, command: str) -> AbstractAsyncContextManager[Process]:
        return self._open_process(command)

    @asynccontextmanager
    async def _open_process(self, command: str) -> AsyncIterator[Process]:
        # Sockets, because asyncio can't close the pipes of a process that a grandchild still
        # holds. stderr goes to a file without a name: no task has to drain it, it can't block.
        ours_in, theirs_in = socket.socketpair()
        ours_out, theirs_out = socket.socketpair()
        with tempfile.TemporaryFile() as stderr:
            with theirs_in, theirs_out:
                process = subprocess.Popen(  # noqa: ASYNC220 – vfork: a millisecond, no thread
                    ["/bin/sh", "-c", command],
                    stdin=theirs_in.fileno(),
                    stdout=theirs_out.fileno(),
                    stderr=stderr,
                    start_new_session=True,
                )
            # Nothing is awaited in between: a command that was started has somebody to end it.
            stdin, stdout = SocketSender(ours_in), SocketReceiver(ours_out)
            async with _LocalProcess(process, stdin, stdout, stderr) as local:
                yield local

    async def run(self, command: str, *, stdin: bytes = b"") -> Completed:
        async with self.open_process(command) as process:
            output = bytearray()
            async with anyio.create_task_group() as tasks:
                # At the same time, or a command that answers as it reads would block us both.
                tasks.start_soon(_feed, process.stdin, stdin)
                with suppress(EndOfStream):
                    while True:
                        output += await process.stdout.receive()
                # It need not want to read all of it.
                tasks.cancel_scope.cancel()
            return Completed(await process.wait(), bytes(output), process.stderr_tail())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None
