"""What is the same on several nodes, told once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from asyncstack.events import FetchFinished, StepFinished, Warned
from asyncstack.reports.folding import fold
from asyncstack.reports.steps import key_of
from asyncstack.reports.summary import Summary

__all__ = ["alike_fetches", "alike_steps", "alike_warnings", "on_nodes"]

_E = TypeVar("_E", StepFinished, FetchFinished, Warned)


def alike_steps(summary: Summary, steps: Iterable[StepFinished]) -> list[list[StepFinished]]:
    """Steps that ended the same way at the same place, whichever $DEST that is under."""

    def same(step: StepFinished) -> Hashable:
        place = _common(summary, step.node, step.location)
        message = _common(summary, step.node, step.message)
        how = (step.status, step.exit_code, step.command, place, message)
        return (step.plugin, key_of(step), *how)

    return _grouped(steps, same)


def alike_fetches(summary: Summary, fetches: Iterable[FetchFinished]) -> list[list[FetchFinished]]:
    """Fetches of the same thing that ended the same way."""

    def same(fetch: FetchFinished) -> Hashable:
        message = _common(summary, fetch.node, fetch.message)
        return (fetch.plugin, fetch.url, fetch.ref, fetch.status, message)

    return _grouped(fetches, same)


def alike_warnings(summary: Summary, warnings: Iterable[Warned]) -> list[list[Warned]]:
    """Warnings of the same words."""

    def same(warning: Warned) -> Hashable:
        message = _common(summary, warning.node, warning.message)
        return (warning.code, message, warning.plugin, warning.path, warning.line)

    return _grouped(warnings, same)


def on_nodes(summary: Summary, events: Iterable[StepFinished | FetchFinished | Warned]) -> str:
    """The nodes of these events, folded, in the run's order; empty if there is but one node."""
    if len(summary.nodes) < 2:  # noqa: PLR2004
        return ""
    places = {node: index for index, node in enumerate(summary.nodes)}
    nodes = {event.node for event in events if event.node}
    return fold(sorted(nodes, key=lambda node: places.get(node, len(places))))


def _common(summary: Summary, node: str, text: str) -> str:
    """The text as it would be if all nodes had the same $DEST."""
    dest = summary.dests.get(node, "")
    return text.replace(f"{dest}/", "$DEST/") if dest else text


def _grouped(events: Iterable[_E], same: Callable[[_E], Hashable]) -> list[list[_E]]:
    groups: dict[Hashable, list[_E]] = {}
    for event in events:
        groups.setdefault(same(event), []).append(event)
    return list(groups.values())
