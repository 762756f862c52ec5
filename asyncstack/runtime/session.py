"""A driver on a node, as the controller holds it: start it, tell it, read it, stop it.

Nothing runs in the background here. The driver's journal is a file on the node; it waits there
until `receive` is called, so a slow controller holds up nobody and keeps nothing in memory.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import islice

import anyio
from anyio import EndOfStream

from asyncstack.errors import (
    ConnectionLostError,
    DriverProtocolError,
    HostKeyError,
    NothingLeftError,
    TransportError,
    UnfitNodeError,
)
from asyncstack.runtime.bootstrap import (
    FORGOTTEN,
    READ,
    TAKEN,
    UNFIT,
    follow_command,
    forget_command,
    nonce_command,
    quit_command,
    room_command,
    start_command,
    stop_command,
)
from asyncstack.runtime.framing import FrameParser
from asyncstack.runtime.messages import Done, Exited, Message, decode
from asyncstack.runtime.payload import DriverSettings, build_payload
from asyncstack.transports.base import Process, Transport

__all__ = [
    "Session",
    "attach_driver",
    "forget_driver",
    "has_driver",
    "new_nonce",
    "reconnect_delays",
    "release_driver",
    "start_driver",
    "stop_driver",
]


#: Seconds after a connection was had again in which a step's time isn't up: it may have ended
#: meanwhile, and what says so is under way.
CATCH_UP_S = 10.0
#: How often in a row, and within how many seconds, a follower may end before the node is given up.
_SHORT_LIVES, _SHORT_LIVED_S = 5, 2.0


def new_nonce() -> str:
    """What marks a run's events: random, so that output can't forge one."""
    return secrets.token_hex(8)


class Session:
    """The channel to one driver. Made by `start_driver`; not for use by two tasks at once.

    When the connection dies the driver goes on; `receive` connects again, for up to
    `reconnect_s` seconds, and goes on reading at the byte where it stopped.
    """

    def __init__(
        self,
        transport: Transport,
        run_id: str,
        nonce: str,
        *,
        reconnect_s: float,
        on_connection: Callable[[bool, str], None],
    ) -> None:
        self.node = transport.node.name
        self._transport = transport
        self._run_id = run_id
        self._parser = FrameParser(nonce)
        self._reconnect_s = reconnect_s
        self._on_connection = on_connection
        self._channel = AsyncExitStack()
        self._process: Process | None = None
        self._sequence = 0
        self._pending: dict[int, bytes] = {}
        self._beginning: tuple[str, bytes] | None = None
        self._exited = False
        self._attached_at = -CATCH_UP_S
        self._short_lived = 0

    async def start(self, command: str, payload: bytes) -> None:
        """Run the command that starts the driver, again if the connection is lost meanwhile."""
        self._beginning = (command, payload)
        try:
            await self.open(command, payload)
        except ConnectionLostError as lost:
            await self._reattach(lost)

    async def open(self, command: str, payload: bytes = b"") -> None:
        """Run a command that follows the journal; `payload` is what it reads first."""
        await self._channel.aclose()
        self._process = None
        process = await self._channel.enter_async_context(self._transport.open_process(command))
        self._process = process
        # If it has ended early, what it said last says why, and `receive` tells.
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await process.stdin.send(payload)

    async def read_again(self) -> None:
        """Follow the journal on, of which something may have been written since its end was read."""
        await self.open(follow_command(self._run_id, self.node, offset=self._parser.received))

    async def aclose(self) -> None:
        """Let go of the channel; the driver lives on."""
        await self._channel.aclose()

    async def finish(self) -> bool:
        """Hang up on a driver that has been told to quit; True if its traces are gone as well."""
        process = self._process
        if process is None:
            return False
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await process.stdin.send(READ)
            await process.stdin.aclose()
        return await process.wait() == FORGOTTEN

    async def send(self, verb: str, *arguments: str) -> int:
        """Queue a command for the driver; its number comes back in `Done`.

        Arguments are single words. The driver does one after the other, so that a command may be
        sent before the one ahead of it is done. What a dying connection swallows is sent again
        after the next one is made; the driver does none twice.
        """
        self._sequence += 1
        line = " ".join((str(self._sequence), verb, *arguments)).encode() + b"\n"
        self._pending[self._sequence] = line
        await self._write(line)
        return self._sequence

    async def _write(self, data: bytes) -> None:
        if self._process is None or not data:
            return
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._process.stdin.send(data)

    async def _reattach(self, lost: ConnectionLostError) -> None:
        """Connect and follow again. Raises ConnectionLostError when the time for that is up."""
        self._on_connection(False, lost.problem)
        give_up = anyio.current_time() + self._reconnect_s
        for delay in reconnect_delays():
            try:
                await self._transport.connect()
                if self._beginning and not self._parser.received:
                    # It may not have come to starting it.
                    await self.open(*self._beginning)
                else:
                    await self.open(
                        follow_command(self._run_id, self.node, offset=self._parser.received)
                    )
                await self._write(b"".join(self._pending.values()))
            except TransportError as error:
                # A login may be refused while the node starts up; a key doesn't change by itself.
                if isinstance(error, HostKeyError):
                    raise ConnectionLostError(self.node, error.problem, hint=error.hint) from error
                if anyio.current_time() + delay > give_up:
                    raise lost from error
                await anyio.sleep(delay)
            else:
                self._on_connection(True, "")
                self._attached_at = anyio.current_time()
                return

    @property
    def catching_up_s(self) -> float:
        """Seconds that a connection which was had again still needs to bring what it has missed."""
        return max(0.0, self._attached_at + CATCH_UP_S - anyio.current_time())

    async def receive(self, patience_s: float | None = None) -> list[Message | bytes]:
        """What the driver said and its plugins printed since the last call, in order.

        Raises TimeoutError if that takes longer than `patience_s`, while there is a connection.
        Empty when there will be nothing more: the driver has ended and all of it was read.
        Raises UnfitNodeError if it never began, DriverProtocolError if it can't be understood,
        ConnectionLostError if the node can't be had back.
        """
        if self._process is None:
            return []
        try:
            with anyio.fail_after(patience_s):
                data = await self._process.stdout.receive()
        except EndOfStream:
            return await self._last_words(self._process)
        except ConnectionLostError as lost:
            await self._reattach(lost)
            return [b""]
        items: list[Message | bytes] = []
        for item in self._parser.feed(data):
            if isinstance(item, bytes):
                items.append(item)
                continue
            try:
                message = decode(item)
            except ValueError as error:
                raise DriverProtocolError(self.node, f"{item.kind} event: {error}") from error
            if isinstance(message, Done):
                self._pending.pop(message.sequence, None)
            self._exited = self._exited or isinstance(message, Exited)
            if message is not None:
                items.append(message)
        # Never empty, which would mean the end: a piece may hold only the beginning of an event.
        return items or [b""]

    async def _last_words(self, process: Process) -> list[Message | bytes]:
        """What is left when the journal is read no further: by its end, or because its reader is gone."""
        if not self._exited:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await process.stdin.aclose()
            status = await process.wait()
            if not self._parser.received:
                self._refuse(status, process)
            if status == 0 and await self._disk_is_full():
                problem = (
                    "its disk is full where the driver keeps its journal; it could tell no more"
                )
                raise ConnectionLostError(
                    self.node, problem, hint="make room, then: asyncstack resume"
                )
            if status not in (0, UNFIT):
                # Somebody has ended our processes there, but not the driver.
                lost = self._follower_ended(status, process)
                await anyio.sleep(next(islice(reconnect_delays(), self._short_lived - 1, None)))
                await self._reattach(lost)
                return [b""]
        rest = self._parser.finish()
        return [rest] if rest else []

    def _follower_ended(self, status: int | None, process: Process) -> ConnectionLostError:
        """The loss that this is; raised if it comes again and again, for then it is no accident."""
        problem = f"what follows its driver there was ended (status {status})"
        if anyio.current_time() - self._attached_at > _SHORT_LIVED_S:
            self._short_lived = 0
        elif self._short_lived == _SHORT_LIVES:
            said = process.stderr_tail().decode("utf-8", "replace").strip()
            problem = f"what follows its driver there ends at once (status {status}): {said}"
            raise ConnectionLostError(self.node, problem)
        self._short_lived += 1
        return ConnectionLostError(self.node, problem)

    async def _disk_is_full(self) -> bool:
        answer = await self._transport.run(room_command(self._run_id, self.node))
        return answer.ok and int(answer.stdout or b"1") == 0

    def _refuse(self, status: int | None, process: Process) -> None:
        """Raise what a start says that began no driver."""
        if status == UNFIT:
            problem = process.stderr_tail().decode("utf-8", "replace").strip()
            hint = "a node needs bash 5, git, tar, coreutils, util-linux"
            raise UnfitNodeError(self.node, problem, hint=hint)
        if status == TAKEN:
            problem = "runs a driver that another controller of this run has started meanwhile"
            raise ConnectionLostError(self.node, problem, hint="take it up: asyncstack attach")


def reconnect_delays() -> Iterator[float]:
    """Seconds to wait before each further try to get a lost connection back, without end.

    Quick at first, for most losses are short; jittered, for all nodes lose theirs at once.
    """
    delay = 0.25
    while True:
        yield delay * random.uniform(0.5, 1.5)  # noqa: S311
        delay = min(delay * 2, 8.0)


@asynccontextmanager
async def start_driver(
    transport: Transport,
    run_id: str,
    settings: DriverSettings,
    files: dict[str, tuple[bytes, int]],
    *,
    reconnect_s: float = 0.0,
    on_connection: Callable[[bool, str], None] = lambda _up, _reason: None,
) -> AsyncIterator[Session]:
    """Deliver and start a driver; `files` go to its TOP_DIR, as `build_payload` takes them.

    `on_connection` is told when the connection is lost (False, why) and had again (True, ""). Leaving
    the block closes the channel. The driver lives on until it is told to quit or stopped.
    """
    payload = build_payload(settings, files)
    session = Session(
        transport, run_id, settings.nonce, reconnect_s=reconnect_s, on_connection=on_connection
    )
    command = start_command(
        run_id, transport.node.name, payload_size=len(payload), token=new_nonce()
    )
    try:
        await session.start(command, payload)
        yield session
    finally:
        await session.aclose()


@asynccontextmanager
async def attach_driver(
    transport: Transport,
    run_id: str,
    *,
    reconnect_s: float = 0.0,
    on_connection: Callable[[bool, str], None] = lambda _up, _reason: None,
) -> AsyncIterator[Session]:
    """Take up a driver that another controller has started: its journal is read from the start.

    Commands that are sent again get the numbers that they had, and the driver does none twice.
    Raises NothingLeftError if the node has no such driver any more.
    """
    node = transport.node.name
    nonce = await _nonce(transport, run_id)
    if not nonce:
        raise NothingLeftError(node, f"has nothing left of run {run_id}")
    session = Session(
        transport, run_id, nonce, reconnect_s=reconnect_s, on_connection=on_connection
    )
    try:
        await session.open(follow_command(run_id, node, offset=0))
        yield session
    finally:
        await session.aclose()


async def has_driver(transport: Transport, run_id: str) -> bool:
    """Tell whether a driver of this run was started there. Raises ConnectionLostError."""
    return bool(await _nonce(transport, run_id))


async def _nonce(transport: Transport, run_id: str) -> str:
    found = await transport.run(nonce_command(run_id, transport.node.name))
    if found.exit_status is None:
        raise ConnectionLostError(transport.node.name, "was lost before it could be looked at")
    return found.stdout.decode("ascii", "replace").strip()


async def release_driver(transport: Transport, run_id: str) -> None:
    """Let a driver end that has nothing more to do, and remove what only the run needed."""
    await transport.run(quit_command(run_id, transport.node.name))
    await forget_driver(transport, run_id, all_of_it=False)


async def forget_driver(transport: Transport, run_id: str, *, all_of_it: bool) -> None:
    """Remove the journal and all else that only a run which goes on needs; or all, TOP_DIR too."""
    await transport.run(forget_command(run_id, transport.node.name, all_of_it=all_of_it))


async def stop_driver(transport: Transport, run_id: str, *, grace_s: float = 5.0) -> list[str]:
    """End the driver and everything in its session; what survived even KILL, if anything did."""
    result = await transport.run(stop_command(run_id, transport.node.name, grace_s=grace_s))
    if result.exit_status is None:
        raise ConnectionLostError(transport.node.name, "was lost while it was being stopped")
    return result.stdout.decode("utf-8", "replace").splitlines() if result.exit_status else []
