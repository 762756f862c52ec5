"""What is wanted, and how that ended: the same for a checkout here and on a node."""

from __future__ import annotations

from msgspec import Struct, field

from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus, Suspicion

__all__ = ["FetchOptions", "FetchRequest", "FetchResult"]


class FetchRequest(Struct, frozen=True):
    """One repository wanted at `directory` (absolute). `commit` pins it: the ref is only a name then."""

    plugin: str
    url: str
    ref: str
    directory: str
    commit: str = ""


class FetchOptions(Struct, frozen=True, kw_only=True):
    """How to fetch. Times are seconds, 0 means never or without limit.

    `offline`, `update` (RECLONE), `error_on_clone`, `depth` and `timeout_s` (a single git call) are
    DevStack's OFFLINE, RECLONE, ERROR_ON_CLONE, GIT_DEPTH and GIT_TIMEOUT. `only` names the plugins
    that `update` means; none: all. `stall_s` is how long a git may neither move a byte nor use the CPU. `mirrors` are (FROM, TO) prefixes of URLs.
    `force` lets an update go over local work, after saving that. `cache_directory` '' = no cache.
    `mirror_only`: into the cache and no further, for nodes elsewhere; a request's directory then
    lies in the cache, and its result's is the mirror. `seed`: one of several nodes gets it all, and
    the others get it there.
    """

    jobs: int = 16
    jobs_per_host: int = 16
    offline: bool = False
    update: bool = False
    only: tuple[str, ...] = ()
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
    seed: bool = False
    backoff_s: float = 1.0
    node: str = ""

    def updates(self, request: FetchRequest) -> bool:
        """Say whether a checkout that is there may be moved.

        A pinned one is even OFFLINE: its commit may be in the cache, and another one won't do.
        """
        chosen = not self.only or request.plugin in self.only
        return self.update and chosen and (bool(request.commit) or not self.offline)


class FetchResult(Struct, frozen=True):
    """How one repository ended. `commit` is what is checked out, '' if nothing is.

    `message` says what went wrong, in git's own last words where there are any, and `hint` the way
    out. `stages` splits the time between `start` and `end` (epoch seconds): connect, negotiate,
    receive, resolve and checkout for a fetch, where `queue` is what it waited for its turns, before
    and in between; send and checkout for a delivery. `received_bytes` are what crossed the network.
    `node` is empty for this machine.
    """

    plugin: str
    url: str
    ref: str
    directory: str
    status: FetchStatus
    commit: str = ""
    message: str = ""
    hint: str = ""
    failure: FailureClass | None = None
    attempts: int = 0
    start: float = 0.0
    end: float = 0.0
    received_bytes: int = 0
    objects: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    warnings: tuple[Suspicion, ...] = ()
    node: str = ""

    @property
    def duration_s(self) -> float:
        """Wall time since it left the queue."""
        return max(0.0, self.end - self.start)
