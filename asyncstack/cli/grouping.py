"""Options in groups: a function makes one value of several options, and commands take the value.

Typer reads a command's options off its signature. Here a parameter may stand for many of them:

    def where(inventory: Inventory = None, limit: Limit = "") -> NodeSettings: ...

    @expanded
    def plan(*, nodes: Annotated[NodeSettings, Options(where)], deep: Deep = False) -> None: ...

is a command with --inventory, --limit and --deep. A group may be expanded as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeVar

__all__ = ["Options", "expanded"]

R = TypeVar("R")


class Options(NamedTuple):
    """Marks a parameter: the function that makes its value, whose parameters are the options."""

    group: Callable[..., object]


def expanded(function: Callable[..., R]) -> Callable[..., R]:
    """Give a function the options of its groups, in their order, in place of the groups' values."""
    groups: dict[str, tuple[Callable[..., object], list[str]]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        marks = [m for m in _metadata(parameter.annotation) if isinstance(m, Options)]
        if not marks:
            parameters.append(parameter)
            continue
        group = marks[0].group
        found = list(inspect.signature(group, eval_str=True).parameters.values())
        groups[name] = group, [one.name for one in found]
        parameters += found

    @wraps(function)
    def with_groups(**given: Any) -> R:
        values = {
            name: group(**{option: given.pop(option) for option in options})
            for name, (group, options) in groups.items()
        }
        return function(**values, **given)

    # By keyword only: their order is that of --help, whichever have a default.
    signature = inspect.Signature([p.replace(kind=p.KEYWORD_ONLY) for p in parameters])
    with_groups.__dict__["__signature__"] = signature
    with_groups.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_groups


def _metadata(annotation: object) -> tuple[object, ...]:
    return getattr(annotation, "__metadata__", ())
