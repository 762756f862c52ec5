"""From what a node registered to what the fetcher is asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence

from asyncstack.executor import Boot
from asyncstack.fetcher import FetchOptions, FetchRequest, default_cache_directory
from asyncstack.model import Plugin
from asyncstack.settings import RunSettings

__all__ = ["fetch_options", "fetch_requests"]

# What DevStack's trueorfalse takes for true.
_TRUE = frozenset({"1", "yes", "Yes", "YES", "true", "True", "TRUE"})


def fetch_requests(plugins: Sequence[Plugin]) -> list[FetchRequest]:
    """One request a plugin, in registration order."""
    return [
        FetchRequest(plugin=p.name, url=p.url, ref=p.ref, directory=p.directory) for p in plugins
    ]


def fetch_options(settings: RunSettings, boot: Boot) -> FetchOptions:
    """The user's options, together with the variables that DevStack's git_clone obeys."""
    variables = boot.variables
    return FetchOptions(
        jobs=settings.jobs,
        jobs_per_host=settings.jobs_per_host,
        offline=variables.get("OFFLINE", "") in _TRUE,
        update=settings.update or variables.get("RECLONE", "") in _TRUE,
        error_on_clone=variables.get("ERROR_ON_CLONE", "") in _TRUE,
        depth=_number(variables.get("GIT_DEPTH", "")),
        timeout_s=float(_number(variables.get("GIT_TIMEOUT", ""))),
        cache_directory=default_cache_directory(os.environ),
    )


def _number(text: str) -> int:
    # As bash's arithmetic takes them: what is no number is 0, and 0 is "not asked for".
    return int(text) if text.isdigit() else 0
