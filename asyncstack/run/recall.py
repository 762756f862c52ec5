"""What a journal tells of a run's nodes and plugins, for who hasn't seen them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from asyncstack.events import Event, FetchFinished, NodeBooted, NodeFinished, PluginRegistered
from asyncstack.journal import RecordedNode, RecordedPlugin
from asyncstack.model import Status

__all__ = ["recall_nodes", "recall_plugins"]


def recall_nodes(events: Sequence[Event]) -> tuple[RecordedNode, ...]:
    """The nodes that booted, in that order."""
    ended = {event.node: event.status for event in events if isinstance(event, NodeFinished)}
    return tuple(
        RecordedNode(
            name=event.node,
            dest=event.dest,
            status=ended.get(event.node, Status.RUNNING),
            facts=event.facts,
        )
        for event in events
        if isinstance(event, NodeBooted)
    )


def recall_plugins(events: Sequence[Event]) -> tuple[RecordedPlugin, ...]:
    """The plugins that were registered, each with the commit that was checked out."""
    registered = {e.plugin: e for e in events if isinstance(e, PluginRegistered)}
    commits = {e.plugin: e.commit for e in events if isinstance(e, FetchFinished) and e.commit}
    return tuple(
        RecordedPlugin(name=name, url=e.url, ref=e.ref, commit=commits.get(name, ""))
        for name, e in registered.items()
    )
