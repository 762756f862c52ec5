"""A driver on a node, as the controller holds it: start it, tell it, read it, stop it.

Nothing runs in the background here. The driver's journal is a file on the node; it waits there
until `receive` is called, so a slow controller holds up nobody and keeps nothing in memory.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio import EndOfStream

from asyncstack.errors import ConnectionLostError, DriverProtocolError, UnfitNodeError
from asyncstack.runtime.bootstrap import UNFIT, start_command, stop_command
from asyncstack.runtime.framing import FrameParser
from asyncstack.runtime.messages import Message, decode
from asyncstack.runtime.payload import DriverSettings, build_payload
from asyncstack.transports.base import Process, Transport

__all__ = ["Session", "new_nonce", "start_driver", "stop_driver"]


def new_nonce() -> str:
    """What marks a run's events: random, so that output can't forge one."""
    return secrets.token_hex(8)


class Session:
    """The channel to one driver. Made by `start_driver`; not for use by two tasks at once."""

    def __init__(self, node: str, process: Process, nonce: str) -> None:
        self.node = node
        self._process = process
        self._parser = FrameParser(nonce)
        self._sequence = 0

    async def send(self, verb: str, *arguments: str) -> int:
        """Queue a command for the driver; its number comes back in `Done`.

        Arguments are single words. Raises ConnectionLostError if the channel is gone.
        """
        self._sequence += 1
        line = " ".join((str(self._sequence), verb, *arguments))
        try:
            await self._process.stdin.send(line.encode() + b"\n")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise ConnectionLostError(self.node, "the driver's channel is closed") from error
        return self._sequence

    async def receive(self) -> list[Message | bytes]:
        """What the driver said and its plugins printed since the last call, in order.

        Empty when there will be nothing more: the driver has ended and all of it was read.
        Raises UnfitNodeError if it never began, DriverProtocolError if it can't be understood.
        """
        try:
            data = await self._process.stdout.receive()
        except EndOfStream:
            return await self._last_words()
        items: list[Message | bytes] = []
        for item in self._parser.feed(data):
            if isinstance(item, bytes):
                items.append(item)
                continue
            try:
                message = decode(item)
            except ValueError as error:
                raise DriverProtocolError(self.node, f"{item.kind} event: {error}") from error
            if message is not None:
                items.append(message)
        # Never empty, which would mean the end: a piece may hold only the beginning of an event.
        return items or [b""]

    async def _last_words(self) -> list[Message | bytes]:
        rest = self._parser.finish()
        if rest:
            return [rest]
        if self._parser.offset == 0:
            await self._process.stdin.aclose()
            if await self._process.wait() == UNFIT:
                problem = self._process.stderr_tail().decode("utf-8", "replace").strip()
                raise UnfitNodeError(
                    self.node, problem, hint="a node needs bash 5, git, tar, coreutils, util-linux"
                )
        return []


@asynccontextmanager
async def start_driver(
    transport: Transport,
    run_id: str,
    settings: DriverSettings,
    files: dict[str, tuple[bytes, int]],
) -> AsyncIterator[Session]:
    """Deliver and start a driver; `files` go to its TOP_DIR, as `build_payload` takes them.

    Leaving the block closes the channel. The driver lives on until it is told to quit or stopped.
    """
    node = transport.node.name
    payload = build_payload(settings, files)
    command = start_command(run_id, node, payload_size=len(payload))
    async with transport.open_process(command) as process:
        # If it has ended early, what it said last says why, and `receive` tells.
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await process.stdin.send(payload)
        yield Session(node, process, settings.nonce)


async def stop_driver(transport: Transport, run_id: str, *, grace_s: float = 5.0) -> list[str]:
    """End the driver and everything in its session; what survived even KILL, if anything did."""
    result = await transport.run(stop_command(run_id, transport.node.name, grace_s=grace_s))
    if result.exit_status is None:
        raise ConnectionLostError(transport.node.name, "was lost while it was being stopped")
    return result.stdout.decode("utf-8", "replace").splitlines() if result.exit_status else []
