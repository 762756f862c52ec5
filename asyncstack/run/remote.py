"""Getting plugins to nodes that are not this machine."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import msgspec

from asyncstack.delivery import Parcel, clone_on_node, open_depot
from asyncstack.errors import TransportError
from asyncstack.events import Emit
from asyncstack.fetcher import FetchOptions, FetchRequest, FetchResult, fetch
from asyncstack.git.failures import FailureClass
from asyncstack.transports.base import Transport

__all__ = ["RemoteNode", "Results", "clone_on_nodes", "deliver_to_nodes"]

#: How often a node is served whose connection dies meanwhile.
TRIES = 4

#: Per node, how its repositories ended; '' is the controller, where nothing got as far as a node.
Results = dict[str, list[FetchResult]]

R = TypeVar("R", bound=FetchRequest)


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
            results[node.transport.node.name] = await _persist(
                node, parcels, partial(depot.deliver, emit=emit)
            )

        async with anyio.create_task_group() as tasks:
            for node in nodes:
                tasks.start_soon(deliver, node)
    return results


async def clone_on_nodes(nodes: Sequence[RemoteNode], emit: Emit) -> Results:
    """Have every node clone by itself, all at once."""
    results: Results = {}

    async def clone(node: RemoteNode) -> None:
        results[node.transport.node.name] = await _persist(
            node, node.requests, partial(clone_on_node, emit=emit)
        )

    async with anyio.create_task_group() as tasks:
        for node in nodes:
            tasks.start_soon(clone, node)
    return results


async def _persist(
    node: RemoteNode,
    requests: Sequence[R],
    bring: Callable[[Transport, Sequence[R], FetchOptions], Awaitable[list[FetchResult]]],
) -> list[FetchResult]:
    """Bring repositories to a node; those that a dying connection has swallowed, once more."""
    done: dict[str, FetchResult] = {}
    todo = list(requests)
    for attempt in range(1, TRIES + 1):
        for one in await bring(node.transport, todo, node.options):
            done[one.plugin] = one
        todo = [r for r in requests if done[r.plugin].failure is FailureClass.RESET]
        if not todo or attempt == TRIES:
            break
        await anyio.sleep(random.uniform(0.5, 1.5) * attempt)  # noqa: S311 – nodes lose it at once
        with suppress(TransportError):
            await node.transport.connect()
    return [done[r.plugin] for r in requests]


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
