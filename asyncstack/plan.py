"""What a run will do, decided before it does anything: the phases, their parts, the warnings.

All pure. The order is stack.sh's own; the plugins of a phase run in registration order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from asyncstack.errors import SettingsError
from asyncstack.graph import find_cycle
from asyncstack.model import (
    PHASES,
    Command,
    Declaration,
    Mode,
    PhaseKey,
    PhaseSelection,
    Plugin,
    Suspicion,
)

__all__ = [
    "PlannedPhase",
    "dependency_suspicions",
    "phase_names",
    "plan_phases",
]


class PlannedPhase(Struct, frozen=True):
    """A phase with its parts in the order that the driver is to do them.

    Parts: `extras`, `plugins`, `packages`, `merge=GROUP`, `local.sh`. `index` is 1-based.
    """

    index: int
    key: PhaseKey
    parts: tuple[str, ...]

    def steps(self, plugins: Sequence[str]) -> list[str]:
        """The steps that it will have on a node with these plugins, by name, in order."""
        names: list[str] = []
        for part in self.parts:
            if part == "plugins":
                names.extend(plugins)
            elif part == "packages":
                names.append("@packages")
            elif part.startswith("merge="):
                names.append(f"@local.conf:{part.removeprefix('merge=')}")
            elif part == "local.sh":
                names.append("@local.sh")
        return names


_LOADS = (PhaseKey(Mode.OVERRIDE_DEFAULTS), PhaseKey(Mode.SOURCE))
_KEYS: dict[Command, tuple[PhaseKey, ...]] = {
    "stack": (*_LOADS, *(PhaseKey(Mode.STACK, phase) for phase in PHASES)),
    "unstack": (*_LOADS, PhaseKey(Mode.UNSTACK)),
    # clean.sh runs unstack.sh first.
    "clean": (*_LOADS, PhaseKey(Mode.UNSTACK), PhaseKey(Mode.CLEAN)),
}
# What stack.sh does around the plugins of a phase: before them, after them.
_AROUND = {
    "post-config": ((), ("merge=post-config",)),
    "extra": (("merge=extra",), ("merge=post-extra", "local.sh")),
    "test-config": ((), ("merge=test-config",)),
}


def phase_names(command: Command) -> list[str]:
    """The names that --phase and its relatives take for a command."""
    return [key.name for key in _KEYS[command]]


def plan_phases(
    command: Command,
    selection: PhaseSelection,
    *,
    groups: Collection[str] = (),
    has_local_sh: bool = False,
) -> list[PlannedPhase]:
    """The phases of a run, in order. `groups` are the meta sections that local.conf has.

    override_defaults and source are always among them: a later phase means nothing without what
    they load. Raises SettingsError for a phase that the command doesn't have.
    """
    keys = _KEYS[command]
    chosen = _chosen(command, selection)
    return [
        PlannedPhase(index, key, _parts(key, groups, has_local_sh=has_local_sh))
        for index, key in enumerate(keys, start=1)
        if key in _LOADS or key.name in chosen
    ]


def _chosen(command: Command, selection: PhaseSelection) -> list[str]:
    names = phase_names(command)
    for option, name in (
        ("--phase", selection.only),
        ("--from-phase", selection.first),
        ("--until-phase", selection.last),
    ):
        if name and name not in names:
            raise SettingsError(
                f"{option} {name}: {command} has no such phase", hint=f"one of: {', '.join(names)}"
            )
    if selection.only and (selection.first or selection.last):
        raise SettingsError(
            "--phase can't go with --from-phase or --until-phase", hint="give one or the other"
        )
    if selection.only:
        return [selection.only]
    start = names.index(selection.first) if selection.first else 0
    end = names.index(selection.last) if selection.last else len(names) - 1
    if end < start:
        raise SettingsError(
            f"--until-phase {selection.last} comes before --from-phase {selection.first}",
            hint=f"the order is: {', '.join(names)}",
        )
    return names[start : end + 1]


def _parts(key: PhaseKey, groups: Collection[str], *, has_local_sh: bool) -> tuple[str, ...]:
    if key.phase == "prerequisites":
        return ("packages",)
    before, after = _AROUND.get(key.phase, ((), ()))
    parts = (*before, "extras", "plugins", *after)
    return tuple(
        part
        for part in parts
        if (not part.startswith("merge=") or part.removeprefix("merge=") in groups)
        and (part != "local.sh" or has_local_sh)
    )


def dependency_suspicions(
    plugins: Sequence[Plugin], declarations: Sequence[Declaration]
) -> list[Suspicion]:
    """What `plugin_requires` lines say against the registration order.

    A plugin that defines no name goes by the one that it was enabled with. Few plugins declare
    anything, so that an empty answer proves nothing.
    """
    position = {plugin.name: n for n, plugin in enumerate(plugins)}
    found: list[Suspicion] = []
    seen: set[tuple[str, str]] = set()
    for declared in declarations:
        pair = (declared.name, declared.requires)
        if not declared.requires or pair in seen or declared.name not in position:
            continue
        seen.add(pair)
        needing = plugins[position[declared.name]]
        if declared.requires not in position:
            found.append(_missing(needing, declared))
        elif position[declared.requires] > position[declared.name]:
            found.append(_misplaced(needing, plugins[position[declared.requires]], declared))
    return found + _cycle(plugins, declarations)


def _missing(needing: Plugin, declared: Declaration) -> Suspicion:
    return Suspicion(
        "requirement-missing",
        f"{needing.name} requires {declared.requires}, which is not enabled "
        f"({declared.path}:{declared.line}); "
        f"add 'enable_plugin {declared.requires} URL' before {_place(needing)}",
        needing.name,
        needing.path,
        needing.line,
    )


def _misplaced(needing: Plugin, needed: Plugin, declared: Declaration) -> Suspicion:
    return Suspicion(
        "requirement-later",
        f"{needing.name} requires {needed.name}, which is enabled after it "
        f"({declared.path}:{declared.line}); "
        f"move {_place(needed)} before {_place(needing)}",
        needing.name,
        needing.path,
        needing.line,
    )


def _cycle(plugins: Sequence[Plugin], declarations: Sequence[Declaration]) -> list[Suspicion]:
    names = {plugin.name for plugin in plugins}
    before: dict[str, list[str]] = {}
    for declared in declarations:
        if declared.requires and {declared.name, declared.requires} <= names:
            before.setdefault(declared.name, []).append(declared.requires)
    cycle = find_cycle(before)
    if not cycle:
        return []
    message = "these require each other: " + " → ".join((*cycle, cycle[0]))
    return [Suspicion("requirement-cycle", message, cycle[0])]


def _place(plugin: Plugin) -> str:
    return f"line {plugin.line}" if plugin.line else f"the line of {plugin.name}"
