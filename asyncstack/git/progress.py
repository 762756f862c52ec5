"""git's progress stream: what it prints on stderr with `--progress`, taken apart as it comes.

Progress lines end in a carriage return, the last of each stage in a newline. Everything else is
kept as git's last words, which is what a person needs to read when it failed.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from dataclasses import dataclass

from asyncstack.git.urls import redact

__all__ = ["Progress", "ProgressParser"]

_STAGES = {
    "Enumerating objects": "negotiate",
    "Counting objects": "negotiate",
    "Compressing objects": "negotiate",
    "Receiving objects": "receive",
    "Unpacking objects": "receive",
    "Indexing objects": "receive",
    "Resolving deltas": "resolve",
    "Checking connectivity": "resolve",
    "Updating files": "checkout",
    "Checking out files": "checkout",
    "Filtering content": "checkout",
}
_TITLES = tuple(f"{title}:".encode() for title in _STAGES)
_LINE = re.compile(
    r"(?:remote: )?(?P<title>[A-Z][A-Za-z ]+?): +(?:(?P<percent>\d+)% \((?P<done>\d+)/(?P<total>\d+)\)"
    r"|(?P<count>\d+))(?:, (?P<size>[\d.]+) (?P<unit>bytes|[KMG]iB))?"
    r"(?: \| (?P<rate>[\d.]+) (?P<rate_unit>bytes|[KMG]iB)/s)?"
)
_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_ENDS = re.compile(rb"[\r\n]")
_KEPT_LINES = 40
_KEPT_LENGTH = 2000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is: `fraction` None if git doesn't know the total; sizes in bytes."""

    stage: str
    fraction: float | None
    objects: int
    total: int
    received_bytes: int
    bytes_per_s: float


class ProgressParser:
    """Feed it stderr as it comes; it returns what moved and keeps the rest."""

    def __init__(self) -> None:
        self._rest = b""
        self._words: deque[str] = deque(maxlen=_KEPT_LINES)
        self.received_bytes = 0
        self.objects = 0

    def feed(self, data: bytes) -> Progress | None:
        """Take a piece of stderr; return the newest progress in it, if there is any."""
        *lines, self._rest = _ENDS.split(self._rest + data)
        self._rest = self._rest[-_KEPT_LENGTH:]
        newest: Progress | None = None
        for line, following in itertools.zip_longest(lines, lines[1:], fillvalue=b""):
            if not _overtaken(line, following):
                newest = self._take(line) or newest
        return newest

    def _take(self, line: bytes) -> Progress | None:
        text = line.decode("utf-8", "replace").replace("\x1b[K", "").rstrip()
        matched = _LINE.match(text)
        stage = _STAGES.get(matched["title"]) if matched else None
        if matched is None or stage is None:
            if text and not _NOISE.match(text):
                self._words.append(redact(text[:_KEPT_LENGTH]))
            return None
        objects = int(matched["done"] or matched["count"] or 0)
        if stage == "receive":
            self.received_bytes = max(self.received_bytes, _size(matched["size"], matched["unit"]))
            self.objects = max(self.objects, objects)
        return Progress(
            stage=stage,
            fraction=int(matched["percent"]) / 100 if matched["percent"] else None,
            objects=objects,
            total=int(matched["total"] or 0),
            received_bytes=self.received_bytes,
            bytes_per_s=float(_size(matched["rate"], matched["rate_unit"])),
        )

    @property
    def words(self) -> str:
        """Git's last words: stderr without progress, credentials redacted, a line each."""
        rest = self._rest.decode("utf-8", "replace").strip()
        partial = [redact(rest)] if rest and not _LINE.match(rest) else []
        return "\n".join([*self._words, *partial])


def _overtaken(line: bytes, following: bytes) -> bool:
    """Say whether a line is progress that the next one repeats: git prints each percent."""
    return line.startswith(_TITLES) and following.startswith(line[: line.index(b":") + 1])


_NOISE = re.compile(r"(?:remote: Total \d+ |Cloning into |Already up to date|remote: *\Z|From )")


def _size(number: str | None, unit: str | None) -> int:
    return int(float(number) * _UNITS[unit]) if number and unit else 0
