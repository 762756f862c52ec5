"""What a live view leaves behind: warnings and failures, the same of several nodes in one line."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import msgspec
from rich.text import Text

from asyncstack.events import (
    ConnectionChanged,
    Event,
    FetchFinished,
    FetchRetried,
    FilesCopied,
    NodeFinished,
    StepFinished,
    Warned,
)
from asyncstack.model import Status
from asyncstack.reports.folding import fold
from asyncstack.reports.wording import describe

__all__ = ["is_lasting", "lasting_lines"]

#: Their words hold the node's name.
_NAMED = (NodeFinished, ConnectionChanged, FilesCopied)


def is_lasting(event: Event) -> bool:
    """True for what a user must not miss."""
    match event:
        case Warned() | FetchRetried() | ConnectionChanged():
            return True
        case FetchFinished():
            return not (event.status.good or event.prefetch)
        case FilesCopied():
            return not event.ok
        case StepFinished():
            return event.status in (Status.FAILED, Status.LOST)
        case NodeFinished():
            return event.status in (Status.LOST, Status.UNREACHABLE)
        case _:
            return False


def lasting_lines(events: Iterable[Event], *, named: bool) -> list[Text]:
    """A line for each thing that happened, in order; `named` says on which nodes."""
    groups: dict[Hashable, list[Event]] = {}
    for event in events:
        groups.setdefault(_alike(event), []).append(event)
    return [_line(group, named=named) for group in groups.values()]


def _alike(event: Event) -> Hashable:
    """The same for what is the same but for where it was and how long it took."""
    if isinstance(event, StepFinished | FetchFinished | FilesCopied):
        event = msgspec.structs.replace(event, duration_s=0.0)
    return type(event), describe(event, "")


def _line(group: Sequence[Event], *, named: bool) -> Text:
    first = group[0]
    mild = isinstance(first, Warned | FetchRetried | ConnectionChanged)
    mark = ("! ", "bold yellow") if mild else ("✗ ", "bold red")
    nodes = fold(filter(None, map(_node, group)))
    front = f"{nodes}: " if named and nodes and not isinstance(first, _NAMED) else ""
    return Text.assemble(mark, front, describe(first, nodes))


def _node(event: Event) -> str:
    if isinstance(event, FilesCopied):
        return event.target
    node = getattr(event, "node", "")
    assert isinstance(node, str)
    return node
