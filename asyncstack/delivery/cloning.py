"""`--fetch-from node`: a node clones by itself, under the same rules and to the same end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import anyio
from anyio import BrokenResourceError, ClosedResourceError

from asyncstack.delivery.decisions import Action, decide, warnings
from asyncstack.delivery.replies import read_replies
from asyncstack.delivery.scripts import command, line, refuse
from asyncstack.delivery.survey import survey
from asyncstack.delivery.tasks import Batch, Task
from asyncstack.delivery.values import Delivered, DeliveryOptions, Parcel
from asyncstack.errors import ConnectionLostError
from asyncstack.events import Emit
from asyncstack.git.failures import FailureClass
from asyncstack.git.refs import RefKind, extra_refspec, kind_of_ref
from asyncstack.git.urls import parse_url
from asyncstack.model import FetchStatus
from asyncstack.transports.base import Transport

__all__ = ["clone_on_node"]

#: Clones at once on one node, as on the controller.
_JOBS = 16
_TRIES = 3


async def clone_on_node(
    transport: Transport, parcels: Sequence[Parcel], options: DeliveryOptions, emit: Emit
) -> list[Delivered]:
    """Have a node clone what it lacks, all at once; return results in the order given.

    A checkout that is there is left as it is. Credentials in a URL reach the node on stdin, and
    its gits in their environment: never an argument list, a file or a config.
    """
    batch = Batch(transport.node.name, parcels, emit)
    with batch.closing():
        try:
            todo = await _look(batch, transport, options)
            if todo:
                await _clone(batch, transport, options, todo)
        except* ConnectionLostError as group:
            batch.fail_rest(str(group.exceptions[0]))
    return batch.results()


async def _look(batch: Batch, transport: Transport, options: DeliveryOptions) -> list[Task]:
    asked = []
    for task in batch.tasks:
        problem = refuse(task.parcel) or _check_credentials(task.parcel)
        if problem:
            task.fail(problem, failure=FailureClass.REFUSED_BY_US)
        else:
            asked.append(task)
    todo = []
    seen = await survey(transport, [task.parcel for task in asked], update=False)
    for task, found in zip(asked, seen, strict=True):
        if found is None:
            task.fail("the node said nothing about it")
            continue
        decision = decide(task.parcel, found, options)
        if decision.action is Action.NEW:
            todo.append(task)
        elif decision.action is Action.FAIL:
            task.fail(decision.problem, failure=decision.failure, hint=decision.hint)
        else:
            warned = warnings(task.parcel, found)
            task.finish(FetchStatus.PRESENT, commit=found.commit, warnings=warned)
    return todo


def _check_credentials(parcel: Parcel) -> str:
    """Say why a URL's user name and password can't travel; '' if they can, or if it has none."""
    known = parse_url(parcel.url).credentials
    text = "" if known is None else known.username + known.password
    return "its URL's credentials hold a control character" if not text.isprintable() else ""


async def _clone(
    batch: Batch, transport: Transport, options: DeliveryOptions, todo: Sequence[Task]
) -> None:
    script = command("clone", jobs=options.jobs or _JOBS, tries=_TRIES)
    async with transport.open_process(script) as process:
        async with anyio.create_task_group() as group:
            group.start_soon(read_replies, process, batch)
            with suppress(BrokenResourceError, ClosedResourceError):
                for task in todo:
                    await process.stdin.send(_order(task))
                await process.stdin.aclose()
        status = await process.wait()
        words = process.stderr_tail().decode("utf-8", "replace").strip()
        ended = "was lost" if status is None else f"ended with status {status}"
        batch.fail_rest(words or f"the node's side {ended}")


def _order(task: Task) -> bytes:
    parcel = task.parcel
    address = parse_url(parcel.url)
    wanted = parcel.commit if parcel.pinned else parcel.ref
    kind = kind_of_ref(wanted)
    commit = wanted.lower() if kind is RefKind.COMMIT else ""
    abbreviated = "1" if kind is RefKind.ABBREVIATED else ""
    fields = (parcel.directory, address.url, parcel.ref, commit, extra_refspec(wanted), abbreviated)
    known = address.credentials
    secrets = (known.username, known.password) if known else ("", "")
    return line(task.number, *fields) + "".join(f"{secret}\n" for secret in secrets).encode()
