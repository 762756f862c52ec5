"""The ends of a local command's streams: sockets, read and written when the kernel says so.

Not anyio's own socket streams: when reading from one is cancelled at the very moment that something
comes, asyncio prints an InvalidStateError.
"""

from __future__ import annotations

import socket

import anyio
from anyio import EndOfStream, lowlevel
from anyio.abc import ByteReceiveStream, ByteSendStream

__all__ = ["SocketReceiver", "SocketSender"]

_CHUNK = 64 * 1024


class SocketReceiver(ByteReceiveStream):
    """What the other end of a connected socket sends."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end

    async def receive(self, max_bytes: int = _CHUNK) -> bytes:
        """Raises EndOfStream when nobody holds the other end, and ClosedResourceError."""
        await lowlevel.checkpoint()
        while True:
            if self._socket.fileno() < 0:
                raise anyio.ClosedResourceError
            try:
                data = self._socket.recv(max_bytes)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
                continue
            except OSError as error:
                raise anyio.BrokenResourceError from error
            if not data:
                raise EndOfStream
            return data

    async def aclose(self) -> None:
        """Let go of it; who waits in `receive` gets a ClosedResourceError."""
        _close(self._socket)


class SocketSender(ByteSendStream):
    """What the other end of a connected socket reads; closing it is the end of file there."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end

    async def send(self, item: bytes) -> None:
        """Raises BrokenResourceError when nobody reads any more, and ClosedResourceError."""
        await lowlevel.checkpoint()
        rest = memoryview(item)
        while rest:
            if self._socket.fileno() < 0:
                raise anyio.ClosedResourceError
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
            except OSError as error:
                raise anyio.BrokenResourceError from error

    async def aclose(self) -> None:
        """Close it; who waits in `send` gets a ClosedResourceError."""
        _close(self._socket)


def _close(end: socket.socket) -> None:
    if end.fileno() >= 0:
        anyio.notify_closing(end)
        end.close()
