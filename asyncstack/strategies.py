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
    meets: Callable[[P], bool] = lambda _phase: False,
) -> None:
    """Each node goes at its own pace; `barrier` is asked when all are through.

    It is asked behind each phase as well of which `meets` says that they meet there.
    """

    async def some_phases(node: N, stretch: Sequence[P]) -> None:
        for phase in stretch:
            await work(node, phase)

    begin = 0
    for end, last in enumerate(phases, 1):
        if end < len(phases) and not meets(last):
            continue
        async with anyio.create_task_group() as tasks:
            for node in nodes:
                tasks.start_soon(some_phases, node, phases[begin:end])
        if not await barrier(last):
            return
        begin = end
