"""One run from its beginning to its end, with its directory, journal and record."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from typing import Literal

import anyio
import msgspec
from anyio import CancelScope, to_thread
from msgspec import Struct

from asyncstack import __version__
from asyncstack.errors import (
    AsyncstackError,
    RunDirectoryError,
)
from asyncstack.events import Event, NodeBooted, NodeFinished, RunStarted
from asyncstack.executor import Policy
from asyncstack.git.urls import parse_url
from asyncstack.journal import (
    Redactor,
    RunDirectory,
    RunRecord,
    StepLogs,
    open_journal,
    read_events,
)
from asyncstack.localconf import is_secret
from asyncstack.model import Status
from asyncstack.plan import PlannedPhase
from asyncstack.reports.display import Display
from asyncstack.run.copies import without_made
from asyncstack.run.nodes import NodeSpec, inventory_wishes, node_batches, plan_run
from asyncstack.run.opening import open_nodes, release_nodes
from asyncstack.run.recall import recall_nodes, recall_plugins
from asyncstack.run.records import INTERRUPTED, Progress, first_record, last_record, tell_of_nodes
from asyncstack.run.sinks import Sinks
from asyncstack.run.stage import Opened, Stage, nothing_is_left, warn, worst
from asyncstack.run.stages import abort_all, boot_nodes, enough_are_well, run_all
from asyncstack.settings import RunSettings
from asyncstack.transports.base import Ask

__all__ = ["Goal", "RunResult", "attach", "execute"]

#: What a run is for: all of it, or only to bring the checkouts to $DEST.
Goal = Literal["phases", "fetch"]


class RunResult(Struct, frozen=True):
    """How a run ended; everything else is in its directory. `lock`: the lock file that it wrote."""

    status: Status
    exit_code: int
    directory: RunDirectory
    lock: Path | None = None


async def execute(
    settings: RunSettings, display: Display, goal: Goal = "phases", ask: Ask | None = None
) -> RunResult:
    """Do a run. A failed clone or step is told by the result, not raised.

    `ask` asks the user for the passphrase of a key. Raises what is wrong with the user's input (LocalConfError, PluginError, SettingsError,
    RunDirectoryError, ConfigError) or with a node (UnfitNodeError, ConnectionLostError); the run
    directory, once made, holds what happened until then.
    """
    Policy(max_fail=settings.nodes.max_fail)  # said before anything is done, if it is wrong
    batches = node_batches(settings, ask)
    specs = [spec for batch in batches for spec in batch]
    plan = plan_run(settings, [spec.local_conf for spec in specs])
    directory = RunDirectory.create(explicit=settings.run_directory)
    record = first_record(settings, specs, directory, plan if goal == "phases" else [])
    _write(record, directory)
    return await _conduct(record, directory, batches, display)


async def attach(directory: RunDirectory, display: Display, ask: Ask | None = None) -> RunResult:
    """Take up a run whose controller is gone, where it stands, and bring it to its end.

    The drivers went on meanwhile. All that they said is read again; what the journal has already
    isn't written twice, and no step runs twice. Raises RunDirectoryError if the run is over or has
    a controller, else what `execute` raises.
    """
    record = RunRecord.read(directory.run_json)
    if record.settings is None or record.finished is not None:
        raise RunDirectoryError(
            f"the run is over: {record.status}",
            path=str(directory.path),
            hint=f"see how it went: asyncstack report {record.run_id}",
        )
    batches = node_batches(record.settings, ask)
    record = msgspec.structs.replace(record, controller_pid=os.getpid())
    return await _conduct(record, directory, batches, display, take_up=True)


async def _conduct(
    record: RunRecord,
    directory: RunDirectory,
    batches: Sequence[Sequence[NodeSpec]],
    display: Display,
    *,
    take_up: bool = False,
) -> RunResult:
    """Journal, sinks and record around what the stages do."""
    progress = Progress()
    async with open_journal(directory) as journal:
        seen: list[Event] = []
        all_over: list[Status] = []
        if take_up:
            seen, all_over = await _seen(directory, record, batches)
        redactor = _redactor()
        logs = StepLogs(directory.path)
        sinks = Sinks(directory.run_id, journal, logs, display, redactor, seen)
        stage = _stage(record, redactor, sinks, seen, take_up=take_up)
        sinks.emit(_started(record, batches))
        if all_over:
            nodes, plugins = recall_nodes(seen), recall_plugins(seen)
            record = msgspec.structs.replace(record, nodes=nodes, plugins=plugins)
        async with _concluded(record, directory, stage, sinks, progress):
            if all_over:
                await release_nodes(batches, directory.run_id)
                progress.end(worst(all_over))
            else:
                await _run(stage, directory, batches, record.plan, progress)
    return RunResult(progress.status, progress.exit_code, directory, progress.lock)


@asynccontextmanager
async def _concluded(
    record: RunRecord,
    directory: RunDirectory,
    stage: Stage,
    sinks: Sinks,
    progress: Progress,
) -> AsyncIterator[None]:
    """Whatever becomes of the block: say how the run ended, in the journal and then in its record."""
    started = time.monotonic()
    if stage.attach:
        # It went on before us, and without anybody.
        started -= max(0.0, (datetime.now(UTC) - record.started).total_seconds())
    try:
        yield
    except AsyncstackError as error:
        # What can't be taken up now may be later.
        progress.left = stage.attach and not progress.opened and not nothing_is_left(error)
        progress.exit_code = error.exit_code
        progress.status = tell_of_nodes(error, sinks.emit, left=progress.left)
        error.hide(stage.redactor.text)
        raise
    except anyio.get_cancelled_exc_class():
        progress.status, progress.exit_code = Status.CANCELLED, INTERRUPTED
        raise
    finally:
        if not progress.left:
            sinks.emit(progress.finished(time.monotonic() - started))
        with CancelScope(shield=True):
            await sinks.finish()
        if not progress.left:
            _write(last_record(record, progress, stage.redactor, sinks.ended), directory)


def _redactor() -> Redactor:
    """One that knows what the environment holds; each node's localrc adds to it."""
    redactor = Redactor()
    for name, value in os.environ.items():
        if is_secret(name):
            redactor.add(value)
    return redactor


def _stage(
    record: RunRecord, redactor: Redactor, sinks: Sinks, seen: Sequence[Event], *, take_up: bool
) -> Stage:
    assert record.settings is not None
    wanted, warnings = inventory_wishes(record.settings)
    copies = [without_made(copy, seen) for copy in wanted]
    return Stage(
        record.settings,
        record.run_id,
        redactor,
        sinks.emit,
        sinks,
        sinks.finish,
        attach=take_up,
        booted=frozenset(event.node for event in seen if isinstance(event, NodeBooted)),
        gone={
            event.node: event.status
            for event in seen
            if isinstance(event, NodeFinished) and event.status is Status.UNREACHABLE
        },
        keep_top_dir=bool(record.plan),  # without a phase no plugin has seen it
        copies=tuple(copy for copy in copies if copy.targets),
        warnings=warnings,
    )


def _started(record: RunRecord, batches: Sequence[Sequence[NodeSpec]]) -> RunStarted:
    return RunStarted(
        command=record.command,
        version=__version__,
        local_conf=record.local_conf,
        nodes=tuple(spec.name for specs in batches for spec in specs),
        phases=record.phases,
    )


async def _seen(
    directory: RunDirectory, record: RunRecord, batches: Sequence[Sequence[NodeSpec]]
) -> tuple[list[Event], list[Status]]:
    """What the controller that is gone has written, and how the nodes ended if all have.

    Only now, for no other controller can be writing.
    """
    seen = list(read_events(directory.events))
    record.write(directory.run_json)
    all_over = _finished(seen, batches)
    if not all_over:
        # The logs are made again from what the nodes have kept, which is all of it.
        folder = directory.path / "logs"
        await to_thread.run_sync(lambda: rmtree(folder, ignore_errors=True))
    return seen, all_over


def _finished(seen: Sequence[Event], batches: Sequence[Sequence[NodeSpec]]) -> list[Status]:
    """How the nodes ended, if the controller that is gone has come to the end of all of them."""
    ended = {event.node: event.status for event in seen if isinstance(event, NodeFinished)}
    names = [spec.name for specs in batches for spec in specs]
    return [ended[name] for name in names] if ended.keys() >= set(names) else []


async def _run(
    stage: Stage,
    directory: RunDirectory,
    batches: Sequence[Sequence[NodeSpec]],
    phases: Sequence[PlannedPhase],
    progress: Progress,
) -> None:
    # Before a node turns out not to be reached: what was ignored may be why.
    warn(stage.emit, stage.warnings)
    async with open_nodes(stage, [spec for specs in batches for spec in specs]) as opened:
        progress.opened = True
        # While the nodes boot: the fetcher takes as long to be imported as a node takes to answer.
        from asyncstack.run.bringing import check_plugins, fetch_plugins  # noqa: PLC0415
        from asyncstack.run.fetching import save_lock  # noqa: PLC0415

        await boot_nodes(stage, opened, prepare=True, phases=phases)
        progress.boots = {one.node.name: one.node.booted for one in opened}
        progress.results = await fetch_plugins(stage, opened)
        progress.status = Status.FAILED
        if all(result.status.good for result in progress.all_results()):
            progress.status = Status.OK
            progress.lock = save_lock(stage.settings, progress.all_results())
            if phases:
                await check_plugins(opened)
                await _run_batches(stage, directory, batches, opened, phases, progress)
        # Before the drivers go: who takes the run up from here has only what is written by now.
        await stage.settle()
    progress.end(worst([progress.status, *stage.gone.values()]))


async def _run_batches(
    stage: Stage,
    directory: RunDirectory,
    batches: Sequence[Sequence[NodeSpec]],
    opened: Sequence[Opened],
    phases: Sequence[PlannedPhase],
    progress: Progress,
) -> None:
    """One batch finishes everything before the next begins; a bad one is the last."""
    of_name = {one.node.name: one for one in opened}
    count = 0
    for count, specs in enumerate(batches, 1):  # noqa: B007 – how many of them had their turn
        batch = [of_name[spec.name] for spec in specs if spec.name in of_name]
        if not batch:
            continue
        status = await run_all(stage, directory, batch, phases, progress.results, opened)
        progress.status = worst([progress.status, status])
        if not enough_are_well(stage, opened):
            break
    for specs in batches[count:]:
        batch = [of_name[spec.name] for spec in specs if spec.name in of_name]
        abort_all(stage, directory, batch, phases, progress.results)


def _write(record: RunRecord, directory: RunDirectory) -> None:
    """Keep a record, but no login that a mirror's URL holds."""
    assert record.settings is not None
    fetch = record.settings.fetch
    mirrors = tuple((parse_url(old).url, parse_url(new).url) for old, new in fetch.mirrors)
    settings = msgspec.structs.replace(
        record.settings, fetch=msgspec.structs.replace(fetch, mirrors=mirrors)
    )
    msgspec.structs.replace(record, settings=settings).write(directory.run_json)
