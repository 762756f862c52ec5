"""Make a seed of a node: what it has is served from its checkouts, what it lacks is sent first."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from msgspec import structs

from asyncstack.checkouts.values import FetchOptions
from asyncstack.delivery.scripts import US, command, line
from asyncstack.delivery.seed import Seed, key_of
from asyncstack.delivery.session import Depot
from asyncstack.delivery.values import Parcel
from asyncstack.errors import ConnectionLostError
from asyncstack.events import Emit, Warned
from asyncstack.transports.base import Process, Transport

__all__ = ["open_seed"]

#: Clones that a seed serves at once; seconds that its side may take to answer, and to end.
_AT_ONCE, _ANSWER_S, _END_S = 32, 120.0, 20.0


class _NoSeedError(Exception):
    """A node can't be the seed; the message says why."""


@asynccontextmanager
async def open_seed(
    depot: Depot,
    transport: Transport,
    wanted: Sequence[Parcel],
    *,
    own: Sequence[Parcel],
    others: int,
    address: str,
    emit: Emit,
) -> AsyncIterator[Seed | None]:
    """Let a node serve what is wanted to `others` nodes while the block runs; None if it can't.

    `own` is what it was delivered itself. `address` is where the others reach it; '': where our own
    connection arrives. Why it can't is told as a warning. No process is left there.
    """
    async with AsyncExitStack() as stack:
        seed = None
        try:
            process = await stack.enter_async_context(transport.open_process(command("relay")))
            stack.push_async_callback(_end, process)
            relay = _Relay(depot, transport, process)
            url = await relay.start(address, wanted, own)
            jobs = max(1, _AT_ONCE // max(1, others))
            seed = Seed(transport.node.name, url, relay.stock, jobs)
        except (*_GONE, _NoSeedError, TimeoutError) as error:
            _warn(transport.node.name, str(error) or "it gives no answer", emit)
        yield seed


_GONE = (BrokenResourceError, ClosedResourceError, EndOfStream, ConnectionLostError)


async def _end(process: Process) -> None:
    """Let a relay end by itself, and wait until it has: its daemon is gone then."""
    with anyio.move_on_after(_END_S, shield=True), suppress(*_GONE):
        await process.stdin.aclose()
        await process.wait()


def _warn(node: str, why: str, emit: Emit) -> None:
    message = f"{node} can't be the seed: {why}; every node gets everything from the controller"
    emit(Warned(code="no-seed", message=message, node=node))


@dataclass(slots=True)
class _Relay:
    """The conversation with the node's side."""

    depot: Depot
    transport: Transport
    process: Process
    stock: dict[tuple[Path, str], int] = field(default_factory=dict)
    _rest: bytes = b""

    async def start(self, address: str, wanted: Sequence[Parcel], own: Sequence[Parcel]) -> str:
        """Return the URL of what it serves; `stock` says what that is."""
        token = secrets.token_hex(16)
        parent = Path((own or wanted)[0].directory).parent
        (root,) = await self._ask(line(f"{parent}/seed", address, token), "root")
        parcels = list({key_of(parcel): parcel for parcel in wanted}.values())
        places = {key_of(parcel): parcel.directory for parcel in own}
        known = {n: places[key_of(p)] for n, p in enumerate(parcels) if key_of(p) in places}
        await self._stock(parcels, known)
        await self._send(root, parcels)
        host, port = await self._ask(line("serve"), "ready")
        return f"git://{f'[{host}]' if ':' in host else host}:{port}/{token}"

    async def _stock(self, parcels: Sequence[Parcel], places: Mapping[int, str]) -> None:
        """Let the node serve what it has of these parcels at these places."""
        for number, directory in places.items():
            question = line("stock", number, directory, parcels[number].target)
            await self.process.stdin.send(question)
        for _ in places:
            what, answered = await self._ask(b"", "has", "lacks", named=True)
            if what == "has":
                self.stock[key_of(parcels[int(answered)])] = int(answered)

    async def _send(self, root: str, parcels: Sequence[Parcel]) -> None:
        """Send what the node has not, or not in this version, to a place that goes when it ends."""
        held = {
            number: structs.replace(parcel, directory=f"{root}/held/{number}")
            for number, parcel in enumerate(parcels)
            if key_of(parcel) not in self.stock
        }
        if held:
            todo = list(held.values())
            await self.depot.deliver(self.transport, todo, FetchOptions(), lambda _: None)
        await self._stock(parcels, {number: p.directory for number, p in held.items()})

    async def _ask(self, question: bytes, *expected: str, named: bool = False) -> list[str]:
        """Return the fields of the next answer, if it is one of those expected."""
        with anyio.fail_after(_ANSWER_S):
            await self.process.stdin.send(question)
            while b"\n" not in self._rest:
                self._rest += await self.process.stdout.receive()
        answer, _, self._rest = self._rest.partition(b"\n")
        what, *fields = answer.decode("utf-8", "replace").split(US)
        if what not in expected:
            raise _NoSeedError(" ".join(fields) or what)
        return [what, *fields] if named else fields
