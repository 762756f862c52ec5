"""How a node is reached: the whole interface between us and a machine.

A transport runs one POSIX shell command line on a node, as bytes: what goes in, what comes out,
how it ended. Everything else (the driver, the follower, stopping) is made of that, so that the
local host, ssh and the tests' memory transport behave alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Protocol, Self

from anyio.abc import ByteReceiveStream, ByteSendStream
from msgspec import Struct

from asyncstack.model import Node

__all__ = ["Ask", "Completed", "Process", "Transport"]

#: Asks the user for a secret, given the prompt; None: there is nobody to ask.
Ask = Callable[[str], Awaitable[str | None]]


class Completed(Struct, frozen=True):
    """How a command ended. `exit_status` is None if the node was lost meanwhile: never success."""

    exit_status: int | None
    stdout: bytes = b""
    stderr: bytes = b""

    @property
    def ok(self) -> bool:
        """True only for a status that was read and is 0."""
        return self.exit_status == 0


class Process(Protocol):
    """A command that runs on a node.

    `stdout` ends (EndOfStream) when every process that holds it has closed it. stderr is kept,
    its last 64 KiB, for `stderr_tail`. Leaving the context closes the channel; the command and
    its children get SIGHUP or SIGTERM, and locally SIGKILL after a deadline.
    """

    @property
    def stdin(self) -> ByteSendStream:
        """What the command reads; `aclose` is its end of file."""

    @property
    def stdout(self) -> ByteReceiveStream:
        """What the command prints, in pieces of at most 64 KiB."""

    def stderr_tail(self) -> bytes:
        """The last 64 KiB that it printed to stderr so far."""

    async def wait(self) -> int | None:
        """Wait for its end; None if the node was lost. Negative: the signal that killed it."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Transport(Protocol):
    """A way to one node. Use it as an async context manager: entering connects."""

    @property
    def node(self) -> Node:
        """The node that it leads to."""

    async def connect(self) -> None:
        """Connect again if the connection is gone; nothing to do where there is none to lose.

        Raises ConnectError, AuthenticationError or HostKeyError.
        """

    def open_process(self, command: str) -> AbstractAsyncContextManager[Process]:
        """Start a POSIX shell command line.

        Raises ConnectionLostError if the node is gone, on entering or from any stream; on entering
        UnfitNodeError if it doesn't allow as many commands at once as a run needs.
        """

    async def run(self, command: str, *, stdin: bytes = b"") -> Completed:
        """Run a command to its end and return what it printed (for short answers)."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
