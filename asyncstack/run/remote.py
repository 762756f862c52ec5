"""Getting plugins to nodes that are not this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import msgspec

from asyncstack.delivery import Depot, Parcel, Seed, clone_on_node, open_depot, open_seed
from asyncstack.events import Emit
from asyncstack.fetcher import FetchOptions, FetchRequest, FetchResult, fetch
from asyncstack.run.persistence import persist
from asyncstack.transports.base import Transport

__all__ = ["RemoteNode", "Results", "clone_on_nodes", "deliver_to_nodes"]

#: Per node, how its repositories ended; '' is the controller, where nothing got as far as a node.
Results = dict[str, list[FetchResult]]


class RemoteNode(msgspec.Struct, frozen=True):
    """A node, what it wants, and how it wants it."""

    transport: Transport
    requests: tuple[FetchRequest, ...]
    options: FetchOptions


async def deliver_to_nodes(nodes: Sequence[RemoteNode], emit: Emit) -> Results:
    """Fetch each repository into the cache here, once for all nodes, then bring it to every node.

    That is to all of them at once, or to one of them, the seed, first.

    A repository that can't be fetched goes to no node; its result is the one of the fetch.
    """
    if not nodes:
        return {}
    options = nodes[0].options
    cache = Path(options.cache_directory)
    wanted = {
        (r.url, r.ref, r.commit): msgspec.structs.replace(r, directory=str(cache / r.plugin))
        for node in nodes
        for r in node.requests
    }
    fetched = await fetch(
        list(wanted.values()), msgspec.structs.replace(options, mirror_only=True), emit
    )
    mirrors = dict(zip(wanted, fetched, strict=True))
    results: Results = {"": [result for result in fetched if not result.status.good]}
    parcels = {
        node.transport.node.name: [
            _parcel(r, mirrors[r.url, r.ref, r.commit])
            for r in node.requests
            if mirrors[r.url, r.ref, r.commit].status.good
        ]
        for node in nodes
    }
    with open_depot() as depot:

        async def deliver(node: RemoteNode, seed: Seed | None = None) -> None:
            name = node.transport.node.name
            bring = partial(depot.deliver, seed=seed)
            results[name] = await persist(node.transport, parcels[name], node.options, bring, emit)

        if not options.seed or len(nodes) == 1:
            await _at_once(deliver, nodes)
            return results
        first, *others = sorted(nodes, key=lambda node: not node.transport.node.inner_address)
        await deliver(first)
        async with _lend(depot, first, others, parcels, emit) as seed:
            await _at_once(partial(deliver, seed=seed), others)
    return results


@asynccontextmanager
async def _lend(
    depot: Depot,
    first: RemoteNode,
    others: Sequence[RemoteNode],
    parcels: Mapping[str, Sequence[Parcel]],
    emit: Emit,
) -> AsyncIterator[Seed | None]:
    """Let the first node serve what the others lack while the block runs, if they lack anything."""
    lacking: list[Parcel] = []

    async def ask(node: RemoteNode) -> None:
        mine = parcels[node.transport.node.name]
        lacking.extend(await depot.lacking(node.transport, mine, node.options))

    await _at_once(ask, others)
    if not lacking:
        yield None
        return
    node = first.transport.node
    async with open_seed(
        depot,
        first.transport,
        lacking,
        own=parcels[node.name],
        others=len(others),
        address=node.inner_address,
        emit=emit,
    ) as seed:
        yield seed


async def _at_once(
    work: Callable[[RemoteNode], Coroutine[None, None, None]], nodes: Sequence[RemoteNode]
) -> None:
    async with anyio.create_task_group() as tasks:
        for node in nodes:
            tasks.start_soon(work, node)


async def clone_on_nodes(nodes: Sequence[RemoteNode], emit: Emit) -> Results:
    """Have every node clone by itself, all at once."""
    results: Results = {}

    async def clone(node: RemoteNode) -> None:
        results[node.transport.node.name] = await persist(
            node.transport, node.requests, node.options, clone_on_node, emit
        )

    await _at_once(clone, nodes)
    return results


def _parcel(request: FetchRequest, mirror: FetchResult) -> Parcel:
    return Parcel(
        plugin=request.plugin,
        url=request.url,
        ref=request.ref,
        directory=request.directory,
        commit=request.commit,
        target=mirror.commit,
        mirror=Path(mirror.directory),
    )
