"""The story of a run's nodes: boot, then the phases. Each stage is a function of what came before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from asyncstack.errors import AsyncstackError, SettingsError
from asyncstack.events import PluginRegistered
from asyncstack.executor import (
    NodeRun,
    NodeTracker,
    abort_phases,
    run_phases,
)
from asyncstack.journal import RunDirectory
from asyncstack.localconf import literal_secrets, suspicions
from asyncstack.model import Mode, PhaseKey, Status
from asyncstack.plan import PlannedPhase, dependency_suspicions
from asyncstack.registry import secrets_in, validate
from asyncstack.run.copies import copy_files, due_copies, refuse_copy
from asyncstack.run.stage import Opened, Stage, at_once, raise_all, warn, worst
from asyncstack.settings import THROUGH, working_directory

if TYPE_CHECKING:
    from asyncstack.run.remote import Results

__all__ = ["abort_all", "boot_nodes", "enough_are_well", "run_all"]


async def boot_nodes(
    stage: Stage,
    opened: Sequence[Opened],
    *,
    prepare: bool = False,
    phases: Sequence[PlannedPhase] = (),
) -> None:
    """Wait for every node's localrc, and check what it registered.

    `prepare`: for a run, which needs $DEST and more; all that a node lacks is told at once, and
    of all nodes. `phases` are what it is to do then. Raises LocalConfError, PluginError, UnfitNodeError or InputErrors for what is wrong there.
    """
    for local_conf in {one.spec.local_conf.path: one.spec.local_conf for one in opened}.values():
        warn(stage.emit, suspicions(local_conf))

    async def boot(one: Opened) -> None:
        for secret in literal_secrets(one.spec.local_conf.localrc or ""):
            stage.redactor.add(secret)
        path = one.spec.local_conf.localrc_path
        result = await one.node.boot(path, stage.redactor.add, _folder(stage, one))
        for plugin in result.plugins:
            for secret in secrets_in(plugin.url):
                stage.redactor.add(secret)
        warn(stage.emit, result.warnings, one.node.name)
        errors: list[AsyncstackError] = [*validate(result.plugins)]
        for plugin in result.plugins if not errors else ():
            stage.emit(
                PluginRegistered(
                    node=one.node.name,
                    plugin=plugin.name,
                    url=plugin.url,
                    ref=plugin.ref,
                    directory=plugin.directory,
                    path=plugin.path,
                    line=plugin.line,
                )
            )
        if prepare and not errors:  # a node whose localrc is wrong is left as it is
            errors += await one.node.prepare()
        raise_all(errors)

    travelling = _travelling(stage, phases)

    async def probe(one: Opened) -> None:
        # As long as it boots, so that it takes no time. If all checkouts are in order, this is the
        # first session besides the driver's: a node that allows no other is told now.
        await one.spec.transport.run("true")

    works = [partial(boot, one) for one in opened]
    works += [
        partial(probe, one) for one in opened if one.spec.remote and one.node.name in travelling
    ]
    await at_once(lambda work: work(), works)
    if prepare:
        _check_places(opened)


def _folder(stage: Stage, one: Opened) -> str:
    """Where a relative path of a repository begins: nowhere for a node that fetches by itself."""
    settings = stage.settings
    by_itself = one.spec.remote and settings.fetch.source == "node"
    return "" if by_itself else settings.working_directory or working_directory()


def _travelling(stage: Stage, phases: Sequence[PlannedPhase]) -> set[str]:
    """The nodes that files are to be copied from or to."""
    names = {phase.key.name for phase in phases} | {*stage.settings.copies_first}
    copies = [copy for copy in stage.copies if copy.after in names and not stage.attach]
    return {name for copy in copies for name in (copy.sources[0], *copy.targets)}


def _check_places(opened: Sequence[Opened]) -> None:
    """See that no two nodes do the same work in the same place. Raises SettingsError."""
    names: dict[tuple[str, int, str], str] = {}
    for one in opened:
        node, dest = one.spec.transport.node, one.node.booted.dest
        other = names.setdefault((node.host if one.spec.remote else "", node.port, dest), node.name)
        if other != node.name:
            raise SettingsError(
                f"nodes {other} and {node.name} are one machine, and have one DEST: {dest}",
                hint="correct an ansible_host, or give each a DEST of its own (localrc of the host)",
            )


async def _copy(
    stage: Stage,
    directory: RunDirectory,
    key: PhaseKey,
    opened: Sequence[Opened],
    everybody: Sequence[Opened],
) -> None:
    """Copy what the inventory wants copied here; a node that lacks it now has failed."""
    names = {key.name}
    if key.mode is Mode.SOURCE:
        names.update(stage.settings.copies_first)
    batch = {one.node.name for one in opened}
    if opened[0] is everybody[0]:
        batch |= stage.gone.keys()  # whose files nobody will have
    running = {one.node.name for one in everybody if one.node.status is Status.RUNNING}
    well = running | {one.node.name for one in everybody if one.node.status is Status.OK}
    transports = {one.node.name: one.spec.transport for one in everybody}
    lacking: set[str] = set()
    for copy in due_copies(stage.copies, names, batch, running - batch):
        source = copy.sources[0]
        if source not in well:
            problem = f"{source} has not come to the end of {copy.after}"
            lacking.update(refuse_copy(copy, copy.targets, problem, stage.emit))
            continue
        refuse_copy(copy, [t for t in copy.targets if t in stage.gone], "out of reach", stage.emit)
        lacking.update(await copy_files(copy, transports, stage.emit, directory.path))
        # Before anything goes on from it: who takes the run up copies what isn't written down.
        await stage.settle()
    for one in everybody:
        if one.node.name in lacking and one.node.status is Status.RUNNING:
            one.node.status = Status.FAILED


async def run_all(
    stage: Stage,
    directory: RunDirectory,
    opened: Sequence[Opened],
    phases: Sequence[PlannedPhase],
    results: Results,
    everybody: Sequence[Opened],
) -> Status:
    """Run the phases; the status is the worst of the nodes'.

    `opened` are the nodes of this batch, `everybody` those of all batches: files may go there.
    """
    nodes = _begin(directory, opened, results)
    keys = [phase.key for phase in phases]
    for node in nodes:
        node.left_out = _left_out(keys, stage.settings.begin_at.get(node.name, ""))

    async def on_barrier(key: PhaseKey) -> None:
        if key.mode is Mode.SOURCE:
            for one in opened:
                node = one.node
                found = dependency_suspicions(node.booted.plugins, node.declarations)
                warn(stage.emit, found, node.name)
                if stage.settings.fetch.prefetch and node.status is Status.RUNNING:
                    from asyncstack.run.bringing import prefetch  # noqa: PLC0415 – see engine.py

                    await prefetch(stage, one)
        if enough_are_well(stage, everybody):  # or nobody goes on who would need them
            await _copy(stage, directory, key, opened, everybody)
        passed.add(key)

    passed: set[PhaseKey] = set()
    copied = {copy.after for copy in stage.copies}
    await run_phases(
        nodes,
        phases,
        stage.emit,
        strategy=stage.settings.nodes.strategy,
        may_go_on=stage.may_go_on,
        on_barrier=on_barrier,
        meet_after=[key for key in keys if key.mode is Mode.SOURCE or key.name in copied],
        step_timeout_s=stage.settings.step_timeout_s,
        # What can be prefetched is asked of the drivers behind that phase.
        quits=not (stage.settings.fetch.prefetch and phases[-1].key.mode is Mode.SOURCE),
    )
    if enough_are_well(stage, everybody):
        # Those whose turn comes now wait for files that nobody will make.
        for key in [key for key in keys if key not in passed]:
            await _copy(stage, directory, key, opened, everybody)
    return worst(node.status for node in nodes)


def enough_are_well(stage: Stage, everybody: Sequence[Opened]) -> bool:
    """True if not so many nodes have failed that the others are to stop."""
    well = (Status.RUNNING, Status.OK)
    failed = sum(one.node.status not in well for one in everybody)
    return stage.may_go_on(failed, len(everybody))


def _left_out(keys: Sequence[PhaseKey], begin_at: str) -> frozenset[PhaseKey]:
    """The phases before the one that a node begins with; what they all build upon is loaded."""
    names = [key.name for key in keys]
    before = keys[: names.index(begin_at)] if begin_at in names else ()
    before = keys if begin_at == THROUGH else before
    return frozenset(key for key in before if key.mode is Mode.STACK)


def abort_all(
    stage: Stage,
    directory: RunDirectory,
    opened: Sequence[Opened],
    phases: Sequence[PlannedPhase],
    results: Results,
) -> None:
    """Say of a batch that it won't have its turn."""
    abort_phases(_begin(directory, opened, results), phases, stage.emit)


def _begin(directory: RunDirectory, opened: Sequence[Opened], results: Results) -> list[NodeRun]:
    nodes = [one.node for one in opened]
    for node in nodes:

        def log_path(phase: PlannedPhase, step: str, name: str = node.name) -> str:
            return directory.log(name, phase.index, phase.key, step)

        booted = node.booted
        top_dir = booted.variables.get("TOP_DIR", "")
        commits = {result.plugin: result.commit for result in results.get(node.name, ())}
        node.begin(NodeTracker(node.name, booted.plugins, commits, log_path, top_dir=top_dir))
    return nodes
