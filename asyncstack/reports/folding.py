"""Many node names in little room: `compute[1-4,7]`, `rack[1-2]-node[01-16]`."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence

__all__ = ["fold", "fold_within"]

_NUMBER = re.compile(r"([0-9]+)")

#: A name in pieces: texts at the even places, the numbers between them as they were written.
_Pieces = tuple[frozenset[str], ...]


def fold(names: Iterable[str]) -> str:
    """The names, those that differ only in numbers written as ranges; all combinations are meant.

    Names keep the order in which their group first appears; numbers are sorted. Leading zeros
    count: `node01` and `node1` are different nodes.
    """
    groups = list(dict.fromkeys(_split(name) for name in names))
    places = max((len(pieces) for pieces in groups), default=0)
    # The last number first: it is the one that most often counts the nodes.
    for place in reversed(range(1, places, 2)):
        groups = _merged(groups, place)
    return ", ".join("".join(map(_render, pieces)) for pieces in groups)


def fold_within(names: Sequence[str], room: int) -> str:
    """The same in about `room` characters, if need be with how many there are besides."""

    def cut(shown: int) -> str:
        return f"{fold(names[:shown])} and {len(names) - shown} more"

    text = fold(names)
    if len(text) <= room:
        return text
    shown = bisect_left(range(1, len(names)), room + 1, key=lambda count: len(cut(count)))
    return cut(shown) if shown else f"{len(names)} nodes"


def _split(name: str) -> _Pieces:
    return tuple(frozenset((piece,)) for piece in _NUMBER.split(name))


def _merged(groups: Sequence[_Pieces], place: int) -> list[_Pieces]:
    """Those that are the same but for the number at `place` in one."""
    padded = {
        (_without(pieces, place), _width(pieces[place]))
        for pieces in groups
        if place < len(pieces) and _width(pieces[place])
    }
    merged: dict[tuple[_Pieces, int], _Pieces] = {}
    for pieces in groups:
        if place >= len(pieces):
            merged[pieces, 0] = pieces
            continue
        rest, (number,) = _without(pieces, place), pieces[place]
        # `08, 09, 10` is one series: 10 has no leading zero, but the width of the others.
        width = len(number) if (rest, len(number)) in padded else 0
        mine = pieces[place] | merged.get((rest, width), pieces)[place]
        merged[rest, width] = (*pieces[:place], mine, *pieces[place + 1 :])
    return list(merged.values())


def _without(pieces: _Pieces, place: int) -> _Pieces:
    # An empty set stands for the number, so that names of other lengths stay apart.
    return (*pieces[:place], frozenset(), *pieces[place + 1 :])


def _width(piece: frozenset[str]) -> int:
    """How long the numbers are written if zeros fill them up; 0 if none do."""
    return next((len(number) for number in piece if number[0] == "0" and len(number) > 1), 0)


def _render(piece: frozenset[str]) -> str:
    if len(piece) == 1:
        (text,) = piece
        return text
    width = _width(piece)
    ranges = _ranges(sorted(map(int, piece)))
    return f"[{','.join(_range(first, last, width) for first, last in ranges)}]"


def _range(first: int, last: int, width: int) -> str:
    return f"{first:0{width}d}" + (f"-{last:0{width}d}" if last > first else "")


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
