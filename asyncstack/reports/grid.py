"""Columns of text that line up, as rich Text.

rich's own Table measures every cell anew and takes seconds for the journal of a big lab; what we
print is numbers and names, whose widths are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

__all__ = ["GAP", "Column", "Span", "lines", "shortened", "width"]

#: Between two columns.
GAP = 2

#: A piece of text and its style.
Span = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Column:
    """A heading (its lines, the last one nearest to the cells) and a cell for each row.

    `least` is its width at least, where cells change while somebody looks.
    """

    heading: tuple[str, ...]
    cells: tuple[Span, ...]
    right: bool = True
    least: int = 0

    @property
    def width(self) -> int:
        """Its widest line, in terminal cells."""
        texts = (*self.heading, *(text for text, _ in self.cells))
        return max((self.least, *(cell_len(text) for text in texts)))


def width(columns: Sequence[Column]) -> int:
    """The width of the columns side by side."""
    return sum(column.width for column in columns) + GAP * max(0, len(columns) - 1)


def lines(columns: Sequence[Column], *, rule_before: int | None = None) -> list[Text]:
    """The headings and the rows; a rule stands before the row of index `rule_before`."""
    widths = [column.width for column in columns]
    height = max(len(column.heading) for column in columns)
    made = [
        _line([(_heading_cell(column, height, row), column.right) for column in columns], widths)
        for row in range(height)
    ]
    for row in range(len(columns[0].cells)):
        if row == rule_before:
            made.append(Text("─" * width(columns), "dim"))
        made.append(_line([(column.cells[row], column.right) for column in columns], widths))
    return made


def _heading_cell(column: Column, height: int, row: int) -> Span:
    row -= height - len(column.heading)
    return (column.heading[row] if row >= 0 else "", "dim")


def _line(cells: list[tuple[Span, bool]], widths: list[int]) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis", end="\n")
    for index, (((text, style), right), wide) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (wide - cell_len(text))
        line.append(" " * GAP if index else "")
        line.append(space + text if right else text + space, style or None)
    line.rstrip()
    return line


def shortened(text: str, room: int) -> str:
    """`text`, cut in the middle if it is longer than `room`: both ends of a name tell it apart."""
    if len(text) <= room:
        return text
    if room < 2:  # noqa: PLR2004
        return "…"[:room]
    head = room // 2
    return f"{text[:head]}…{text[len(text) - (room - head - 1) :]}"
