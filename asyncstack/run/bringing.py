"""Bringing the plugins to every node's $DEST."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from asyncstack.errors import PluginError
from asyncstack.events import Emit, Event, FetchFinished, Warned
from asyncstack.fetcher import FetchOptions, FetchRequest, fetch, prefetch_requests
from asyncstack.git.failures import essence
from asyncstack.model import FetchStatus, Suspicion
from asyncstack.run.fetching import fetch_options, fetch_requests, locked_commits
from asyncstack.run.remote import RemoteNode, Results, clone_on_nodes, deliver_to_nodes
from asyncstack.run.stage import Opened, Stage, at_once, raise_all, warn
from asyncstack.run.standing import Kept, keep_standing, with_kept

__all__ = ["check_plugins", "fetch_plugins", "prefetch"]


async def fetch_plugins(stage: Stage, opened: Sequence[Opened]) -> Results:
    """Bring all plugins to every node's $DEST."""
    results: Results = {}
    settings = stage.settings.fetch
    remote: list[RemoteNode] = []
    kept: Kept = {}
    enabled = [plugin for one in opened for plugin in one.node.booted.plugins]
    commits = locked_commits(stage.settings, enabled)

    async def fetch_for(one: Opened) -> None:
        booted = one.node.booted
        requests = fetch_requests(booted.plugins, commits)
        options = fetch_options(settings, booted)
        sent = one.spec.remote and settings.source != "node"
        warn(stage.emit, _at_odds(options, sent=sent), one.node.name)
        if one.spec.remote:
            kept[one.node.name] = await keep_standing(one.node, requests, options, stage.emit)
            rest = [r for r in requests if r.plugin not in kept[one.node.name]]
            remote.append(RemoteNode(one.spec.transport, tuple(rest), options))
        else:
            results[one.node.name] = await fetch(requests, options, stage.emit)

    await at_once(fetch_for, opened)
    bring = clone_on_nodes if settings.source == "node" else deliver_to_nodes
    brought = await bring([node for node in remote if node.requests], stage.emit)
    results.update(with_kept(brought, kept))
    in_order = ("", *(one.node.name for one in opened))
    return {name: results[name] for name in in_order if name in results}


def _at_odds(options: FetchOptions, *, sent: bool) -> list[Suspicion]:
    """What was asked for and is not done, because of something else; `sent`: from one to others."""
    why = ""
    if options.depth:
        why = f"GIT_DEPTH={options.depth} in localrc makes the clones shallow; unset it for partial ones"
    elif sent:
        why = "what is fetched once for all nodes is whole; --fetch-from node makes partial clones"
    if not (options.filter and why):
        return []
    return [Suspicion("filter-ignored", f"--filter {options.filter} is not used: {why}")]


async def check_plugins(opened: Sequence[Opened]) -> None:
    """See that what was fetched are plugins.

    Raises PluginError, or InputErrors for several, for a repository that holds none.
    """
    errors: dict[str, PluginError] = {}

    async def check(one: Opened) -> None:
        for plugin in await one.node.bare_plugins():
            errors[plugin.name] = PluginError(
                plugin.name,
                f"has no devstack/ folder: {plugin.url} {plugin.ref} is no DevStack plugin",
                path=plugin.path,
                line=plugin.line,
                hint="correct its URL or ref, or remove the line",
            )

    await at_once(check, opened)
    raise_all(list(errors.values()))


async def prefetch(stage: Stage, one: Opened) -> None:
    """Bring what the plugins would clone later. One that fails is left to its plugin."""
    settings, booted = stage.settings.fetch, one.node.booted
    found = await one.node.repositories()
    requests = prefetch_requests(
        {r.name: r.url for r in found.repositories},
        {r.name: r.directory for r in found.repositories},
        {r.name: r.ref for r in found.repositories},
        libraries=found.libraries,
        fetched=[FetchRequest(p.name, p.url, p.ref, p.directory) for p in booted.plugins],
    )
    options = fetch_options(settings, booted)
    emit = partial(_tell_of_prefetch, stage.emit)
    if one.spec.remote:
        bring = clone_on_nodes if settings.source == "node" else deliver_to_nodes
        await bring([RemoteNode(one.spec.transport, tuple(requests), options)], emit)
    else:
        await fetch(requests, options, emit)


def _tell_of_prefetch(emit: Emit, event: Event) -> None:
    """Pass an event on; a failure with a warning, and without a way out for an enable_plugin line."""
    if not isinstance(event, FetchFinished):
        emit(event)
        return
    emit(replace(event, prefetch=True, hint=""))
    if event.status is FetchStatus.FAILED:
        message = (
            f"{event.plugin} can't be prefetched from {event.url}, so that the plugin that needs it "
            f"will try the clone itself: {essence(event.message)}"
        )
        emit(Warned(code="not-prefetched", message=message, plugin=event.plugin, node=event.node))
