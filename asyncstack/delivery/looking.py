"""The look at a node: what it has of everything settles most, and the rest is work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from asyncstack.checkouts.rules import Action
from asyncstack.checkouts.values import FetchOptions, FetchRequest, FetchResult
from asyncstack.delivery.decisions import decide, warnings
from asyncstack.delivery.scripts import refuse
from asyncstack.delivery.survey import Found, survey
from asyncstack.delivery.tasks import Batch, Task
from asyncstack.events import Emit
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus
from asyncstack.transports.base import Transport

__all__ = ["Lacking", "keep", "look"]


@dataclass(frozen=True, slots=True)
class Lacking:
    """Something to be done on a node: the action, and what was found there."""

    task: Task
    action: Action
    found: Found

    def words(self, options: FetchOptions) -> str:
        """Return the function of the node's scripts that does it."""
        if self.action is Action.HEAL:
            return "resume update" if options.updates(self.task.request) else "resume keep"
        return "make_new" if self.action is Action.CLONE else "update"


async def look(
    batch: Batch,
    transport: Transport,
    options: FetchOptions,
    *,
    refs: bool,
    check: Callable[[FetchRequest], str] = lambda _: "",
) -> list[Lacking]:
    """Ask the node, finish what needs nothing or can't be, and return the rest.

    `refs`: of what is to be updated the node tells all refs. `check` refuses what it returns words
    for. Raises ConnectionLostError if the node is gone.
    """
    asked = []
    for task in batch.tasks:
        problem = refuse(task.request) or check(task.request)
        if problem:
            task.fail(problem, failure=FailureClass.REFUSED_BY_US)
        else:
            asked.append(task)
    wanted = [task.request for task in asked]
    seen = await survey(transport, wanted, refs=refs and options.update)
    settled = [_settle(task, found, options) for task, found in zip(asked, seen, strict=True)]
    return [lacking for lacking in settled if lacking is not None]


def keep(
    node: str,
    requests: Sequence[FetchRequest],
    standing: Mapping[str, Found],
    options: FetchOptions,
    emit: Emit,
) -> list[FetchResult]:
    """Settle what a node is known to have and what is to stay as it is; the rest isn't touched.

    `standing` is by plugin. Neither the node nor any server is asked.
    """
    kept = [
        request
        for request in requests
        if (found := standing.get(request.plugin))
        and not refuse(request)
        and decide(request, found, options).action is Action.KEEP
    ]
    batch = Batch(node, kept, emit)
    with batch.closing():
        for task in batch.tasks:
            found = standing[task.request.plugin]
            warned = warnings(task.request, found)
            task.finish(FetchStatus.PRESENT, commit=found.commit, warnings=warned)
    return batch.results()


def _settle(task: Task, found: Found | None, options: FetchOptions) -> Lacking | None:
    """Finish a task that needs nothing; return what any other does."""
    if found is None:
        task.fail("the node said nothing about it")
        return None
    decision = decide(task.request, found, options)
    match decision.action:
        case Action.FAIL:
            task.fail(decision.problem, failure=decision.failure, hint=decision.hint)
            return None
        case Action.KEEP:
            warned = warnings(task.request, found)
            task.finish(FetchStatus.PRESENT, commit=found.commit, warnings=warned)
            return None
        case action:
            return Lacking(task, action, found)
