"""How a plan is printed."""
# ruff: noqa: T201

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from asyncstack.reports.folding import fold

if TYPE_CHECKING:
    from asyncstack.model import Suspicion
    from asyncstack.run.planning import Plan, PlannedPlugin

__all__ = ["print_plans", "print_suspicion"]

_WHAT = {
    "absent": "to be cloned",
    "present": "is there",
    "broken": "is there, but no git checkout",
}


def print_plans(plans: Sequence[Plan], *, json: bool) -> None:
    """The plan of each node; as JSON, a list with one object a node."""
    if json:
        print(msgspec.json.format(msgspec.json.encode(list(plans)), indent=2).decode())
        return
    told: set[Suspicion] = set()
    for number, (plan, names) in enumerate(_alike(plans).items()):
        print(end="\n" if number else "")
        _print_plan(plan, fold(names))
        new = [suspicion for suspicion in plan.suspicions if suspicion not in told]
        sys.stdout.flush()
        for suspicion in new:
            print_suspicion(suspicion)
        told.update(new)


def print_suspicion(suspicion: Suspicion) -> None:
    """What looks wrong, on stderr."""
    line = f":{suspicion.line}" if suspicion.line else ""
    place = f"{suspicion.path}{line}: " if suspicion.path else ""
    print(f"warning: {place}{suspicion.message}", file=sys.stderr)


def _alike(plans: Sequence[Plan]) -> dict[Plan, list[str]]:
    """Each plan once, without its node, and the nodes that have it; in order."""
    groups: dict[Plan, list[str]] = {}
    for plan in plans:
        groups.setdefault(msgspec.structs.replace(plan, node=""), []).append(plan.node)
    return groups


def _print_plan(plan: Plan, nodes: str) -> None:
    print(f"node {nodes}, DEST={plan.dest}\n")
    print("fetch, all at once:")
    for planned in plan.plugins:
        print(f"  {_plugin_line(planned)}")
    if not plan.plugins:
        print("  nothing: localrc enables no plugin")
    print("\nrun, in this order:")
    names = [planned.plugin.name for planned in plan.plugins]
    width = max(len(phase.key.name) for phase in plan.phases)
    for phase in plan.phases:
        print(f"  {phase.key.name:{width}}  {', '.join(phase.steps(names)) or '–'}")
    for copy in plan.copies:
        paths = ", ".join(copy.paths)
        become = ", ".join(filter(None, (copy.owner, copy.mode)))
        how = f" ({become})" if become else ""
        print(f"  after {copy.after}: {paths} from {copy.sources[0]}{how}")
    _print_core_calls(plan)


def _plugin_line(planned: PlannedPlugin) -> str:
    plugin = planned.plugin
    state = _WHAT.get(planned.state, planned.state)
    commit = f" at {planned.commit[:10]}" if planned.commit else ""
    return f"{plugin.name}  {plugin.url} {plugin.ref} → {plugin.directory} ({state}{commit})"


def _print_core_calls(plan: Plan) -> None:
    if not plan.core_calls:
        return
    print("\ncalls into core services, which only a DevStack has:")
    for call in plan.core_calls:
        print(f"  {call.plugin}  {call.function} ({call.library})  {call.path}:{call.line}")
