"""Commands in an ssh connection: a channel each, all of it in bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

import anyio
import asyncssh
from anyio import EndOfStream
from anyio.abc import ByteReceiveStream, ByteSendStream

from asyncstack.errors import ConnectionLostError

__all__ = ["SshProcess", "open_process"]

_CHUNK = 64 * 1024
_STDERR_LIMIT = 64 * 1024
#: Bytes in flight: the default of 2 MB halves the speed to a node 20 ms away.
_WINDOW = 8 * 1024 * 1024
#: Seconds to wait for a session where sshd allows fewer at once (its MaxSessions).
_SESSION_WAIT_S = 30.0


@asynccontextmanager
async def open_process(
    node: str, connection: asyncssh.SSHClientConnection, command: str
) -> AsyncIterator[SshProcess]:
    """Run a command in a connection to a node. Raises ConnectionLostError."""
    async with SshProcess(node, connection, await _create(node, connection, command)) as process:
        yield process


async def _create(
    node: str, connection: asyncssh.SSHClientConnection, command: str
) -> asyncssh.SSHClientProcess[bytes]:
    give_up = anyio.current_time() + _SESSION_WAIT_S
    while True:
        try:
            return await connection.create_process(
                command, encoding=None, window=_WINDOW, request_pty=False
            )
        except asyncssh.ChannelOpenError as error:
            # Where MaxSessions is low, one of ours has to end first; sshd tells nobody when.
            if connection.is_closed() or anyio.current_time() > give_up:
                problem = f"sshd opens no session: {_reason(error)}"
                raise ConnectionLostError(node, problem) from error
            await anyio.sleep(0.05)
        except (asyncssh.Error, OSError) as error:
            raise ConnectionLostError(node, _reason(error)) from error


class SshProcess:
    """A command that runs (`base.Process`)."""

    def __init__(
        self,
        node: str,
        connection: asyncssh.SSHClientConnection,
        process: asyncssh.SSHClientProcess[bytes],
    ) -> None:
        self._process = process
        self.stdin: ByteSendStream = _Sender(node, process.stdin)
        self.stdout: ByteReceiveStream = _Receiver(node, connection, process.stdout)
        self._stderr = bytearray()

    def stderr_tail(self) -> bytes:
        # What has arrived by now; asyncssh keeps it until it is asked for.
        self._stderr += self._process.collect_output()[1]
        del self._stderr[:-_STDERR_LIMIT]
        return bytes(self._stderr)

    async def wait(self) -> int | None:
        await self._process.wait_closed()
        return self._process.returncode

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.close()
        with anyio.move_on_after(2.0, shield=True):
            await self._process.wait_closed()


class _Sender(ByteSendStream):
    def __init__(self, node: str, writer: asyncssh.SSHWriter[bytes]) -> None:
        self._node = node
        self._writer = writer

    async def send(self, item: bytes) -> None:
        try:
            self._writer.write(item)
            await self._writer.drain()
        except (BrokenPipeError, ConnectionError, asyncssh.Error) as error:
            raise anyio.BrokenResourceError from error

    async def aclose(self) -> None:
        with suppress(OSError, asyncssh.Error):
            self._writer.write_eof()


class _Receiver(ByteReceiveStream):
    def __init__(
        self,
        node: str,
        connection: asyncssh.SSHClientConnection,
        reader: asyncssh.SSHReader[bytes],
    ) -> None:
        self._node = node
        self._connection = connection
        self._reader = reader

    async def receive(self, max_bytes: int = _CHUNK) -> bytes:
        try:
            data = await self._reader.read(max_bytes)
        except (asyncssh.Error, OSError) as error:
            raise ConnectionLostError(self._node, _reason(error)) from error
        if data:
            return data
        if self._connection.is_closed():
            # A connection that dies may look like an end of file.
            raise ConnectionLostError(self._node, "the connection was lost")
        raise EndOfStream

    async def aclose(self) -> None:
        """The channel is closed as a whole, by the process."""


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
