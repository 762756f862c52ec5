"""Choosing nodes by what a user types, or copies out of a report: `compute[1-4],!compute3`."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

__all__ = ["fits"]

# With a range or a list in it: `[12]` is a shell pattern's.
_FOLDED = re.compile(r"\[((?=[0-9]+[-,])[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*)\]")
_NUMBERS = re.compile(r"([0-9]+)(?:-([0-9]+))?")


def fits(pattern: str, name: str) -> bool:
    """Whether a node's name is meant by a pattern; the empty one means all.

    A pattern is a list, separated by commas, of names, shell patterns and folded names as reports
    print them (`rack[1-2]-n[01-16]`); those that begin with `!` are left out of the others.
    """
    parts = _split(pattern)
    wanted = [part for part in parts if not part.startswith("!")]
    unwanted = [part[1:] for part in parts if part.startswith("!")]
    if any(_means(part, name) for part in unwanted):
        return False
    return not wanted or any(_means(part, name) for part in wanted)


def _split(pattern: str) -> list[str]:
    """At the commas that are in no brackets."""
    return [part.strip() for part in re.split(r",(?![^\[\]]*\])", pattern) if part.strip()]


def _means(part: str, name: str) -> bool:
    if part == name:
        return True
    is_folded = _FOLDED.search(part) and not re.search(r"[*?]", part)
    return _is_among(part, name) if is_folded else fnmatchcase(name, part)


def _is_among(folded: str, name: str) -> bool:
    """Whether a folded name holds this one; a number is among those of its brackets."""
    *texts_and_sets, last = _FOLDED.split(folded)
    texts, sets = texts_and_sets[::2], texts_and_sets[1::2]
    expression = "".join(f"{re.escape(text)}([0-9]+)" for text in texts) + re.escape(last)
    found = re.fullmatch(expression, name)
    return found is not None and all(map(_has, sets, found.groups()))


def _has(numbers: str, number: str) -> bool:
    for first, last in _NUMBERS.findall(numbers):
        width = len(first) if first.startswith("0") else 0
        # Two different numbers may be equal: `1` and `01` are of different names.
        written = f"{int(number):0{width}d}"
        if written == number and int(first) <= int(number) <= int(last or first):
            return True
    return False
