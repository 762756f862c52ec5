"""`--fetch-from seed`: one node gets everything from here, the others get it from that node.

For a slow way to a lab that is fast inside. The others have no account on the seed and need none:
a git daemon of its own serves them, read-only, at one address, under a path of 128 random bits,
while the other nodes fetch and no longer. Nothing is encrypted on the way between the nodes; that
nothing was changed on it is what the commit's hash proves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asyncstack.delivery.values import Parcel
from asyncstack.git.refs import RefKind, extra_refspec, kind_of_ref, read_refs

__all__ = ["Seed", "key_of", "refspec_of"]


@dataclass(frozen=True, slots=True)
class Seed:
    """A node that serves others: its name, the URL of its `stock`, and clones at once for each."""

    node: str
    url: str
    stock: Mapping[tuple[Path, str], int]
    jobs: int

    def source(self, parcel: Parcel) -> str:
        """Return the URL that a parcel can be had from; '' if the seed doesn't have it."""
        number = self.stock.get(key_of(parcel))
        return "" if number is None else f"{self.url}/{number}"


def key_of(parcel: Parcel) -> tuple[Path, str]:
    """Return what makes two parcels the same to a seed."""
    return parcel.mirror, parcel.target


def refspec_of(parcel: Parcel, *, as_branch: bool = False) -> str:
    """Return the refspec that brings what is wanted; `as_branch`: also if that is a branch, else ''.

    A seed and a mirror have other refs by the names that checkouts have for them. Raises OSError if
    the mirror can't be read.
    """
    wanted = parcel.commit or parcel.ref
    kind = kind_of_ref(wanted)
    if kind is RefKind.COMMIT:
        return extra_refspec(wanted)
    names = read_refs(parcel.mirror).names
    kept = (
        extra_refspec(wanted).partition(":")[2] or f"refs/tags/{wanted.removeprefix('refs/tags/')}"
    )
    if kept in names:
        return f"+{kept}:{kept}"
    branch = wanted.removeprefix("refs/heads/")
    if not as_branch:
        return ""
    if f"refs/heads/{branch}" in names:
        return f"+refs/heads/{branch}:refs/remotes/origin/{branch}"
    return extra_refspec(parcel.target)
