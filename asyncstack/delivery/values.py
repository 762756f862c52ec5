"""What is to be delivered, and how that ended."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field

from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus, Suspicion

__all__ = ["Delivered", "DeliveryOptions", "Parcel"]


class Parcel(Struct, frozen=True, kw_only=True):
    """One repository wanted at `directory` (absolute, on the node) at `commit`.

    `mirror` is a bare repository here that has it. `pinned`: it was asked for by this commit, not
    by `ref`. For `clone_on_node` the mirror is not used and `commit` may be empty.
    """

    plugin: str
    url: str
    ref: str
    directory: str
    commit: str = ""
    mirror: Path = Path()
    pinned: bool = False


class DeliveryOptions(Struct, frozen=True, kw_only=True):
    """`update` and `error_on_clone` are DevStack's RECLONE and ERROR_ON_CLONE.

    `jobs` caps what a node does at once; 0: as many checkouts as it has processors, or 16 clones.
    """

    update: bool = False
    error_on_clone: bool = False
    jobs: int = 0


class Delivered(Struct, frozen=True, kw_only=True):
    """How one repository ended on one node.

    `commit` is what is checked out there, '' if nothing is. `sent_bytes` crossed the connection.
    `message` says what went wrong, in git's last words where there are any; `hint` the way out.
    """

    node: str
    plugin: str
    url: str
    ref: str
    directory: str
    status: FetchStatus
    commit: str = ""
    message: str = ""
    hint: str = ""
    failure: FailureClass | None = None
    start: float = 0.0
    end: float = 0.0
    sent_bytes: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    warnings: tuple[Suspicion, ...] = ()

    @property
    def duration_s(self) -> float:
        """Wall time from the first byte (or look) to its last word."""
        return max(0.0, self.end - self.start)
