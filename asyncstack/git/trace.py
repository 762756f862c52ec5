"""Where the time of a fetch went, from git's own trace2 events, and what a server said in headers.

Both files are written by git next to the repository being made and read after it ended. A git
that is too old to write one, or was killed, leaves less; what is missing is left out.
"""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

__all__ = ["parse_retry_after", "read_retry_after", "read_stages", "trace_environment"]

_RECEIVING = ("Receiving objects", "Unpacking objects")
_RETRY_AFTER = re.compile(r"header: retry-after: *([^\r\n]+)", re.IGNORECASE)


class _Line(Struct):
    event: str = ""
    time: str = ""
    label: str = ""
    key: str = ""


_decoder = msgspec.json.Decoder(_Line)


def trace_environment(directory: Path) -> dict[str, str]:
    """Return the variables that make git write both files into an existing directory."""
    return {
        "GIT_TRACE2_EVENT": str(directory / "trace2"),
        "GIT_TRACE2_EVENT_NESTING": "4",
        "GIT_TRACE_CURL": str(directory / "curl"),
        "GIT_TRACE_CURL_NO_DATA": "1",
        "GIT_TRACE_REDACT": "1",
    }


def read_stages(directory: Path, *, killed: float = 0.0) -> dict[str, float]:
    """Split a fetch into seconds of connect, negotiate, receive and resolve.

    `killed` is when a git had to be ended that had stopped writing (epoch seconds): what it waited
    for in vain took until then.
    """
    marks: dict[str, float] = {}
    for line in _lines(directory / "trace2"):
        moment = _seconds(line.time)
        if moment is not None:
            _mark(marks, line, moment)
    if "start" not in marks:
        return {}
    marks["end"] = max(marks["end"], killed)
    return _split(marks)


def _mark(marks: dict[str, float], line: _Line, moment: float) -> None:
    marks.setdefault("start", moment)
    marks["end"] = moment
    if line.key == "negotiated-version":
        marks.setdefault("connected", moment)
    elif line.label in _RECEIVING and line.event == "region_enter":
        marks.setdefault("receiving", moment)
    elif line.label in _RECEIVING and line.event == "region_leave":
        marks["received"] = moment


#: What each mark ends; `end` ends whatever comes after the last of the others.
_ENDED_BY = {"connected": "connect", "receiving": "negotiate", "received": "receive"}
_AFTER = {
    "start": "connect",
    "connected": "negotiate",
    "receiving": "receive",
    "received": "resolve",
}


def _split(marks: dict[str, float]) -> dict[str, float]:
    known = [mark for mark in (*_AFTER, "end") if mark in marks]
    stages: dict[str, float] = {}
    for before, after in itertools.pairwise(known):
        stage = _ENDED_BY.get(after) or _AFTER[before]
        spent = max(0.0, marks[after] - marks[before])
        stages[stage] = round(stages.get(stage, 0.0) + spent, 6)
    return stages


def _lines(path: Path) -> list[_Line]:
    lines: list[_Line] = []
    for raw in _read(path).splitlines():
        try:
            lines.append(_decoder.decode(raw))
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue  # cut by a kill
    return lines


def _seconds(stamp: str) -> float | None:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return None


def read_retry_after(directory: Path, *, now: datetime | None = None) -> float:
    """Return the seconds that a server's last Retry-After header asks for; 0 if there was none."""
    found = _RETRY_AFTER.findall(_read(directory / "curl"))
    return parse_retry_after(found[-1].strip(), now=now) if found else 0.0


def parse_retry_after(value: str, *, now: datetime | None = None) -> float:
    """Return the seconds that a Retry-After header asks for, as a number or a date; 0 if neither."""
    if value.isdecimal():
        return float(value)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - 5 ms, and hardly ever needed

    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:  # "-0000", or none at all: HTTP knows only one (RFC 9110, 5.6.7)
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
