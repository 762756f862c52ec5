"""What is wanted, and how that ended: the same for a checkout here and on a node."""

from __future__ import annotations

from msgspec import Struct, field

from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus, Suspicion

__all__ = ["FetchRequest", "FetchResult"]


class FetchRequest(Struct, frozen=True):
    """One repository wanted at `directory` (absolute). `commit` pins it: the ref is only a name then."""

    plugin: str
    url: str
    ref: str
    directory: str
    commit: str = ""


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
