"""Getting plugins to nodes that are not this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec

from asyncstack.delivery import Parcel, clone_on_node, open_depot
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
    """Fetch each repository into the cache here, once for all nodes, then to every node at once.

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
    with open_depot() as depot:

        async def deliver(node: RemoteNode) -> None:
            parcels = [
                _parcel(r, mirrors[r.url, r.ref, r.commit])
                for r in node.requests
                if mirrors[r.url, r.ref, r.commit].status.good
            ]
            results[node.transport.node.name] = await persist(
                node.transport, parcels, node.options, depot.deliver, emit
            )

        async with anyio.create_task_group() as tasks:
            for node in nodes:
                tasks.start_soon(deliver, node)
    return results


async def clone_on_nodes(nodes: Sequence[RemoteNode], emit: Emit) -> Results:
    """Have every node clone by itself, all at once."""
    results: Results = {}

    async def clone(node: RemoteNode) -> None:
        results[node.transport.node.name] = await persist(
            node.transport, node.requests, node.options, clone_on_node, emit
        )

    async with anyio.create_task_group() as tasks:
        for node in nodes:
            tasks.start_soon(clone, node)
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
