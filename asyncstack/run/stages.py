"""The story of a run: open, boot, fetch, phases. Each stage is a function of what came before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TypeVar

import anyio
from anyio import CancelScope
from msgspec import Struct

from asyncstack.errors import AsyncstackError, PluginError, TransportError
from asyncstack.events import Emit, PluginRegistered, Warned
from asyncstack.executor import (
    Launch,
    Logs,
    NodeRun,
    NodeTracker,
    Policy,
    abort_phases,
    open_node,
    run_phases,
)
from asyncstack.fetcher import FetchRequest, fetch, prefetch_requests
from asyncstack.inventory import Copy
from asyncstack.journal import Redactor, RunDirectory
from asyncstack.localconf import literal_secrets, secret_names, suspicions
from asyncstack.model import Mode, PhaseKey, Status, Suspicion
from asyncstack.plan import PlannedPhase, dependency_suspicions
from asyncstack.registry import secrets_in, validate
from asyncstack.run.copies import copy_files, due_copies
from asyncstack.run.fetching import fetch_options, fetch_requests, locked_commits
from asyncstack.run.nodes import NodeSpec
from asyncstack.run.remote import RemoteNode, Results, clone_on_nodes, deliver_to_nodes
from asyncstack.run.standing import Kept, keep_standing, with_kept
from asyncstack.runtime.payload import DriverSettings
from asyncstack.runtime.session import has_driver, new_nonce, release_driver
from asyncstack.settings import RunSettings

__all__ = [
    "InputErrors",
    "Opened",
    "Stage",
    "abort_all",
    "boot_nodes",
    "check_plugins",
    "fetch_plugins",
    "open_nodes",
    "release_nodes",
    "run_all",
    "worst",
]


T = TypeVar("T")


class Stage(Struct, frozen=True):
    """What every stage is given. `settle` returns when all that was emitted is on the disk.

    `attach`: the drivers run already, for a controller that is gone; those of `booted` certainly.
    `looks_only`: nothing is to be made on the nodes.     `keep_top_dir`: what the plugins found at TOP_DIR is there after the run. `copies`: files between nodes.
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


@asynccontextmanager
async def open_nodes(stage: Stage, specs: Sequence[NodeSpec]) -> AsyncIterator[list[Opened]]:
    """Start a driver on every node, all at once; in the order of `specs`.

    When the block ends well the drivers quit, otherwise they are stopped, all at once as well.
    Raises TransportError, or InputErrors for several, if a node can't be had.
    """
    stacks = {spec.name: AsyncExitStack() for spec in specs}
    opened: dict[str, Opened] = {}

    async def open_one(spec: NodeSpec) -> None:
        stack = stacks[spec.name]
        await stack.enter_async_context(spec.transport)
        context = open_node(
            spec.transport,
            stage.run_id,
            None if await _is_there(stage, spec) else _launch(stage.settings, spec),
            stage.emit,
            stage.logs,
            keep_top_dir=stage.keep_top_dir,
        )
        node = await stack.enter_async_context(context)
        opened[spec.name] = Opened(node, spec)
        if spec.remote and not stage.looks_only:
            await node.ask_ahead()

    try:
        try:
            await _all(open_one, specs)
        except AsyncstackError:
            # A run that can't be taken up now may be later.
            for one in opened.values() if stage.attach else ():
                one.node.leave()
            raise
        yield [opened[spec.name] for spec in specs]
    except BaseException as error:
        failure = error
        with CancelScope(shield=True), suppress(AsyncstackError):
            await _all(lambda stack: _close(stack, failure), list(stacks.values()))
        raise
    await _all(_close, list(stacks.values()))


async def _close(stack: AsyncExitStack, error: BaseException | None = None) -> None:
    """Leave what `stack` holds as if `error` had come out of its block."""
    if error is None:
        await stack.aclose()
    else:
        await stack.__aexit__(type(error), error, error.__traceback__)


async def release_nodes(batches: Sequence[Sequence[NodeSpec]], run_id: str) -> None:
    """Let the drivers of a run end that is over; a node that can't be had keeps what it has."""

    async def release(spec: NodeSpec) -> None:
        with suppress(TransportError):
            async with spec.transport as transport:
                await release_driver(transport, run_id)

    await _all(release, [spec for specs in batches for spec in specs])


async def _is_there(stage: Stage, spec: NodeSpec) -> bool:
    """Tell whether the controller that is gone has started this node's driver."""
    if not stage.attach or spec.name in stage.booted:
        return stage.attach
    return await has_driver(spec.transport, stage.run_id)


def _launch(settings: RunSettings, spec: NodeSpec) -> Launch:
    driver = DriverSettings(
        nonce=new_nonce(),
        errexit=settings.command == "stack",
        trace=settings.trace,
        dest=settings.dest,
        secrets=secret_names(spec.local_conf.localrc or ""),
    )
    return Launch(driver, spec.local_conf.node_files(dest=settings.dest))


async def _all(work: Callable[[T], Awaitable[None]], items: Sequence[T]) -> None:
    """Do it to all of them at once. Every error is told, and none stops the others."""
    errors: list[AsyncstackError] = []

    async def one(item: T) -> None:
        try:
            await work(item)
        except AsyncstackError as error:
            errors.extend(error.errors if isinstance(error, InputErrors) else [error])

    async with anyio.create_task_group() as tasks:
        for item in items:
            tasks.start_soon(one, item)
    _raise(errors)


def _raise(errors: Sequence[AsyncstackError]) -> None:
    """Raise them as one, if there are any."""
    if errors:
        raise errors[0] if len(errors) == 1 else InputErrors(errors)


async def boot_nodes(stage: Stage, opened: Sequence[Opened], *, prepare: bool = False) -> None:
    """Wait for every node's localrc, and check what it registered.

    `prepare`: for a run, which needs $DEST and more; all that a node lacks is told at once, and
    of all nodes. Raises LocalConfError, PluginError, UnfitNodeError or InputErrors for what is wrong there.
    """
    for local_conf in {one.spec.local_conf.path: one.spec.local_conf for one in opened}.values():
        warn(stage.emit, suspicions(local_conf))

    async def boot(one: Opened) -> None:
        for secret in literal_secrets(one.spec.local_conf.localrc or ""):
            stage.redactor.add(secret)
        result = await one.node.boot(one.spec.local_conf.localrc_path, stage.redactor.add)
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
        if prepare:
            errors += await one.node.prepare()
        _raise(errors)

    await _all(boot, opened)


async def fetch_plugins(stage: Stage, opened: Sequence[Opened]) -> Results:
    """Bring all plugins to every node's $DEST."""
    results: Results = {}
    settings = stage.settings.fetch
    remote: list[RemoteNode] = []
    kept: Kept = {}
    enabled = [plugin for one in opened for plugin in one.node.booted.plugins]
    commits = locked_commits(stage.settings, enabled)

    async def fetch_for(one: Opened) -> None:
        booted = one.node.booted
        requests = fetch_requests(booted.plugins, commits)
        options = fetch_options(settings, booted)
        if one.spec.remote:
            kept[one.node.name] = await keep_standing(one.node, requests, options, stage.emit)
            rest = [r for r in requests if r.plugin not in kept[one.node.name]]
            remote.append(RemoteNode(one.spec.transport, tuple(rest), options))
        else:
            results[one.node.name] = await fetch(requests, options, stage.emit)

    await _all(fetch_for, opened)
    bring = clone_on_nodes if settings.source == "node" else deliver_to_nodes
    brought = await bring([node for node in remote if node.requests], stage.emit)
    results.update(with_kept(brought, kept))
    in_order = ("", *(one.node.name for one in opened))
    return {name: results[name] for name in in_order if name in results}


async def check_plugins(opened: Sequence[Opened]) -> None:
    """See that what was fetched are plugins.

    Raises PluginError, or InputErrors for several, for a repository that holds none.
    """
    errors: dict[str, PluginError] = {}

    async def check(one: Opened) -> None:
        for plugin in await one.node.bare_plugins():
            errors[plugin.name] = PluginError(
                plugin.name,
                f"has no devstack/ folder: {plugin.url} {plugin.ref} is no DevStack plugin",
                path=plugin.path,
                line=plugin.line,
                hint="correct its URL or ref, or remove the line",
            )

    await _all(check, opened)
    _raise(list(errors.values()))


async def _copy(
    stage: Stage, key: PhaseKey, opened: Sequence[Opened], everybody: Sequence[Opened]
) -> bool:
    """Copy what the inventory wants copied here; a node that lacks it now has failed."""
    finished = {one.node.name for one in opened if one.node.status is Status.RUNNING}
    transports = {one.node.name: one.spec.transport for one in everybody}
    lacking: set[str] = set()
    for copy in due_copies(stage.copies, key, finished):
        lacking.update(await copy_files(copy, transports, stage.emit))
    for one in everybody:
        one.node.failed = one.node.failed or one.node.name in lacking
    return not lacking


async def _prefetch(stage: Stage, one: Opened) -> None:
    """Bring what the plugins would clone later. One that fails is left to its plugin."""
    settings, booted = stage.settings.fetch, one.node.booted
    found = await one.node.repositories()
    requests = prefetch_requests(
        {r.name: r.url for r in found.repositories},
        {r.name: r.directory for r in found.repositories},
        {r.name: r.ref for r in found.repositories},
        libraries=found.libraries,
        fetched=[FetchRequest(p.name, p.url, p.ref, p.directory) for p in booted.plugins],
    )
    options = fetch_options(settings, booted)
    if one.spec.remote:
        bring = clone_on_nodes if settings.source == "node" else deliver_to_nodes
        await bring([RemoteNode(one.spec.transport, tuple(requests), options)], stage.emit)
    else:
        await fetch(requests, options, stage.emit)


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

    async def on_barrier(key: PhaseKey) -> bool:
        if key.mode is Mode.SOURCE:
            for one in opened:
                node = one.node
                found = dependency_suspicions(node.booted.plugins, node.declarations)
                warn(stage.emit, found, node.name)
                if stage.settings.fetch.prefetch and node.status is Status.RUNNING:
                    await _prefetch(stage, one)
        return await _copy(stage, key, opened, everybody)

    settings = stage.settings.nodes
    await run_phases(
        nodes,
        phases,
        stage.emit,
        strategy=settings.strategy,
        policy=Policy(keep_going=settings.keep_going, max_fail=settings.max_fail),
        on_barrier=on_barrier,
        step_timeout_s=stage.settings.step_timeout_s,
    )
    return worst(node.status for node in nodes)


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
