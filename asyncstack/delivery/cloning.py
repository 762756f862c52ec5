"""`--fetch-from node`: a node clones by itself, under the same rules and to the same end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import anyio
from anyio import BrokenResourceError, ClosedResourceError

from asyncstack.checkouts.rules import Action, sources
from asyncstack.checkouts.values import FetchOptions, FetchRequest, FetchResult
from asyncstack.delivery.looking import Lacking, look
from asyncstack.delivery.replies import read_replies
from asyncstack.delivery.scripts import command, line
from asyncstack.delivery.tasks import Batch
from asyncstack.errors import ConnectionLostError
from asyncstack.events import Emit
from asyncstack.git.failures import FailureClass
from asyncstack.git.refs import RefKind, extra_refspec, kind_of_ref
from asyncstack.git.urls import parse_url
from asyncstack.transports.base import Transport

__all__ = ["Order", "clone_on_node", "fail_silent", "send_orders"]


@dataclass(frozen=True, slots=True)
class Order:
    """What a node is to clone or update by itself; from `source`, if that is not the origin."""

    lacking: Lacking
    source: str = ""
    commit: str = ""
    extra: str = ""


async def clone_on_node(
    transport: Transport, requests: Sequence[FetchRequest], options: FetchOptions, emit: Emit
) -> list[FetchResult]:
    """Have a node clone what it lacks, and update what it has where that is asked for, all at once.

    Returns results in the order given. Credentials in a URL reach the node on stdin, and its gits
    in their environment: never an argument list, a file or a config.
    """
    batch = Batch(transport.node.name, requests, emit)
    with batch.closing():
        try:
            orders = await _look(batch, transport, options)
            for number in range(len(options.mirrors) + 1):
                directed = _directed(orders, options.mirrors, number)
                if directed:
                    await send_orders(batch, transport, options, directed)
        except* ConnectionLostError as group:
            batch.fail_rest(str(group.exceptions[0]))
    return batch.results()


async def _look(batch: Batch, transport: Transport, options: FetchOptions) -> list[Order]:
    orders = []
    for lacking in await look(batch, transport, options, refs=False, check=_check_credentials):
        if lacking.action is Action.CLONE and options.offline:
            lacking.task.fail(
                "OFFLINE=True, and there is no checkout", failure=FailureClass.OFFLINE
            )
            continue
        request = lacking.task.request
        wanted = request.commit or request.ref
        commit = wanted.lower() if kind_of_ref(wanted) is RefKind.COMMIT else ""
        orders.append(Order(lacking, commit=commit, extra=extra_refspec(wanted)))
    return orders


def _check_credentials(request: FetchRequest) -> str:
    """Say why a URL's user name and password can't travel; '' if they can, or if it has none."""
    known = parse_url(request.url).credentials
    text = "" if known is None else known.username + known.password
    return "its URL's credentials hold a control character" if not text.isprintable() else ""


def _directed(
    orders: Sequence[Order], mirrors: Sequence[tuple[str, str]], number: int
) -> list[Order]:
    """Return what is still to do, each to be had from its source of this number, if it has one."""
    directed = []
    for order in orders:
        task = order.lacking.task
        places = sources(task.request.url, mirrors)
        if task.result is None and number < len(places):
            place, origin = places[number], places[-1]
            task.detour = "" if place == origin else parse_url(place).url
            directed.append(replace(order, source="" if place == origin else place))
    return directed


async def send_orders(
    batch: Batch,
    transport: Transport,
    options: FetchOptions,
    orders: Sequence[Order],
    *,
    seeded: bool = False,
) -> None:
    """Have a node carry orders out; those that it says nothing of have failed.

    `seeded`: their sources are one seed, which is to be looked for once, and has all refs. Raises ConnectionLostError, in a group, if the node is gone.
    """
    script = command(
        "move",
        "heal",
        "clone",
        jobs=options.jobs,
        tries=options.tries,
        depth=options.depth,
        filter=options.filter,
        timeout=f"{options.timeout_s:g}",
        stall=math.ceil(options.stall_s),
        force=int(options.force),
        offline=int(options.offline),
        seeded=int(seeded),
    )
    async with transport.open_process(script) as process:
        async with anyio.create_task_group() as group:
            group.start_soon(read_replies, process, batch)
            with suppress(BrokenResourceError, ClosedResourceError):
                for order in orders:
                    await process.stdin.send(_lines(order, options))
                await process.stdin.aclose()
        status = await process.wait()
        words = process.stderr_tail().decode("utf-8", "replace").strip()
        ended = "was lost" if status is None else f"ended with status {status}"
        fail_silent(orders, words or f"the node's side {ended}")


def fail_silent(orders: Sequence[Order], message: str) -> None:
    """End the orders that a node has said nothing of, and will say nothing any more."""
    for order in orders:
        task = order.lacking.task
        if not order.source or task.detour:  # else it has left its detour, and goes on elsewhere
            task.fail(message, failure=FailureClass.RESET)


def _lines(order: Order, options: FetchOptions) -> bytes:
    task, found = order.lacking.task, order.lacking.found
    request = task.request
    address = parse_url(request.url)
    abbreviated = kind_of_ref(request.ref) is RefKind.ABBREVIATED and not request.commit
    source = parse_url(order.source) if order.source else address
    known = source.credentials
    secrets = (known.username, known.password) if known else ("", "")
    return (
        line(
            task.number,
            order.lacking.words(options),
            request.directory,
            address.url,
            source.url,
            request.ref,
            order.commit,
            order.extra,
            "1" if abbreviated else "",
            found.commit,
            found.branch,
            found.unfinished,
        )
        + "".join(f"{secret}\n" for secret in secrets).encode()
    )
