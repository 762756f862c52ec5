"""The ends of a local command's streams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio.abc import ByteReceiveStream
from anyio.lowlevel import checkpoint

from asyncstack.transports.sockets import SocketReceiver, SocketSender

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pair() -> AsyncIterator[tuple[SocketSender, SocketReceiver]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield SocketSender(theirs), SocketReceiver(ours)


async def _cancel_as_something_comes(
    receiver: ByteReceiveStream, other: socket.socket
) -> list[Any]:
    """What asyncio complains of when both are due in one turn of its loop."""
    loop, complaints = asyncio.get_running_loop(), list[Any]()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receiver.receive)
        await anyio.wait_all_tasks_blocked()
        other.send(b"x")
        loop.call_soon(tasks.cancel_scope.cancel)
    for _ in range(3):
        await checkpoint()
    return complaints


async def test_a_cancelled_wait_is_silent_even_as_something_comes() -> None:
    """Nothing is lost by it either: who reads next gets what came."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        receiver = SocketReceiver(ours)
        assert await _cancel_as_something_comes(receiver, theirs) == []
        assert await receiver.receive() == b"x"


async def test_more_than_fits_is_sent_as_it_is_read(
    pair: tuple[SocketSender, SocketReceiver],
) -> None:
    """In order, whole."""
    sender, receiver = pair
    data = bytes(range(256)) * 16384

    async def send() -> None:
        await sender.send(data)
        await sender.aclose()

    received = bytearray()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        with suppress(anyio.EndOfStream):
            while True:
                received += await receiver.receive()
    assert received == data


async def test_closing_tells_who_waits(pair: tuple[SocketSender, SocketReceiver]) -> None:
    """And everybody after."""
    _, receiver = pair
    told: list[type[Exception]] = []

    async def wait() -> None:
        try:
            await receiver.receive()
        except anyio.ClosedResourceError as error:
            told.append(type(error))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await receiver.aclose()
    assert told == [anyio.ClosedResourceError]
    with pytest.raises(anyio.ClosedResourceError):
        await receiver.receive()
    await receiver.aclose()


async def test_nobody_reads_any_more(pair: tuple[SocketSender, SocketReceiver]) -> None:
    """The sender hears of it."""
    sender, receiver = pair
    await receiver.aclose()
    with pytest.raises(anyio.BrokenResourceError):
        await sender.send(b"x")
