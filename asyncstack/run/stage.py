"""What every stage of a run is given, and how it does something to all nodes at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import anyio
from msgspec import Struct

from asyncstack.errors import (
    AsyncstackError,
    ConnectionLostError,
    NothingLeftError,
    TransportError,
    UnfitNodeError,
)
from asyncstack.events import Emit, Warned
from asyncstack.executor import (
    Logs,
    NodeRun,
    Policy,
)
from asyncstack.inventory import Copy
from asyncstack.journal import Redactor
from asyncstack.model import Status, Suspicion
from asyncstack.run.nodes import NodeSpec
from asyncstack.settings import RunSettings

__all__ = [
    "InputErrors",
    "Opened",
    "Stage",
    "at_once",
    "errors_in",
    "nothing_is_left",
    "raise_all",
    "status_after",
    "warn",
    "worst",
]

T = TypeVar("T")


class Stage(Struct, frozen=True):
    """What every stage is given. `settle` returns when all that was emitted is on the disk.

    `attach`: the drivers run already, for a controller that is gone; those of `booted` certainly.
    `looks_only`: nothing is to be made on the nodes. `keep_top_dir`: what the plugins found at
    TOP_DIR is there after the run. `copies`: files between nodes. `warnings`: of the inventory.
    `gone`: nodes that the run goes on without, and why.
    """

    settings: RunSettings
    run_id: str
    redactor: Redactor
    emit: Emit
    logs: Logs
    settle: Callable[[], Awaitable[None]]
    attach: bool = False
    booted: frozenset[str] = frozenset()
    keep_top_dir: bool = True
    looks_only: bool = False
    copies: tuple[Copy, ...] = ()
    warnings: tuple[Suspicion, ...] = ()
    gone: dict[str, Status] = {}

    def may_go_on(self, failed: int, total: int) -> bool:
        """True if not so many nodes have failed that the others are to stop; `gone` ones count."""
        nodes = self.settings.nodes
        policy = Policy(keep_going=nodes.keep_going, max_fail=nodes.max_fail)
        return policy.allows(failed + len(self.gone), total + len(self.gone))


class Opened(Struct, frozen=True):
    """A node with a driver, and what it was made from."""

    node: NodeRun
    spec: NodeSpec


class InputErrors(AsyncstackError):  # noqa: N818 – several of them
    """More than one thing is wrong at once; `errors` are the single ones."""

    def __init__(self, errors: Sequence[AsyncstackError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """The smallest: what the user wrote is to be mended before what a node lacks."""
        return min(error.exit_code for error in self.errors)


async def at_once(work: Callable[[T], Awaitable[None]], items: Sequence[T]) -> None:
    """Do it to all of them at once. Every error is told, in their order, and none stops the others."""
    errors: dict[int, Sequence[AsyncstackError]] = {}

    async def one(number: int, item: T) -> None:
        try:
            await work(item)
        except AsyncstackError as error:
            errors[number] = errors_in(error)

    async with anyio.create_task_group() as tasks:
        for number, item in enumerate(items):
            tasks.start_soon(one, number, item)
    raise_all([error for number in sorted(errors) for error in errors[number]])


def errors_in(error: AsyncstackError) -> tuple[AsyncstackError, ...]:
    """The single errors that one is made of."""
    return error.errors if isinstance(error, InputErrors) else (error,)


def nothing_is_left(error: AsyncstackError) -> bool:
    """True if what is wrong stays so: the nodes are there, but have nothing of the run any more."""
    return all(isinstance(one, NothingLeftError) for one in errors_in(error))


def status_after(error: TransportError) -> Status:
    """How a node has ended that this came from."""
    if isinstance(error, UnfitNodeError):
        return Status.FAILED
    return Status.LOST if isinstance(error, ConnectionLostError) else Status.UNREACHABLE


def raise_all(errors: Sequence[AsyncstackError]) -> None:
    """Raise them as one, if there are any; what is wrong for several nodes alike once."""
    single = list({str(error): error for error in errors}.values())
    if single:
        raise single[0] if len(single) == 1 else InputErrors(single)


def worst(statuses: Iterable[Status]) -> Status:
    """The status of a whole whose parts have these: what weighs most for the user."""
    order = (Status.CANCELLED, Status.LOST, Status.UNREACHABLE, Status.FAILED)
    present = set(statuses)
    return next((status for status in order if status in present), Status.OK)


def warn(emit: Emit, found: Sequence[Suspicion], node: str = "") -> None:
    """Tell the user what is suspicious."""
    for suspicion in found:
        emit(
            Warned(
                code=suspicion.code,
                message=suspicion.message,
                node=node,
                plugin=suspicion.plugin,
                path=suspicion.path,
                line=suspicion.line,
            )
        )
