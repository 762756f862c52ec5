"""A node behind ssh: one asyncssh connection, a few channels in it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from types import TracebackType
from typing import Self

import anyio
from anyio import EndOfStream

from asyncstack.errors import ConnectionLostError
from asyncstack.model import Node
from asyncstack.transports.base import Completed, Process
from asyncstack.transports.hostkeys import Remark
from asyncstack.transports.sshaccess import Link, SshAccess
from asyncstack.transports.sshchannels import Sessions, open_process
from asyncstack.transports.sshconfig import SshOptions
from asyncstack.transports.sshlogin import SshLogin

__all__ = ["SshAccess", "SshOptions", "SshTransport"]

#: sshd's MaxSessions is 10 by default; we never need more than a few at once.
_CHANNELS = 4


class SshTransport:
    """Runs commands on a node over one ssh connection, which it makes anew when asked to.

    `access` is what the nodes of a run share; `remark` is told of a host key that was accepted.
    """

    def __init__(
        self,
        node: Node,
        options: SshOptions,
        access: SshAccess,
        remark: Remark = lambda _: None,
    ) -> None:
        self._node = node
        self._login = SshLogin(node, options, access, remark=remark)
        self._jitter_s = options.jitter_s
        self._connects = access.connects
        # A semaphore, for a channel may be closed by another task than the one that opened it.
        self._channels = anyio.Semaphore(_CHANNELS)
        self._sessions = Sessions()
        self._link: Link | None = None
        self._connected_before = False

    @property
    def node(self) -> Node:
        return self._node

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._drop()

    async def connect(self) -> None:
        """Connect, unless there is a connection that works.

        Raises ConnectError, AuthenticationError or HostKeyError.
        """
        if self._link is not None and not self._link.connection.is_closed():
            return
        await self._drop()
        async with self._connects:
            if self._connected_before:
                # Nodes behind one link lose it all at once, and other controllers' do as well.
                await anyio.sleep(random.uniform(0, self._jitter_s))  # noqa: S311
            self._link, self._sessions = await self._login.connect(), Sessions()
            self._connected_before = True

    async def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.aclose()

    def open_process(self, command: str) -> AbstractAsyncContextManager[Process]:
        return self._open_process(command)

    @asynccontextmanager
    async def _open_process(self, command: str) -> AsyncIterator[Process]:
        async with self._channels:
            if self._link is None:
                raise ConnectionLostError(self._node.name, "there is no connection")
            connection, name = self._link.connection, self._node.name
            async with open_process(name, connection, command, self._sessions) as process:
                yield process

    async def run(self, command: str, *, stdin: bytes = b"") -> Completed:
        output = bytearray()
        try:
            async with self.open_process(command) as process:
                async with anyio.create_task_group() as tasks:
                    # At the same time: one that answers as it reads would block us both.
                    tasks.start_soon(_feed, process, stdin)
                    lost = await _read_all(process, output)
                    # It need not want to read all of it.
                    tasks.cancel_scope.cancel()
                if lost is not None:
                    raise lost
                return Completed(await process.wait(), bytes(output), process.stderr_tail())
        except ConnectionLostError as error:
            return Completed(None, bytes(output), error.problem.encode())


async def _feed(process: Process, data: bytes) -> None:
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.send(data)
    await process.stdin.aclose()


async def _read_all(process: Process, output: bytearray) -> ConnectionLostError | None:
    """Read to the end; the error is a value, for a task group would wrap it."""
    try:
        while True:
            output += await process.stdout.receive()
    except EndOfStream:
        return None
    except ConnectionLostError as error:
        return error
