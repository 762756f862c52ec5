"""`plan`: what a run would do, found out without doing it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from msgspec import Struct
from msgspec.structs import replace

from asyncstack.errors import AsyncstackError
from asyncstack.events import Event, Warned
from asyncstack.executor import Boot, NodeRun
from asyncstack.fetcher import FetchOptions
from asyncstack.inventory import Copy
from asyncstack.journal import Redactor, new_run_id
from asyncstack.lockfile import Key
from asyncstack.model import Plugin, Suspicion
from asyncstack.plan import PlannedPhase, dependency_suspicions
from asyncstack.run.fetching import fetch_options, fetch_requests, locked_commits
from asyncstack.run.nodes import inventory_wishes, node_batches, plan_run
from asyncstack.run.opening import open_nodes
from asyncstack.run.stage import Opened, Stage, warn
from asyncstack.run.stages import boot_nodes
from asyncstack.runtime.corecalls import CoreCall, core_calls, core_functions
from asyncstack.settings import RunSettings
from asyncstack.transports.base import Ask

__all__ = ["Plan", "PlannedPlugin", "make_plan"]


class PlannedPlugin(Struct, frozen=True):
    """A plugin and what lies at its directory: `absent`, `present` or `broken`, and its commit."""

    plugin: Plugin
    state: str
    commit: str


class Plan(Struct, frozen=True):
    """What would be fetched and run, in order, and what looks wrong about it.

    `core_calls`: where plugins call into core services; of those that are on the node already. `copies`: files that it gets from another one.
    """

    node: str
    dest: str
    plugins: tuple[PlannedPlugin, ...]
    phases: tuple[PlannedPhase, ...]
    suspicions: tuple[Suspicion, ...]
    core_calls: tuple[CoreCall, ...] = ()
    copies: tuple[Copy, ...] = ()


class _Listener:
    """Keeps the warnings of a boot; what localrc prints is nobody's business here."""

    def __init__(self) -> None:
        self.suspicions: list[tuple[str, Suspicion]] = []

    def emit(self, event: Event) -> None:
        if isinstance(event, Warned):
            found = Suspicion(event.code, event.message, event.plugin, event.path, event.line)
            self.suspicions.append((event.node, found))

    pending_bytes = 0

    async def flush(self) -> None:
        """Nothing is kept."""

    @asynccontextmanager
    async def heard_out(self, warn_of: Callable[[Suspicion], None]) -> AsyncIterator[None]:
        """Tell each warning once if the block fails."""
        try:
            yield
        except AsyncstackError:
            for suspicion in dict.fromkeys(found for _, found in self.suspicions):
                warn_of(suspicion)
            raise


async def make_plan(
    settings: RunSettings,
    *,
    deep: bool = False,
    ask: Ask | None = None,
    warn_of: Callable[[Suspicion], None] = lambda _: None,
) -> list[Plan]:
    """The plan of each node; `deep`: with the calls into core services. localrc is evaluated (only bash knows what it means), no plugin is.

    Raises what `execute` would raise for the same input; `warn_of` is told before that what looks
    wrong so far, for there is no plan that could hold it.
    """
    specs = [spec for batch in node_batches(settings, ask) for spec in batch]
    phases = plan_run(settings, [spec.local_conf for spec in specs])
    listener = _Listener()
    all_copies, warnings = inventory_wishes(settings)
    planned = {phase.key.name for phase in phases}
    run_id = f"plan-{new_run_id()}"
    redactor = Redactor()
    stage = Stage(
        settings,
        run_id,
        redactor,
        listener.emit,
        listener,
        listener.flush,
        keep_top_dir=False,
        looks_only=True,
        warnings=warnings,
    )
    plans: list[Plan] = []
    warn(stage.emit, stage.warnings)
    async with listener.heard_out(warn_of), open_nodes(stage, specs) as opened:
        await boot_nodes(stage, opened)
        commits = locked_commits(settings, [p for one in opened for p in one.node.booted.plugins])
        for one in opened:
            node = one.node
            seen = await node.inspect()
            states = {name: (state or "broken", c) for name, (state, c) in seen.checkouts.items()}
            plugins = tuple(
                PlannedPlugin(
                    replace(plugin, url=redactor.text(plugin.url)),
                    *states.get(plugin.name, ("absent", "")),
                )
                for plugin in node.booted.plugins
            )
            mine = tuple(s for n, s in listener.suspicions if n in ("", node.name))
            found = (
                *mine,
                *_not_to_be_cloned(fetch_options(settings.fetch, node.booted), plugins),
                *_shallow(node.booted),
                *await _checkouts(settings, one, plugins, commits),
                *(_unread(plugins) if deep else ()),
                *dependency_suspicions(node.booted.plugins, seen.declarations),
            )
            copies = tuple(c for c in all_copies if node.name in c.targets and c.after in planned)
            calls = await _core_calls(node) if deep else ()
            plans.append(
                Plan(node.name, node.booted.dest, plugins, tuple(phases), found, calls, copies)
            )
    return plans


async def _checkouts(
    settings: RunSettings,
    one: Opened,
    plugins: tuple[PlannedPlugin, ...],
    commits: Mapping[Key, str],
) -> list[Suspicion]:
    """What a fetch would say of the checkouts that are there, or fail for."""
    node, absent = one.node, _absent(plugins)
    there = [plugin for plugin in node.booted.plugins if plugin.name not in absent]
    if not there:
        return []
    from asyncstack.delivery import foresee  # noqa: PLC0415 - a run imports it while its nodes boot
    from asyncstack.run.standing import standing  # noqa: PLC0415 - the same

    options = fetch_options(settings.fetch, node.booted)
    known = await standing(node)
    return await foresee(one.spec.transport, fetch_requests(there, commits), known, options)


async def _core_calls(node: NodeRun) -> tuple[CoreCall, ...]:
    return tuple(core_calls(await node.scripts(), core_functions()))


def _absent(plugins: tuple[PlannedPlugin, ...]) -> list[str]:
    return [planned.plugin.name for planned in plugins if planned.state == "absent"]


def _not_to_be_cloned(options: FetchOptions, plugins: tuple[PlannedPlugin, ...]) -> list[Suspicion]:
    names = _absent(plugins)
    if not names or not (options.error_on_clone or options.offline):
        return []
    if options.error_on_clone:
        message = f"ERROR_ON_CLONE: not there, and not to be cloned: {', '.join(names)}"
        return [Suspicion("error-on-clone", message)]
    message = f"OFFLINE: not there, and to be had only if the cache holds it: {', '.join(names)}"
    return [Suspicion("offline", message)]


def _unread(plugins: tuple[PlannedPlugin, ...]) -> list[Suspicion]:
    names = _absent(plugins)
    if not names:
        return []
    message = (
        f"not there yet, so that no call of theirs is listed: {', '.join(names)}; "
        "asyncstack fetch brings them"
    )
    return [Suspicion("not-fetched", message)]


def _shallow(boot: Boot) -> list[Suspicion]:
    depth = boot.variables.get("GIT_DEPTH", "")
    if not depth.isdigit() or not int(depth):
        return []
    message = (
        f"GIT_DEPTH={depth}: a shallow clone has no tags, from which pbr takes a project's version; "
        "most OpenStack projects use it"
    )
    return [Suspicion("shallow-pbr", message)]
