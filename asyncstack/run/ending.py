"""`stop`: end a run from outside, wherever it is, and see to it that nothing of it is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import anyio
from msgspec import Struct

from asyncstack.errors import RunDirectoryError, TransportError
from asyncstack.journal import RunDirectory, RunRecord
from asyncstack.run.nodes import NodeSpec, node_batches
from asyncstack.runtime.session import stop_driver
from asyncstack.transports.base import Ask

__all__ = ["Stopped", "stop"]

#: Seconds that a living controller gets to end the run itself.
_CONTROLLER_S = 30.0


class Stopped(Struct, frozen=True):
    """What became of a node: the processes that could not be ended, or why it can't be told."""

    node: str
    survivors: tuple[str, ...] = ()
    problem: str = ""


async def stop(directory: RunDirectory, ask: Ask | None = None) -> list[Stopped]:
    """End the controller, if there is one, and every node's driver with all that it started.

    Raises RunDirectoryError if the run can't be taken up from its record.
    """
    record = RunRecord.read(directory.run_json)
    if record.settings is None:
        raise RunDirectoryError("doesn't say what its nodes are", path=str(directory.run_json))
    if directory.in_progress() and record.controller_pid:
        await _end_controller(directory, record.controller_pid)
    specs = [spec for batch in node_batches(record.settings, ask) for spec in batch]
    stopped = await _stop_all(specs, record.run_id)
    return [stopped[spec.name] for spec in specs]


async def _end_controller(directory: RunDirectory, pid: int) -> None:
    # It holds the journal's lock, so that the number is still its own.
    os.kill(pid, signal.SIGTERM)
    with anyio.move_on_after(_CONTROLLER_S):
        while directory.in_progress():  # noqa: ASYNC110 – another process's lock tells nobody
            await anyio.sleep(0.05)


async def _stop_all(specs: Sequence[NodeSpec], run_id: str) -> dict[str, Stopped]:
    stopped: dict[str, Stopped] = {}

    async def one(spec: NodeSpec) -> None:
        try:
            async with spec.transport as transport:
                survivors = await stop_driver(transport, run_id)
            stopped[spec.name] = Stopped(spec.name, tuple(survivors))
        except TransportError as error:
            stopped[spec.name] = Stopped(spec.name, problem=error.problem)

    async with anyio.create_task_group() as tasks:
        for spec in specs:
            tasks.start_soon(one, spec)
    return stopped
