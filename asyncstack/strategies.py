"""How nodes keep step with each other. A barrier is the end of a task group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import anyio

__all__ = ["free", "linear"]

N = TypeVar("N")
P = TypeVar("P")
Work = Callable[[N, P], Coroutine[Any, Any, None]]
Barrier = Callable[[P], Awaitable[bool]]


async def linear(
    nodes: Sequence[N],
    phases: Sequence[P],
    work: Work[N, P],
    barrier: Barrier[P],
) -> None:
    """All nodes finish a phase before any starts the next.

    `work` returns normally whatever happened; `barrier` says whether the next phase is to begin.
    """
    for phase in phases:
        async with anyio.create_task_group() as tasks:
            for node in nodes:
                tasks.start_soon(work, node, phase)
        if not await barrier(phase):
            return


async def free(
    nodes: Sequence[N],
    phases: Sequence[P],
    work: Work[N, P],
    barrier: Barrier[P],
) -> None:
    """Each node goes at its own pace; `barrier` is asked once, when all are through."""

    async def all_phases(node: N) -> None:
        for phase in phases:
            await work(node, phase)

    async with anyio.create_task_group() as tasks:
        for node in nodes:
            tasks.start_soon(all_phases, node)
    if phases:
        await barrier(phases[-1])
