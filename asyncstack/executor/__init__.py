"""Runs the phases on the nodes: who goes when, who stops when somebody has failed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Literal

from asyncstack.events import BarrierOpened, Emit, NodeFinished
from asyncstack.executor.boot import Boot
from asyncstack.executor.conversation import Logs
from asyncstack.executor.node import NodeRun
from asyncstack.executor.opening import RECONNECT_S, Launch, open_node
from asyncstack.executor.policy import Policy
from asyncstack.executor.questions import Inspection
from asyncstack.executor.tracker import NodeTracker
from asyncstack.model import PhaseKey, Status
from asyncstack.plan import PlannedPhase
from asyncstack.strategies import free, linear

__all__ = [
    "RECONNECT_S",
    "Boot",
    "Inspection",
    "Launch",
    "Logs",
    "NodeRun",
    "NodeTracker",
    "Policy",
    "abort_phases",
    "open_node",
    "run_phases",
]


async def run_phases(
    nodes: Sequence[NodeRun],
    phases: Sequence[PlannedPhase],
    emit: Emit,
    *,
    strategy: Literal["linear", "free"] = "linear",
    may_go_on: Callable[[int, int], bool],
    on_barrier: Callable[[PhaseKey], Awaitable[None]],
    meet_after: Collection[PhaseKey] = (),
    step_timeout_s: float = 0.0,
    quits: bool = True,
) -> None:
    """Run all phases on all nodes. How each node ended is its `status`.

    A node whose run ended early stops the others at the next barrier, never in the middle of a
    step, unless `may_go_on`, given how many of how many nodes have, lets them. `on_barrier` is
    called when all nodes are through with a phase; `free` has such points behind the phases of
    `meet_after` and at the end. `quits`: no driver is asked anything after the last phase, and each
    may end right behind it.
    """
    finished: dict[str, float] = {}

    async def work(node: NodeRun, phase: PlannedPhase) -> None:
        if node.status is Status.RUNNING and phase.key not in node.left_out:
            await node.run_phase(phase, step_timeout_s, last=quits and phase is phases[-1])
            finished[node.name] = time.monotonic()

    async def barrier(phase: PlannedPhase) -> bool:
        if len(nodes) > 1 and finished:
            waiting = [node.name for node in nodes if node.status is Status.RUNNING]
            emit(_opened(phase.key, finished, waiting))
            finished.clear()
        await on_barrier(phase.key)
        failed = sum(node.status is not Status.RUNNING for node in nodes)
        return may_go_on(failed, len(nodes))

    in_order = linear
    if strategy == "free":
        in_order = partial(free, meets=lambda phase: phase.key in meet_after)
    try:
        await in_order(nodes, phases, work, barrier)
    finally:
        for node in nodes:
            _finish(node, phases, emit)


def abort_phases(nodes: Sequence[NodeRun], phases: Sequence[PlannedPhase], emit: Emit) -> None:
    """Say of nodes that they won't run any of the phases, because others before them have failed."""
    for node in nodes:
        for phase in phases:
            node.skip_phase(phase, "the run ended before it")
        node.status = Status.ABORTED
        emit(NodeFinished(node=node.name, status=Status.ABORTED))


def _opened(key: PhaseKey, finished: dict[str, float], waiting: Sequence[str]) -> BarrierOpened:
    """`finished` are those that came, and when; one whose run ended there waits for nobody."""
    last = max(finished, key=lambda name: finished[name])
    first = min((finished[name] for name in waiting if name in finished), default=finished[last])
    waited = round(finished[last] - first, 6)
    return BarrierOpened(mode=key.mode, phase=key.phase, held_by=last, waited_s=waited)


def _finish(node: NodeRun, phases: Sequence[PlannedPhase], emit: Emit) -> None:
    for phase in phases:
        node.skip_phase(phase, "the run ended before it")
    status = node.status
    if status is Status.RUNNING:
        status = Status.FAILED if node.failed else Status.OK
    node.status = status
    emit(NodeFinished(node=node.name, status=status))
