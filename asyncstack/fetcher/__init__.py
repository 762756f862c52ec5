"""Fetch many repositories at once: never throttled, never stuck, never half done.

`fetch` is the whole interface; `raise_for_failures` is its strict form for callers who want an
exception, and `prefetch_requests` says what plugins would clone later by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

from asyncstack.checkouts.values import FetchOptions, FetchRequest, FetchResult
from asyncstack.errors import FetchError, FetchTimeoutError, GitError, RefNotFoundError
from asyncstack.fetcher.cache import default_cache_directory
from asyncstack.fetcher.prefetch import prefetch_requests
from asyncstack.fetcher.session import fetch
from asyncstack.git.failures import FailureClass

__all__ = [
    "FetchOptions",
    "FetchRequest",
    "FetchResult",
    "default_cache_directory",
    "fetch",
    "prefetch_requests",
    "raise_for_failures",
]

_ERRORS: dict[FailureClass | None, type[FetchError]] = {
    FailureClass.REF_NOT_FOUND: RefNotFoundError,
    FailureClass.TIMEOUT: FetchTimeoutError,
    FailureClass.STALL: FetchTimeoutError,
}


def raise_for_failures(results: Iterable[FetchResult]) -> None:
    """Raise the one FetchError, or one that combines them all; return quietly if all went well."""
    bad = [result for result in results if not result.status.good]
    if not bad:
        return
    errors = [
        _ERRORS.get(result.failure, GitError)(
            result.plugin, result.url, result.message, hint=result.hint
        )
        for result in bad
    ]
    if len(errors) == 1:
        raise errors[0]
    raise FetchError(
        ", ".join(result.plugin for result in bad),
        f"{len(bad)} repositories",
        "could not be fetched\n" + "\n".join(f"{error}" for error in errors),
    )
