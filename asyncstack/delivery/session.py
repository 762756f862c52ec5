"""One node's parcels: two round trips, a look and a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import anyio
from anyio import BrokenResourceError, ClosedResourceError

from asyncstack.delivery.decisions import Action, Decision, decide, warnings
from asyncstack.delivery.payloads import Payload
from asyncstack.delivery.replies import read_replies
from asyncstack.delivery.scripts import command, line, refuse
from asyncstack.delivery.survey import Found, survey
from asyncstack.delivery.tasks import Batch, Task
from asyncstack.delivery.values import Delivered, DeliveryOptions, Parcel
from asyncstack.delivery.workshop import Workshop, open_workshop
from asyncstack.errors import ConnectionLostError
from asyncstack.events import Emit
from asyncstack.git.failures import FailureClass
from asyncstack.git.layout import pack_files
from asyncstack.git.process import Ended
from asyncstack.git.urls import parse_url
from asyncstack.model import FetchStatus
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
        options: DeliveryOptions,
        emit: Emit,
    ) -> list[Delivered]:
        """Bring every parcel to its directory on one node; return results in the order given.

        A repository that fails, or a node that is lost, is a value and stops no other. Cancelling
        ends the node's side, which removes what is half made.
        """
        batch = Batch(transport.node.name, parcels, emit)
        with batch.closing():
            todo = await self._look(batch, transport, options)
            if todo:
                await self._send(batch, transport, options, todo)
        return batch.results()

    async def _look(
        self, batch: Batch, transport: Transport, options: DeliveryOptions
    ) -> list[tuple[Task, Decision, Found]]:
        """Ask the node, and finish what needs nothing; return the rest, the biggest first."""
        asked = []
        for task in batch.tasks:
            problem = refuse(task.parcel)
            if problem:
                task.fail(problem, failure=FailureClass.REFUSED_BY_US)
            else:
                asked.append(task)
        try:
            wanted = [task.parcel for task in asked]
            found = await survey(transport, wanted, update=options.update)
        except ConnectionLostError as error:
            batch.fail_rest(error.problem)
            return []
        todo = [
            (task, decision, seen)
            for task, seen in zip(asked, found, strict=True)
            if (decision := _settle(task, seen, options)) is not None and seen is not None
        ]
        # The end of a batch is its longest checkout, so that one must not come last.
        return sorted(todo, key=lambda item: -_weight(item[0].parcel))

    async def _send(
        self,
        batch: Batch,
        transport: Transport,
        options: DeliveryOptions,
        todo: Sequence[tuple[Task, Decision, Found]],
    ) -> None:
        try:
            async with transport.open_process(
                command("heal", "receive", jobs=options.jobs)
            ) as process:
                async with anyio.create_task_group() as group:
                    group.start_soon(read_replies, process, batch)
                    with suppress(BrokenResourceError, ClosedResourceError):
                        await self._send_all(process, todo)
                        await process.stdin.aclose()
                status = await process.wait()
                words = process.stderr_tail().decode("utf-8", "replace").strip()
                ended = "was lost" if status is None else f"ended with status {status}"
                batch.fail_rest(words or f"the node's side {ended}")
        except* ConnectionLostError as group_error:
            batch.fail_rest(str(group_error.exceptions[0]))

    async def _send_all(
        self, process: Process, todo: Sequence[tuple[Task, Decision, Found]]
    ) -> None:
        for task, decision, found in todo:
            task.start()
            task.resumes = decision.action in (Action.RESUME, Action.RESUME_AND_UPDATE)
            try:
                payload = await self._payload(task, decision, found)
            except OSError as error:
                task.fail(f"the mirror can't be read: {error}")
                continue
            if payload is None:
                continue
            try:
                await process.stdin.send(_header(task, decision, found, payload.size))
                async for chunk in payload.chunks():
                    await process.stdin.send(chunk)
                    task.sent(len(chunk), payload.size)
            except OSError as error:  # the node waits for bytes that there aren't: no going on
                task.fail(f"the mirror can't be read: {error}")
                return
            finally:
                payload.close()

    async def _payload(self, task: Task, decision: Decision, found: Found) -> Payload | None:
        if decision.action is Action.NEW:
            contents = await self.workshop.new(task.parcel)
        elif decision.action is Action.RESUME:
            contents = []
        else:
            made = await self.workshop.update(task.parcel, found)
            if isinstance(made, Ended):
                task.fail(made.words, failure=made.failure)
                return None
            contents = made
        return Payload.open(str(task.number), contents)


def _settle(task: Task, found: Found | None, options: DeliveryOptions) -> Decision | None:
    """Finish a task that needs nothing to be sent; return the decision about any other."""
    if found is None:
        task.fail("the node said nothing about it")
        return None
    decision = decide(task.parcel, found, options)
    match decision.action:
        case Action.FAIL:
            task.fail(decision.problem, failure=decision.failure, hint=decision.hint)
        case Action.KEEP:
            warned = warnings(task.parcel, found)
            task.finish(FetchStatus.PRESENT, commit=found.commit, warnings=warned)
        case _:
            return decision
    return None


def _weight(parcel: Parcel) -> int:
    try:
        return sum(path.stat().st_size for path in pack_files(parcel.mirror))
    except OSError:
        return 0


def _header(task: Task, decision: Decision, found: Found, size: int) -> bytes:
    parcel = task.parcel
    fields = (parcel.directory, parcel.commit, parcel.ref, found.commit, found.branch)
    return line(
        task.number,
        decision.action.value,
        size,
        *fields,
        found.unfinished,
        parse_url(parcel.url).url,
    )
