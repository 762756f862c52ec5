"""Getting plugins to nodes that are not this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec

from asyncstack.delivery import Delivered, DeliveryOptions, Parcel, clone_on_node, open_depot
from asyncstack.events import Emit
from asyncstack.fetcher import FetchOptions, FetchRequest, FetchResult, fetch
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
            done = await depot.deliver(node.transport, parcels, _how(node.options), emit)
            results[node.transport.node.name] = [_result(one) for one in done]

        async with anyio.create_task_group() as tasks:
            for node in nodes:
                tasks.start_soon(deliver, node)
    return results


async def clone_on_nodes(nodes: Sequence[RemoteNode], emit: Emit) -> Results:
    """Have every node clone by itself, all at once."""
    results: Results = {}

    async def clone(node: RemoteNode) -> None:
        parcels = [_parcel(request, None) for request in node.requests]
        done = await clone_on_node(node.transport, parcels, _how(node.options), emit)
        results[node.transport.node.name] = [_result(one) for one in done]

    async with anyio.create_task_group() as tasks:
        for node in nodes:
            tasks.start_soon(clone, node)
    return results


def _parcel(request: FetchRequest, mirror: FetchResult | None) -> Parcel:
    return Parcel(
        plugin=request.plugin,
        url=request.url,
        ref=request.ref,
        directory=request.directory,
        commit=mirror.commit if mirror else request.commit,
        mirror=Path(mirror.directory) if mirror else Path(),
        pinned=bool(request.commit),
    )


def _how(options: FetchOptions) -> DeliveryOptions:
    return DeliveryOptions(update=options.update, error_on_clone=options.error_on_clone)


def _result(one: Delivered) -> FetchResult:
    return FetchResult(
        plugin=one.plugin,
        url=one.url,
        ref=one.ref,
        directory=one.directory,
        status=one.status,
        commit=one.commit,
        message=one.message,
        hint=one.hint,
        failure=one.failure,
        start=one.start,
        end=one.end,
        received_bytes=one.sent_bytes,
        stages=one.stages,
    )
