"""How a plan is printed."""
# ruff: noqa: T201

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from asyncstack.run.planning import Plan, PlannedPlugin

__all__ = ["print_plans"]

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
    for plan in plans:
        _print_plan(plan)


def _print_plan(plan: Plan) -> None:
    print(f"node {plan.node}, DEST={plan.dest}\n")
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
        print(f"  after {copy.after}: {paths} from {copy.sources[0]}")
    _print_core_calls(plan)
    _print_suspicions(plan)


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


def _print_suspicions(plan: Plan) -> None:
    sys.stdout.flush()
    for suspicion in plan.suspicions:
        place = f"{suspicion.path}:{suspicion.line}: " if suspicion.path else ""
        print(f"warning: {place}{suspicion.message}", file=sys.stderr)
