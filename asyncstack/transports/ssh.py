"""A node behind ssh: one asyncssh connection, a few channels in it, all of it in bytes.

`~/.ssh/config` (aliases, ProxyJump, IdentityFile, User, Port), the agent and known_hosts are
honoured by asyncssh itself. What comes back from it as an error is translated here, at the border.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self

import anyio
import asyncssh
from anyio import CapacityLimiter, EndOfStream
from anyio.abc import ByteReceiveStream, ByteSendStream
from msgspec import Struct

from asyncstack.errors import (
    AuthenticationError,
    ConnectError,
    ConnectionLostError,
    HostKeyError,
    TransportError,
)
from asyncstack.model import Node
from asyncstack.transports.base import Completed, Process
from asyncstack.transports.hostkeys import HostKeys

__all__ = ["SshOptions", "SshTransport"]

_CHUNK = 64 * 1024
_STDERR_LIMIT = 64 * 1024
#: Bytes in flight: the default of 2 MB halves the speed to a node 20 ms away.
_WINDOW = 8 * 1024 * 1024
#: sshd's MaxSessions is 10 by default; we never need more than a few at once.
_CHANNELS = 4
#: Seconds to wait for a session where sshd allows fewer at once (its MaxSessions).
_SESSION_WAIT_S = 30.0
_HUNG_UP = (asyncssh.ConnectionLost, ConnectionResetError)
#: Seconds before one that hung up in the handshake is called again.
_HUNG_UP_DELAYS_S = (0.3, 1.0, 2.0)
# Twice the throughput of the default order.
_CIPHERS = "^aes256-gcm@openssh.com,aes128-gcm@openssh.com"


class SshOptions(Struct, frozen=True, kw_only=True):
    """How to connect. Times are seconds.

    A connection that is silent for `keepalive_s` × `keepalive_count` is given up, unless
    ~/.ssh/config says otherwise for the node (ServerAliveInterval, ServerAliveCountMax).
    """

    key_file: str = ""
    config_files: tuple[str, ...] | None = None
    known_hosts: str = ""
    accept_new_host_keys: bool = False
    connect_timeout_s: float = 15.0
    login_timeout_s: float = 30.0
    keepalive_s: float = 5.0
    keepalive_count: int = 3
    jitter_s: float = 0.2


class SshTransport:
    """Runs commands on a node over one ssh connection, which it makes anew when asked to.

    `connects` bounds how many connections are being made at once; share one among the nodes
    behind the same jump host, for sshd drops what exceeds its MaxStartups.
    """

    def __init__(self, node: Node, options: SshOptions, connects: CapacityLimiter) -> None:
        self._node = node
        self._options = options
        self._connects = connects
        # A semaphore, for a channel may be closed by another task than the one that opened it.
        self._channels = anyio.Semaphore(_CHANNELS)
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connected_before = False
        self._host_keys = HostKeys(node.name, options.known_hosts)

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
        if self._connection is not None and not self._connection.is_closed():
            return
        await self._drop()
        async with self._connects:
            if self._connected_before:
                # Nodes behind one link lose it all at once, and other controllers' do as well.
                await anyio.sleep(random.uniform(0, self._options.jitter_s))  # noqa: S311
            self._connection = await self._connect()
            self._connected_before = True

    async def _connect(self) -> asyncssh.SSHClientConnection:
        try:
            try:
                return await self._attempt()
            except (asyncssh.HostKeyNotVerifiable, *_HUNG_UP) as error:
                # Hanging up is what a node does to us that has none of the kinds of keys that
                # known_hosts has for it.
                await self._host_keys.accept_or_refuse(
                    self._arguments(),
                    accept_new=self._options.accept_new_host_keys,
                    timeout_s=self._options.login_timeout_s,
                    cause=error,
                )
            return await self._attempt()
        except asyncssh.HostKeyNotVerifiable as error:
            raise HostKeyError(self._node.name, _reason(error)) from error
        except (OSError, asyncssh.Error, ValueError) as error:
            # ValueError: a key, known_hosts or ~/.ssh/config that can't be read.
            raise _translated(self._node, error) from error

    async def _attempt(self) -> asyncssh.SSHClientConnection:
        """Connect; one that hangs up before the login is done, as a busy sshd does, is asked again."""
        for delay in _HUNG_UP_DELAYS_S:
            try:
                return await self._attempt_once()
            except _HUNG_UP:
                await anyio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311
        return await self._attempt_once()

    async def _attempt_once(self) -> asyncssh.SSHClientConnection:
        arguments, options = self._arguments(), self._options
        configured = await asyncssh.SSHClientConnectionOptions.construct(**arguments)
        arguments["known_hosts"] = self._host_keys.trusted(configured)
        if not configured.keepalive_interval:
            arguments["keepalive_interval"] = options.keepalive_s
            arguments["keepalive_count_max"] = options.keepalive_count
        return await asyncssh.connect(
            **arguments,
            encryption_algs=_CIPHERS,
            connect_timeout=options.connect_timeout_s,
            login_timeout=options.login_timeout_s,
        )

    def _arguments(self) -> dict[str, Any]:
        # What isn't given is left to ~/.ssh/config: an explicit value would win over it.
        node, options = self._node, self._options
        arguments: dict[str, Any] = {"host": node.host or node.name}
        if node.user:
            arguments["username"] = node.user
        if node.port:
            arguments["port"] = node.port
        if options.key_file:
            arguments["client_keys"] = [options.key_file]
        # Always, for not all that takes it reads ~/.ssh/config by default, which () means.
        arguments["config"] = () if options.config_files is None else list(options.config_files)
        return arguments

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
            with suppress(asyncssh.Error, OSError), anyio.move_on_after(1.0, shield=True):
                await connection.wait_closed()

    def open_process(self, command: str) -> AbstractAsyncContextManager[Process]:
        return self._open_process(command)

    @asynccontextmanager
    async def _open_process(self, command: str) -> AsyncIterator[Process]:
        async with self._channels:
            connection, process = await self._create(command)
            remote = _SshProcess(self._node.name, connection, process)
            async with remote:
                yield remote

    async def _create(
        self, command: str
    ) -> tuple[asyncssh.SSHClientConnection, asyncssh.SSHClientProcess[bytes]]:
        connection = self._connection
        if connection is None:
            raise ConnectionLostError(self._node.name, "there is no connection")
        give_up = anyio.current_time() + _SESSION_WAIT_S
        while True:
            try:
                process = await connection.create_process(
                    command, encoding=None, window=_WINDOW, request_pty=False
                )
            except asyncssh.ChannelOpenError as error:
                # Where MaxSessions is low, one of ours has to end first; sshd tells nobody when.
                if connection.is_closed() or anyio.current_time() > give_up:
                    raise ConnectionLostError(
                        self._node.name, f"sshd opens no session: {_reason(error)}"
                    ) from error
                await anyio.sleep(0.05)
            except (asyncssh.Error, OSError) as error:
                raise ConnectionLostError(self._node.name, _reason(error)) from error
            else:
                return connection, process

    async def run(self, command: str, *, stdin: bytes = b"") -> Completed:
        output = bytearray()
        try:
            async with self.open_process(command) as process:
                with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                    await process.stdin.send(stdin)
                await process.stdin.aclose()
                with suppress(EndOfStream):
                    while True:
                        output += await process.stdout.receive()
                return Completed(await process.wait(), bytes(output), process.stderr_tail())
        except ConnectionLostError as error:
            return Completed(None, bytes(output), error.problem.encode())


class _SshProcess:
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


def _translated(node: Node, error: BaseException) -> TransportError:
    where = f"{node.user + '@' if node.user else ''}{node.host or node.name}"
    if node.port:
        where += f":{node.port}"
    if isinstance(error, asyncssh.KeyEncryptionError | asyncssh.KeyImportError):
        return AuthenticationError(
            node.name,
            f"the key for {where} can't be used: {_reason(error)}",
            hint="if it has a passphrase, give it to the agent: ssh-add KEY",
        )
    if isinstance(error, asyncssh.PermissionDenied):
        return AuthenticationError(
            node.name,
            f"{where} refused the login: {_reason(error)}",
            hint="check the user and the key (ansible_user, ansible_ssh_private_key_file, "
            "~/.ssh/config, ssh-add -l)",
        )
    if isinstance(error, TimeoutError):
        return ConnectError(node.name, f"{where} did not answer in time", hint="is it up?")
    if isinstance(error, asyncssh.ConnectionLost | asyncssh.DisconnectError):
        return ConnectError(node.name, f"{where} hung up: {_reason(error)}")
    return ConnectError(node.name, f"{where} can't be reached: {_reason(error)}")
