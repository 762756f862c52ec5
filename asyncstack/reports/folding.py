"""Many node names in little room: `compute[1-4,7]`."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["fold"]

_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)


def fold(names: Iterable[str]) -> str:
    """The names, those that differ only in their last number written as ranges.

    Names keep the order in which their group first appears; numbers are sorted. Leading zeros
    count: `node01` and `node1` are different nodes.
    """
    groups: dict[tuple[str, str, int], set[int]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match is None:
            groups.setdefault((name, "", -1), set())
            continue
        head, digits, tail = match.groups()
        padding = len(digits) if digits.startswith("0") and digits != "0" else 0
        key = _padded_key(groups, head, tail, digits, padding)
        groups.setdefault(key, set()).add(int(digits))
    return ", ".join(_render(key, numbers) for key, numbers in groups.items())


def _padded_key(
    groups: dict[tuple[str, str, int], set[int]], head: str, tail: str, digits: str, padding: int
) -> tuple[str, str, int]:
    # `08, 09, 10` is one series: 10 has no leading zero, but the width of the others.
    width = len(digits)
    return (head, tail, width) if padding or (head, tail, width) in groups else (head, tail, 0)


def _render(key: tuple[str, str, int], numbers: set[int]) -> str:
    head, tail, width = key
    if not numbers:
        return head
    ranges = [
        f"{first:0{max(width, 0)}d}"
        if first == last
        else f"{first:0{max(width, 0)}d}-{last:0{max(width, 0)}d}"
        for first, last in _ranges(sorted(numbers))
    ]
    if len(numbers) == 1:
        return f"{head}{ranges[0]}{tail}"
    return f"{head}[{','.join(ranges)}]{tail}"


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
