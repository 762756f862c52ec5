"""`plan`: what a run would do, found out without doing it."""

from __future__ import annotations

from msgspec import Struct

from asyncstack.events import Event, StepOutput, Warned
from asyncstack.journal import Redactor, new_run_id
from asyncstack.localconf import read_local_conf
from asyncstack.model import Plugin, Suspicion
from asyncstack.plan import PlannedPhase, dependency_suspicions, plan_phases
from asyncstack.run.stages import Stage, boot_nodes, open_nodes
from asyncstack.settings import RunSettings

__all__ = ["Plan", "PlannedPlugin", "make_plan"]


class PlannedPlugin(Struct, frozen=True):
    """A plugin and what lies at its directory: `absent`, `present` or `broken`, and its commit."""

    plugin: Plugin
    state: str
    commit: str


class Plan(Struct, frozen=True):
    """What would be fetched and run, in order, and what looks wrong about it."""

    node: str
    dest: str
    plugins: tuple[PlannedPlugin, ...]
    phases: tuple[PlannedPhase, ...]
    suspicions: tuple[Suspicion, ...]


class _Listener:
    """Keeps the warnings of a boot; what localrc prints is nobody's business here."""

    def __init__(self) -> None:
        self.suspicions: list[Suspicion] = []

    def emit(self, event: Event) -> None:
        if isinstance(event, Warned):
            self.suspicions.append(
                Suspicion(event.code, event.message, event.plugin, event.path, event.line)
            )
        assert not isinstance(event, StepOutput) or not event.plugin

    async def flush(self) -> None:
        """Nothing is kept."""


async def make_plan(settings: RunSettings) -> list[Plan]:
    """The plan of each node. localrc is evaluated (only bash knows what it means), no plugin is.

    Raises what `execute` would raise for the same input.
    """
    local_conf = read_local_conf(settings.local_conf)
    phases = plan_phases(
        settings.command,
        settings.selection,
        groups=local_conf.groups(),
        has_local_sh=local_conf.has_local_sh,
    )
    listener = _Listener()
    redactor = Redactor()
    stage = Stage(settings, local_conf, f"plan-{new_run_id()}", redactor, listener.emit, listener)
    plans: list[Plan] = []
    async with open_nodes(stage) as nodes:
        for node, boot in zip(nodes, await boot_nodes(stage, nodes), strict=True):
            seen = await node.inspect()
            states = {name: (state or "broken", c) for name, (state, c) in seen.checkouts.items()}
            plugins = tuple(
                PlannedPlugin(plugin, *states.get(plugin.name, ("absent", "")))
                for plugin in boot.plugins
            )
            found = dependency_suspicions(boot.plugins, seen.declarations)
            plans.append(
                Plan(
                    node.name,
                    boot.dest,
                    plugins,
                    tuple(phases),
                    (*listener.suspicions, *found),
                )
            )
    return plans
