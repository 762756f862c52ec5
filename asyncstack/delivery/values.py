"""What is to be delivered."""

from __future__ import annotations

from pathlib import Path

from asyncstack.checkouts.values import FetchRequest

__all__ = ["Parcel", "target_of"]


class Parcel(FetchRequest, frozen=True, kw_only=True):
    """A repository wanted on a node: a request, and what it came to on the controller.

    `target` is the commit that the ref means, `mirror` a bare repository here that has it.
    """

    target: str = ""
    mirror: Path = Path()


def target_of(request: FetchRequest) -> str:
    """Return the commit that a request is known to mean; '' if only its server can tell."""
    return request.target if isinstance(request, Parcel) else request.commit
