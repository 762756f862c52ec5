"""Files that went from node to node between phases: how long the others waited, and what failed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from rich.text import Text

from asyncstack.events import FilesCopied
from asyncstack.reports.folding import fold
from asyncstack.reports.grid import Column, lines, shortened
from asyncstack.reports.summary import Summary
from asyncstack.reports.tail import one_line
from asyncstack.reports.units import size, unit_aligned

__all__ = ["copy_failure_lines", "copy_table"]

PATHS_ROOM = 40


def copy_table(summary: Summary) -> list[Text]:
    """A line for each set of files, with all the nodes that got it; the time is the slowest's."""
    groups = _groups([copy for copy in summary.copies if copy.ok])
    if not groups:
        return []
    firsts = [group[0] for group in groups]
    texts = [
        ("files copied", [shortened(", ".join(copy.paths), PATHS_ROOM) for copy in firsts]),
        ("after", [copy.after for copy in firsts]),
        ("from", [copy.source for copy in firsts]),
        ("to", [fold(copy.target for copy in group) for group in groups]),
    ]
    figures = [
        ("size", [size(copy.sent_bytes) for copy in firsts]),
        ("time", [unit_aligned(max(copy.duration_s for copy in group)) for group in groups]),
    ]
    return lines(
        [
            Column((name,), tuple((cell, "") for cell in cells), right=aligned)
            for columns, aligned in ((texts, False), (figures, True))
            for name, cells in columns
        ]
    )


def copy_failure_lines(summary: Summary) -> list[Text]:
    """What didn't come to which nodes, and why: those can't go on without it."""
    made = []
    for group in _groups([copy for copy in summary.copies if not copy.ok]):
        copy = group[0]
        title = Text.assemble(
            ("✗ ", "bold red"),
            (", ".join(copy.paths), "bold"),
            f" not copied from {copy.source} to {fold(one.target for one in group)}",
            f" after {copy.after}",
        )
        words = [one_line(line) for line in copy.message.splitlines()]
        made += [title, *(Text.assemble(("  │ ", "red"), line) for line in words)]
    return made


def _groups(copies: Sequence[FilesCopied]) -> list[list[FilesCopied]]:
    groups: dict[Hashable, list[FilesCopied]] = {}
    for copy in copies:
        same = (copy.after, copy.source, copy.paths, copy.message)
        groups.setdefault(same, []).append(copy)
    return list(groups.values())
