"""One line of text for each kind of event."""

from __future__ import annotations

import msgspec

from asyncstack.events import (
    BarrierOpened,
    ClockCompared,
    ConnectionChanged,
    Event,
    FetchFinished,
    FetchRetried,
    FetchStarted,
    FilesCopied,
    NodeBooted,
    NodeFinished,
    PhaseFinished,
    PhaseStarted,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    Warned,
)
from asyncstack.git.failures import essence
from asyncstack.model import PhaseKey, Status
from asyncstack.reports.folding import fold
from asyncstack.reports.tail import one_line
from asyncstack.reports.units import duration, size

__all__ = ["describe"]


def describe(event: Event, nodes: str | None = None) -> str:
    """The event in a line, without when and on which node; empty for what isn't worth one.

    Where the words hold a node's name, `nodes` stands for it, if it is given.
    """
    if nodes is not None and isinstance(event, ConnectionChanged | NodeFinished):
        event = msgspec.structs.replace(event, node=nodes)
    if nodes is not None and isinstance(event, FilesCopied):
        event = msgspec.structs.replace(event, target=nodes)
    return one_line(_words(event))


def _words(event: Event) -> str:  # noqa: C901, PLR0911, PLR0912 – one line a kind, nothing else
    match event:
        case RunStarted():
            return f"run {event.run_id}: {event.command} on {fold(event.nodes) or 'localhost'}"
        case NodeBooted():
            return f"booted in {duration(event.duration_s)}"
        case ClockCompared():
            off = f"{'-' if event.offset_s < 0 else '+'}{duration(abs(event.offset_s))}"
            return (
                f"the node's clock is {off} off ours, give or take {duration(event.uncertainty_s)}"
            )
        case Warned():
            place = f"{event.path}:{event.line}: " if event.path and event.line else ""
            return f"warning: {place}{event.message}"
        case FetchStarted():
            return f"fetch {event.plugin}: started ({event.url} {event.ref})"
        case FetchRetried():
            return _retried(event)
        case FetchFinished():
            return _fetched(event)
        case PhaseStarted():
            return f"{PhaseKey(event.mode, event.phase).name}: started"
        case PhaseFinished():
            name = PhaseKey(event.mode, event.phase).name
            return f"{name}: {event.status} in {duration(event.duration_s)}"
        case BarrierOpened():
            name = PhaseKey(event.mode, event.phase).name
            waited = f", {duration(event.waited_s)} after the first" if event.waited_s else ""
            return f"{name}: all nodes are through; {event.held_by} came last{waited}"
        case FilesCopied():
            return _copied(event)
        case StepStarted():
            return f"{PhaseKey(event.mode, event.phase).name} {event.plugin}: started"
        case StepFinished():
            return _step(event)
        case ConnectionChanged():
            return _connection(event)
        case NodeFinished():
            return _node(event)
        case RunFinished():
            return f"run {event.status} in {duration(event.duration_s)}"
        case _:
            return ""


def _retried(event: FetchRetried) -> str:
    again = (
        f", again in {duration(event.delay_s)}" if event.delay_s else ""
    )  # another source at once
    words = essence(event.message)
    said = f": {words}" if words else ""
    return f"fetch {event.plugin}: try {event.attempt} failed ({event.reason}){again}{said}"


def _fetched(event: FetchFinished) -> str:
    text = f"fetch {event.plugin}: {event.status}"
    if event.status.good:
        text += f" {event.ref}"
        text += f" at {event.commit[:12]}" if event.commit else ""
    text += f" in {duration(event.duration_s)}"
    text += f", {size(event.received_bytes)}" if event.received_bytes else ""
    words = essence(event.message)
    return f"{text}: {words}" if words not in ("", event.status.value) else text


def _copied(event: FilesCopied) -> str:
    what = f"{', '.join(event.paths)} from {event.source} to {event.target}"
    if not event.ok:
        return f"copying {what} failed: {event.message}"
    return f"copied {what} in {duration(event.duration_s)}, {size(event.sent_bytes)}"


def _step(event: StepFinished) -> str:
    name = PhaseKey(event.mode, event.phase).name
    text = f"{name} {event.plugin}: {event.status}"
    if event.status is Status.SKIPPED:
        return f"{text}: {event.message}" if event.message else text
    text += f" in {duration(event.duration_s)}"
    if event.status.good:
        return text
    text += f", exit code {event.exit_code}" if event.exit_code is not None else ""
    text += f", at {event.location}" if event.location else ""
    reason = event.message or event.command
    return f"{text}: {reason}" if reason else text


def _node(event: NodeFinished) -> str:
    if event.status is Status.OK:
        return ""
    return f"node {event.node} {event.status}" + (f": {event.message}" if event.message else "")


def _connection(event: ConnectionChanged) -> str:
    change = "is back" if event.up else "was lost; its driver goes on"
    return f"connection to {event.node} {change}" + (f": {event.message}" if event.message else "")
