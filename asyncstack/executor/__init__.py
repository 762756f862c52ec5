"""Runs the phases on the nodes: who goes when, who stops when somebody has failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from asyncstack.events import BarrierOpened, Emit, NodeFinished
from asyncstack.executor.boot import Boot
from asyncstack.executor.node import Inspection, NodeRun, open_node
from asyncstack.executor.tracker import NodeTracker
from asyncstack.model import PhaseKey, Status
from asyncstack.plan import PlannedPhase
from asyncstack.strategies import linear

__all__ = ["Boot", "Inspection", "NodeRun", "NodeTracker", "open_node", "run_phases"]


async def run_phases(
    nodes: Sequence[NodeRun],
    phases: Sequence[PlannedPhase],
    emit: Emit,
    *,
    on_barrier: Callable[[PhaseKey], None] = lambda _key: None,
    step_timeout_s: float = 0.0,
) -> None:
    """Run all phases on all nodes, in step. How each node ended is its `status`.

    A node whose run ended early stops the others at the next barrier, never in the middle of a
    step. `on_barrier` is called when all nodes are through with a phase.
    """

    async def work(node: NodeRun, phase: PlannedPhase) -> None:
        await node.run_phase(phase, step_timeout_s)

    def barrier(phase: PlannedPhase) -> bool:
        if len(nodes) > 1:
            emit(BarrierOpened(mode=phase.key.mode, phase=phase.key.phase))
        on_barrier(phase.key)
        return all(node.status is Status.RUNNING for node in nodes)

    try:
        await linear(nodes, phases, work, barrier)
    finally:
        for node in nodes:
            _finish(node, phases, emit)


def _finish(node: NodeRun, phases: Sequence[PlannedPhase], emit: Emit) -> None:
    for phase in phases:
        node.skip_phase(phase, "the run ended before it")
    status = node.status
    if status is Status.RUNNING:
        status = Status.FAILED if node.failed else Status.OK
    node.status = status
    emit(NodeFinished(node=node.name, status=status))
