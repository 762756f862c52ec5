"""The story of a run: boot, fetch, phases. Each stage is a function of what came before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from msgspec import Struct

from asyncstack.errors import AsyncstackError
from asyncstack.events import Emit, PluginRegistered, Warned
from asyncstack.executor import Boot, NodeRun, NodeTracker, open_node, run_phases
from asyncstack.executor.node import Logs
from asyncstack.fetcher import FetchResult, fetch
from asyncstack.journal import Redactor, RunDirectory
from asyncstack.localconf import LocalConf, secret_names, suspicions
from asyncstack.model import Mode, Node, PhaseKey, Status, Suspicion
from asyncstack.plan import PlannedPhase, dependency_suspicions
from asyncstack.registry import validate
from asyncstack.run.fetching import fetch_options, fetch_requests
from asyncstack.runtime.payload import DriverSettings
from asyncstack.runtime.session import new_nonce
from asyncstack.settings import RunSettings
from asyncstack.transports.base import Transport
from asyncstack.transports.local import LocalTransport

__all__ = ["InvalidPluginsError", "Stage", "boot_nodes", "fetch_plugins", "open_nodes", "run_all"]

LOCAL_NODE = "localhost"


class Stage(Struct, frozen=True):
    """What every stage is given."""

    settings: RunSettings
    local_conf: LocalConf
    run_id: str
    redactor: Redactor
    emit: Emit
    logs: Logs


class InvalidPluginsError(AsyncstackError):
    """Several `enable_plugin` lines can't be used; `errors` are the single ones."""

    exit_code = 2

    def __init__(self, errors: Sequence[AsyncstackError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)


def transports(_settings: RunSettings) -> list[Transport]:
    """The nodes of this run and how they are reached."""
    return [LocalTransport(Node(LOCAL_NODE))]


@asynccontextmanager
async def open_nodes(stage: Stage) -> AsyncIterator[list[NodeRun]]:
    """Start a driver on every node; how the block ends decides how they do (see open_node)."""
    settings, local_conf = stage.settings, stage.local_conf
    assert local_conf.localrc is not None
    driver = DriverSettings(
        nonce=new_nonce(),
        errexit=settings.command == "stack",
        trace=settings.trace,
        dest=settings.dest,
        secrets=secret_names(local_conf.localrc),
    )
    files = local_conf.node_files(dest=settings.dest)
    async with AsyncExitStack() as stack:
        nodes: list[NodeRun] = []
        for transport in transports(settings):
            await stack.enter_async_context(transport)
            context = open_node(transport, stage.run_id, driver, files, stage.emit, stage.logs)
            nodes.append(await stack.enter_async_context(context))
        yield nodes


async def boot_nodes(stage: Stage, nodes: Sequence[NodeRun]) -> list[Boot]:
    """Wait for every node's localrc, and check what it registered.

    Raises LocalConfError, PluginError or InvalidPluginsError for what is wrong there.
    """
    warn(stage.emit, suspicions(stage.local_conf))
    boots = []
    for node in nodes:
        boot = await node.boot(stage.local_conf.localrc_path, stage.redactor.add)
        warn(stage.emit, boot.warnings, node.name)
        errors = validate(boot.plugins)
        if errors:
            raise errors[0] if len(errors) == 1 else InvalidPluginsError(errors)
        for plugin in boot.plugins:
            stage.emit(
                PluginRegistered(
                    node=node.name,
                    plugin=plugin.name,
                    url=plugin.url,
                    ref=plugin.ref,
                    directory=plugin.directory,
                    path=plugin.path,
                    line=plugin.line,
                )
            )
        boots.append(boot)
    return boots


async def fetch_plugins(
    stage: Stage, nodes: Sequence[NodeRun], boots: Sequence[Boot]
) -> list[FetchResult]:
    """Bring all plugins to $DEST. Raises ConfigError if that can't be made."""
    results: list[FetchResult] = []
    for node, boot in zip(nodes, boots, strict=True):
        await node.prepare()
        options = fetch_options(stage.settings, boot)
        results += await fetch(fetch_requests(boot.plugins), options, stage.emit)
    return results


async def run_all(
    stage: Stage,
    directory: RunDirectory,
    nodes: Sequence[NodeRun],
    phases: Sequence[PlannedPhase],
    results: Sequence[FetchResult],
) -> Status:
    """Run the phases; the status is the worst of the nodes'."""
    commits = {result.plugin: result.commit for result in results}
    plugins = {}
    for node in nodes:
        assert node.boot_result is not None
        plugins[node.name] = node.boot_result.plugins

        def log_path(phase: PlannedPhase, step: str, name: str = node.name) -> str:
            return directory.log(name, phase.index, phase.key, step)

        node.begin(NodeTracker(node.name, plugins[node.name], commits, log_path))

    def on_barrier(key: PhaseKey) -> None:
        if key.mode is Mode.SOURCE:
            for node in nodes:
                found = dependency_suspicions(plugins[node.name], node.declarations)
                warn(stage.emit, found, node.name)

    await run_phases(
        nodes,
        phases,
        stage.emit,
        on_barrier=on_barrier,
        step_timeout_s=stage.settings.step_timeout_s,
    )
    return worst(node.status for node in nodes)


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
