"""How far a run has come, and what run.json says of it."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from asyncstack import __version__
from asyncstack.errors import (
    AsyncstackError,
    TransportError,
    UnfitNodeError,
)
from asyncstack.events import Emit, NodeFinished, RunFinished
from asyncstack.executor import Boot
from asyncstack.inventory import with_files
from asyncstack.journal import (
    RecordedNode,
    RecordedPlugin,
    Redactor,
    RunDirectory,
    RunRecord,
)
from asyncstack.localconf import LocalConf
from asyncstack.model import Status
from asyncstack.plan import PlannedPhase
from asyncstack.run.nodes import NodeSpec
from asyncstack.run.stage import errors_in, status_after
from asyncstack.settings import RunSettings, working_directory

if TYPE_CHECKING:
    from asyncstack.fetcher import FetchResult
    from asyncstack.run.remote import Results

__all__ = ["INTERRUPTED", "Progress", "first_record", "last_record", "tell_of_nodes"]

_FAILED, _UNREACHABLE, INTERRUPTED = 1, 5, 130
_EXIT_CODES = {
    Status.OK: 0,
    Status.LOST: _UNREACHABLE,
    Status.UNREACHABLE: _UNREACHABLE,
    Status.CANCELLED: INTERRUPTED,
}


class Progress(Struct):
    """What is known of a run so far, for its record. `left`: it goes on without us."""

    boots: dict[str, Boot] = {}
    results: Results = {}
    status: Status = Status.FAILED
    exit_code: int = 70
    lock: Path | None = None
    opened: bool = False
    left: bool = False

    def end(self, status: Status) -> None:
        """The run ends so."""
        self.status = status
        self.exit_code = _EXIT_CODES.get(status, _FAILED)

    def finished(self, duration_s: float) -> RunFinished:
        """The last event."""
        return RunFinished(
            status=self.status, exit_code=self.exit_code, duration_s=round(duration_s, 6)
        )

    def all_results(self) -> list[FetchResult]:
        """How each repository ended, on whichever node."""
        return [result for results in self.results.values() for result in results]


def first_record(
    settings: RunSettings,
    specs: Sequence[NodeSpec],
    directory: RunDirectory,
    plan: Sequence[PlannedPhase],
) -> RunRecord:
    local_conf = specs[0].local_conf
    return RunRecord(
        run_id=directory.run_id,
        command=settings.command if plan else "fetch",
        started=datetime.now(UTC),
        versions={"asyncstack": __version__, "python": platform.python_version()},
        local_conf=str(local_conf.path.absolute()),
        local_conf_digest=_digest(local_conf),
        phases=tuple(phase.key.name for phase in plan),
        nodes=tuple(_first_of(spec) for spec in specs),
        controller_pid=os.getpid(),
        settings=_from_anywhere(settings),
        plan=tuple(plan),
    )


def _first_of(spec: NodeSpec) -> RecordedNode:
    return RecordedNode(
        name=spec.name,
        host=spec.transport.node.host,
        local_conf=str(spec.local_conf.path.absolute()),
        local_conf_digest=_digest(spec.local_conf),
    )


def _from_anywhere(settings: RunSettings) -> RunSettings:
    """The settings for who takes the run up, ends it or resumes it in another folder."""
    inventory = settings.nodes.inventory
    return msgspec.structs.replace(
        settings,
        local_conf=settings.local_conf.absolute(),
        working_directory=settings.working_directory or working_directory(),
        nodes=msgspec.structs.replace(
            settings.nodes,
            inventory=inventory.absolute() if inventory else None,
            limit=with_files(settings.nodes.limit),
        ),
    )


def _digest(local_conf: LocalConf) -> str:
    text = local_conf.text.encode("utf-8", "surrogateescape")
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def last_record(
    record: RunRecord, progress: Progress, redactor: Redactor, ended: Mapping[str, Status]
) -> RunRecord:
    record = msgspec.structs.replace(
        record,
        finished=datetime.now(UTC),
        status=progress.status,
        exit_code=progress.exit_code,
        nodes=tuple(_last_of(node, progress, ended) for node in record.nodes),
    )
    if not progress.boots:
        return record  # whose plugins are known from elsewhere, or never were
    commits = {result.plugin: result.commit for result in progress.all_results()}
    plugins = {plugin.name: plugin for boot in progress.boots.values() for plugin in boot.plugins}
    return msgspec.structs.replace(
        record,
        plugins=tuple(
            RecordedPlugin(
                name=p.name,
                url=redactor.text(p.url),
                ref=p.ref,
                commit=commits.get(p.name, ""),
            )
            for p in plugins.values()
        ),
    )


def _last_of(node: RecordedNode, progress: Progress, ended: Mapping[str, Status]) -> RecordedNode:
    """How a node was found, and how it ended: perhaps not as the run did."""
    boot = progress.boots.get(node.name)
    if boot is None:
        status = ended.get(node.name, node.status)
        return msgspec.structs.replace(node, status=status)
    status = ended.get(node.name, progress.status)
    return msgspec.structs.replace(node, dest=boot.dest, facts=boot.facts, status=status)


def tell_of_nodes(error: AsyncstackError, emit: Emit, *, left: bool) -> Status:
    """Say which nodes were out of reach; the status of a run that they have ended.

    Nothing is said if they were `left` to whoever takes them up later.
    """
    errors = errors_in(error)
    out_of_reach = [one for one in errors if isinstance(one, TransportError)]
    for one in out_of_reach:
        if not left and not isinstance(one, UnfitNodeError):
            emit(NodeFinished(node=one.node, status=status_after(one), message=one.problem))
    return status_after(out_of_reach[0]) if len(out_of_reach) == len(errors) else Status.FAILED
