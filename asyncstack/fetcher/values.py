"""How to fetch."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["FetchOptions"]


class FetchOptions(Struct, frozen=True, kw_only=True):
    """How to fetch. Times are seconds, 0 means never or without limit.

    `offline`, `update` (RECLONE), `error_on_clone`, `depth` and `timeout_s` (a single git call) are
    DevStack's OFFLINE, RECLONE, ERROR_ON_CLONE, GIT_DEPTH and GIT_TIMEOUT. `stall_s` is how long a
    git may neither move a byte nor use the CPU. `mirrors` are (FROM, TO) prefixes of URLs.
    `force` lets an update go over local work, after saving that. `cache_directory` '' = no cache.
    `mirror_only`: into the cache and no further, for nodes elsewhere; a request's directory then
    lies in the cache, and its result's is the mirror.
    """

    jobs: int = 16
    jobs_per_host: int = 16
    offline: bool = False
    update: bool = False
    force: bool = False
    error_on_clone: bool = False
    depth: int = 0
    filter: str = ""
    timeout_s: float = 0.0
    stall_s: float = 30.0
    tries: int = 3
    mirrors: tuple[tuple[str, str], ...] = ()
    cache_directory: str = ""
    mirror_only: bool = False
    backoff_s: float = 1.0
    node: str = ""
