"""From what a node registered to what the fetcher is asked for, and back into the lock file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from asyncstack.errors import UnknownPluginError
from asyncstack.executor import Boot
from asyncstack.fetcher import FetchOptions, FetchRequest, FetchResult, default_cache_directory
from asyncstack.git.urls import parse_url
from asyncstack.lockfile import (
    LOCK_NAME,
    Key,
    Lock,
    LockedPlugin,
    pin,
    read_lock,
    refresh,
    write_lock,
)
from asyncstack.model import Plugin
from asyncstack.settings import FetchSettings, RunSettings

__all__ = ["fetch_options", "fetch_requests", "locked_commits", "save_lock"]

# What DevStack's trueorfalse takes for true.
_TRUE = frozenset({"1", "yes", "Yes", "YES", "true", "True", "TRUE"})

#: timeout(1)'s.
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def locked_commits(settings: RunSettings, plugins: Sequence[Plugin]) -> Mapping[Key, str]:
    """What the lock file says about the plugins of all nodes; nothing unless that is asked for.

    Raises LockFileError if the lock is missing or disagrees with the plugins, and
    UnknownPluginError for a name to update that no plugin has.
    """
    names = {plugin.name for plugin in plugins}
    for name in settings.fetch.only:
        if name not in names:
            raise UnknownPluginError(name, "is not enabled", hint=f"enabled: {_list(names)}")
    if not settings.fetch.locked:
        return {}
    return pin(read_lock(_lock_path(settings)), list(map(_key, plugins)), complete=_all(settings))


def fetch_requests(plugins: Sequence[Plugin], commits: Mapping[Key, str]) -> list[FetchRequest]:
    """One request a plugin, in registration order, pinned if there is a commit for it."""
    return [
        FetchRequest(p.name, p.url, p.ref, p.directory, commits.get(_key(p), "")) for p in plugins
    ]


def _key(plugin: Plugin) -> Key:
    return plugin.name, parse_url(plugin.url).url, plugin.ref


def _lock_path(settings: RunSettings) -> Path:
    """Beside the local.conf that was named, whatever single nodes have of their own."""
    return settings.local_conf.parent / LOCK_NAME


def _all(settings: RunSettings) -> bool:
    """Say whether all nodes of the lab take part, and with them all that it enables."""
    return not settings.nodes.limit


def save_lock(settings: RunSettings, results: Sequence[FetchResult]) -> Path | None:
    """Write the lock file if that was asked for, or refresh the one that an update has outdated.

    Returns where, if it was written. Raises LockFileError if it can't be, or if nodes have a
    plugin at different commits.
    """
    path, fetch = _lock_path(settings), settings.fetch
    if not fetch.write_lock and not (fetch.update and path.exists()):
        return None
    lock = read_lock(path) if path.exists() else Lock(path=str(path))
    fetched = [LockedPlugin(r.plugin, parse_url(r.url).url, r.ref, r.commit) for r in results]
    names = fetch.only if fetch.update and fetch.only else None
    write_lock(path, refresh(lock, fetched, names, complete=_all(settings)))
    return path


def fetch_options(settings: FetchSettings, boot: Boot) -> FetchOptions:
    """The user's options, together with the variables that DevStack's git_clone obeys."""
    variables = boot.variables
    return FetchOptions(
        jobs=settings.jobs,
        jobs_per_host=settings.jobs_per_host,
        offline=variables.get("OFFLINE", "") in _TRUE,
        update=settings.update or settings.locked or variables.get("RECLONE", "") in _TRUE,
        only=settings.only,
        force=settings.force,
        error_on_clone=variables.get("ERROR_ON_CLONE", "") in _TRUE,
        depth=_number(variables.get("GIT_DEPTH", "")),
        filter=settings.filter,
        timeout_s=_seconds(variables.get("GIT_TIMEOUT", "")),
        stall_s=settings.stall_s,
        tries=settings.tries,
        mirrors=settings.mirrors,
        seed=settings.source == "seed",
        cache_directory=default_cache_directory(os.environ),
    )


def _number(text: str) -> int:
    # As bash's arithmetic takes them: what is no number is 0, and 0 is "not asked for".
    return int(text) if text.isdigit() else 0


def _seconds(text: str) -> float:
    # As timeout(1) takes them, to which DevStack hands them.
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([smhd]?)", text)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
