"""The end of a step's output, made safe to show."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["last_lines", "one_line", "printable"]

#: So much of a file is looked at: enough for 20 lines, little enough for one of 200 MB.
TAIL_BYTES = 64 * 1024

#: A longer line is cut: pip's progress bars and base64 are no help here.
LINE_LENGTH = 400

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines of the file that aren't empty; none if it can't be read."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - TAIL_BYTES))
            data = stream.read(TAIL_BYTES)
    except OSError:
        return []
    lines = (printable(line) for line in data.split(b"\n"))
    return [line for line in lines if line.strip()][-count:]


def printable(line: bytes) -> str:
    """A line of output as text that can't move the cursor, change colours or fill the screen.

    Of a line that was overwritten with carriage returns the last state is kept.
    """
    text = line.decode("utf-8", "replace").rstrip("\r")
    text = _ESCAPES.sub("", text).rpartition("\r")[2].expandtabs(8)
    text = _CONTROLS.sub("·", text)
    return text if len(text) <= LINE_LENGTH else f"{text[:LINE_LENGTH]}…"


def one_line(text: str) -> str:
    """`text` (a command, a message) as one line that can't move the cursor."""
    joined = " ".join(line.strip() for line in text.splitlines())
    return _CONTROLS.sub("·", _ESCAPES.sub("", joined))
