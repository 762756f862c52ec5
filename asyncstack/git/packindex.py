"""Look into a pack's index for the objects that it holds (gitformat-pack(5), "Version 2")."""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path

__all__ = ["missing_from"]

_MAGIC = b"\xfftOc\x00\x00\x00\x02"
_FANOUT = len(_MAGIC)
_NAMES = _FANOUT + 256 * 4


def missing_from(index: Path, oids: Iterable[str]) -> list[str]:
    """Return those objects that a pack doesn't hold.

    Raises OSError if its index can't be read, ValueError if it isn't of version 2.
    """
    with index.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:_FANOUT] != _MAGIC:
            raise ValueError(f"{index} is no index of version 2")
        return [oid for oid in oids if not _holds(content, bytes.fromhex(oid))]


def _holds(content: mmap.mmap, name: bytes) -> bool:
    def count(byte: int) -> int:
        """Return how many names begin with at most this byte."""
        at = _FANOUT + 4 * byte
        return int.from_bytes(content[at : at + 4], "big")

    def at(number: int) -> bytes:
        start = _NAMES + number * len(name)
        return content[start : start + len(name)]

    first, behind = count(name[0] - 1) if name[0] else 0, count(name[0])
    number = bisect_left(range(behind), name, lo=first, key=at)
    return number < behind and at(number) == name
