"""From what a node registered to what the fetcher is asked for, and back into the lock file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from asyncstack.errors import UnknownPluginError
from asyncstack.executor import Boot
from asyncstack.fetcher import FetchOptions, FetchRequest, FetchResult, default_cache_directory
from asyncstack.git.urls import parse_url
from asyncstack.lockfile import (
    LOCK_NAME,
    Lock,
    LockedPlugin,
    pin,
    read_lock,
    refresh,
    write_lock,
)
from asyncstack.model import Plugin
from asyncstack.settings import FetchSettings

__all__ = ["fetch_options", "fetch_requests", "lock_path", "save_lock", "split_update"]

# What DevStack's trueorfalse takes for true.
_TRUE = frozenset({"1", "yes", "Yes", "YES", "true", "True", "TRUE"})


def fetch_requests(
    settings: FetchSettings, plugins: Sequence[Plugin], local_conf: Path
) -> list[FetchRequest]:
    """One request a plugin, in registration order; pinned by the lock file if that is asked for.

    Raises LockFileError if the lock is missing or disagrees with the plugins, and
    UnknownPluginError for a name in `only` that no plugin has.
    """
    names = {plugin.name for plugin in plugins}
    for name in settings.only:
        if name not in names:
            raise UnknownPluginError(name, "is not enabled", hint=f"enabled: {_list(names)}")
    commits: dict[str, str] = {}
    if settings.locked:
        lock = read_lock(lock_path(local_conf))
        commits = pin(lock, [(p.name, parse_url(p.url).url, p.ref) for p in plugins])
    return [
        FetchRequest(p.name, p.url, p.ref, p.directory, commits.get(p.name, "")) for p in plugins
    ]


def lock_path(local_conf: Path) -> Path:
    """Where the lock file of a local.conf lies: beside it."""
    return local_conf.parent / LOCK_NAME


def save_lock(
    settings: FetchSettings, local_conf: Path, results: Sequence[FetchResult]
) -> Path | None:
    """Write the lock file if that was asked for, or refresh the one that an update has outdated.

    Raises LockFileError if it can't be written.
    """
    path = lock_path(local_conf)
    if not settings.write_lock and not (settings.update and path.exists()):
        return None
    lock = read_lock(path) if path.exists() else Lock(path=str(path))
    fetched = [LockedPlugin(r.plugin, parse_url(r.url).url, r.ref, r.commit) for r in results]
    names = settings.only if settings.update and settings.only else None
    write_lock(path, refresh(lock, fetched, names))
    return path


def fetch_options(settings: FetchSettings, boot: Boot) -> FetchOptions:
    """The user's options, together with the variables that DevStack's git_clone obeys."""
    variables = boot.variables
    return FetchOptions(
        jobs=settings.jobs,
        jobs_per_host=settings.jobs_per_host,
        offline=variables.get("OFFLINE", "") in _TRUE,
        update=settings.update or settings.locked or variables.get("RECLONE", "") in _TRUE,
        force=settings.force,
        error_on_clone=variables.get("ERROR_ON_CLONE", "") in _TRUE,
        depth=_number(variables.get("GIT_DEPTH", "")),
        filter=settings.filter,
        timeout_s=float(_number(variables.get("GIT_TIMEOUT", ""))),
        mirrors=settings.mirrors,
        cache_directory=default_cache_directory(os.environ),
    )


def split_update(
    settings: FetchSettings, requests: Sequence[FetchRequest], options: FetchOptions
) -> list[tuple[list[FetchRequest], FetchOptions]]:
    """The requests with the options that hold for them: `only` limits what is updated."""
    if not (settings.update and settings.only):
        return [(list(requests), options)]
    chosen = [r for r in requests if r.plugin in settings.only]
    others = [r for r in requests if r.plugin not in settings.only]
    return [(chosen, options), (others, msgspec.structs.replace(options, update=False))]


def _number(text: str) -> int:
    # As bash's arithmetic takes them: what is no number is 0, and 0 is "not asked for".
    return int(text) if text.isdigit() else 0


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
