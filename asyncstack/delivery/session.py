"""One node's parcels: two round trips, a look and a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import anyio
from anyio import BrokenResourceError, ClosedResourceError
from msgspec import structs

from asyncstack.checkouts.rules import Action, same_url
from asyncstack.checkouts.values import FetchOptions, FetchResult
from asyncstack.delivery.cloning import Order, fail_silent, send_orders
from asyncstack.delivery.looking import Lacking, look
from asyncstack.delivery.payloads import Payload
from asyncstack.delivery.replies import read_replies
from asyncstack.delivery.scripts import command, line
from asyncstack.delivery.seed import Seed, refspec_of
from asyncstack.delivery.tasks import Batch
from asyncstack.delivery.values import Parcel
from asyncstack.delivery.workshop import Workshop, open_workshop
from asyncstack.errors import ConnectionLostError
from asyncstack.events import Emit
from asyncstack.git.layout import pack_files
from asyncstack.git.process import Ended
from asyncstack.git.urls import parse_url
from asyncstack.transports.base import Process, Transport

__all__ = ["Depot", "open_depot"]


@contextmanager
def open_depot() -> Iterator[Depot]:
    """Open a depot; what was made for one node is kept for the others until it is closed."""
    with open_workshop() as workshop:
        yield Depot(workshop)


@dataclass(frozen=True, slots=True)
class Depot:
    """Serves nodes from mirrors on the controller."""

    workshop: Workshop

    async def deliver(
        self,
        transport: Transport,
        parcels: Sequence[Parcel],
        options: FetchOptions,
        emit: Emit,
        *,
        seed: Seed | None = None,
    ) -> list[FetchResult]:
        """Bring every parcel to its directory on one node; return results in the order given.

        What a `seed` has the node gets from there; if it can't, from here. A repository that fails, or a node that is lost, is a value and stops no other. Cancelling
        ends the node's side, which removes what is half made.
        """
        batch = Batch(transport.node.name, parcels, emit)
        with batch.closing():
            try:
                todo = await look(batch, transport, options, refs=True)
            except ConnectionLostError as error:
                batch.fail_rest(error.problem)
                todo = []
            if todo and seed is not None:
                todo = await _from_seed(batch, transport, parcels, options, todo, seed)
            if todo:
                # The end of a batch is its longest checkout, so that one must not come last.
                todo.sort(key=lambda one: -_weight(parcels[one.task.number]))
                await self._send(batch, transport, parcels, options, todo)
        return batch.results()

    async def lacking(
        self, transport: Transport, parcels: Sequence[Parcel], options: FetchOptions
    ) -> list[Parcel]:
        """Return what a node needs something of; nothing is done, and no event is emitted."""
        batch = Batch(transport.node.name, parcels, lambda _: None)
        try:
            todo = await look(batch, transport, options, refs=False)
        except ConnectionLostError:
            return []
        return [parcels[one.task.number] for one in todo]

    async def _send(
        self,
        batch: Batch,
        transport: Transport,
        parcels: Sequence[Parcel],
        options: FetchOptions,
        todo: Sequence[Lacking],
    ) -> None:
        try:
            async with transport.open_process(
                command("move", "heal", "receive", jobs=0, force=int(options.force))
            ) as process:
                async with anyio.create_task_group() as group:
                    group.start_soon(read_replies, process, batch)
                    with suppress(BrokenResourceError, ClosedResourceError):
                        await self._send_all(process, parcels, options, todo)
                        await process.stdin.aclose()
                status = await process.wait()
                words = process.stderr_tail().decode("utf-8", "replace").strip()
                ended = "was lost" if status is None else f"ended with status {status}"
                batch.fail_rest(words or f"the node's side {ended}")
        except* ConnectionLostError as group_error:
            batch.fail_rest(str(group_error.exceptions[0]))

    async def _send_all(
        self,
        process: Process,
        parcels: Sequence[Parcel],
        options: FetchOptions,
        todo: Sequence[Lacking],
    ) -> None:
        for one in todo:
            task, parcel = one.task, parcels[one.task.number]
            task.start()
            try:
                payload = await self._payload(one, parcel, options)
            except OSError as error:
                task.fail(f"the mirror can't be read: {error}")
                continue
            if payload is None:
                continue
            try:
                await process.stdin.send(_header(one, parcel, options, payload.size))
                async for chunk in payload.chunks():
                    await process.stdin.send(chunk)
                    task.sent(len(chunk), payload.size)
            except OSError as error:  # the node waits for bytes that there aren't: no going on
                task.fail(f"the mirror can't be read: {error}")
                return
            finally:
                payload.close()

    async def _payload(
        self, lacking: Lacking, parcel: Parcel, options: FetchOptions
    ) -> Payload | None:
        if lacking.action is Action.CLONE and options.depth:
            made = await self.workshop.shallow(parcel, options.depth)
        elif lacking.action is Action.CLONE:
            made = await self.workshop.new(parcel)
        elif lacking.action is Action.HEAL and not options.updates(parcel):
            made = []
        else:
            made = await self.workshop.update(parcel, lacking.found)
        if isinstance(made, Ended):
            lacking.task.fail(made.words, failure=made.failure)
            return None
        return Payload.open(str(lacking.task.number), made)


async def _from_seed(
    batch: Batch,
    transport: Transport,
    parcels: Sequence[Parcel],
    options: FetchOptions,
    todo: Sequence[Lacking],
    seed: Seed,
) -> list[Lacking]:
    """Let a node get what a seed has; return what is still to do."""
    orders = []
    for one in todo:
        parcel = parcels[one.task.number]
        source = seed.source(parcel)
        if source:
            one.task.detour = f"the seed {seed.node}, but from the controller"
            orders.append(Order(one, source, parcel.target, refspec_of(parcel)))
    if orders:
        how = structs.replace(
            options, jobs=seed.jobs, tries=1, depth=0, filter="", offline=False, stall_s=0
        )
        try:
            await send_orders(batch, transport, how, orders, seeded=True)
        except* ConnectionLostError as group:
            fail_silent(orders, str(group.exceptions[0]))
    return [one for one in todo if one.task.result is None]


def _weight(parcel: Parcel) -> int:
    try:
        return sum(path.stat().st_size for path in pack_files(parcel.mirror))
    except OSError:
        return 0


def _header(lacking: Lacking, parcel: Parcel, options: FetchOptions, size: int) -> bytes:
    found = lacking.found
    return line(
        lacking.task.number,
        lacking.words(options),
        size,
        parcel.directory,
        parcel.target,
        parcel.ref,
        found.commit,
        found.branch,
        found.unfinished,
        "" if same_url(found.origin, parcel.url) else parse_url(parcel.url).url,
    )
