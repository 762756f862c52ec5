"""Past runs, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from asyncstack.journal import PastRun, RunRecord
from asyncstack.model import Status
from asyncstack.reports.folding import fold_within
from asyncstack.reports.grid import GAP, Column, Span, lines, width
from asyncstack.reports.units import duration

__all__ = ["run_lines", "status_of"]

SHORTEST_PATH = 12
NODES_ROOM = 40


def run_lines(runs: Sequence[PastRun], room: int) -> list[Text]:
    """A table of the runs, in the order given; one that can't be read says why."""
    if not runs:
        return []
    columns = [
        Column(("run",), tuple((run.directory.run_id, "bold") for run in runs), right=False),
        Column(("started (UTC)",), tuple((_started(run), "") for run in runs), right=False),
        Column(("command",), tuple((_of(run, "command"), "") for run in runs), right=False),
        Column(("status",), tuple(_status_cell(run) for run in runs), right=False),
        Column(("time",), tuple((_elapsed(run.record), "") for run in runs)),
        Column(("plugins",), tuple((_plugins(run.record), "") for run in runs)),
        Column(("nodes",), tuple((_nodes(run.record), "") for run in runs), right=False),
    ]
    left = max(SHORTEST_PATH, room - width(columns) - GAP)
    paths = tuple((_end_of(_of(run, "local_conf"), left), "dim") for run in runs)
    return lines([*columns, Column(("local.conf",), paths, right=False)])


def status_of(run: PastRun) -> Status | None:
    """How the run ended; `lost` if it never did and nobody works on it; None if it is broken."""
    if run.record is None:
        return None
    if run.record.status.final or run.directory.in_progress():
        return run.record.status
    return Status.LOST


def _status_cell(run: PastRun) -> Span:
    status = status_of(run)
    if status is None:
        return (f"unreadable: {run.problem.splitlines()[0]}", "red")
    if status is Status.OK:
        return ("ok", "green")
    return (status.value, "cyan" if status is Status.RUNNING else "bold red")


def _of(run: PastRun, name: str) -> str:
    return getattr(run.record, name, "")


def _end_of(path: str, room: int) -> str:
    return path if len(path) <= room else f"…{path[1 - room :]}"


def _started(run: PastRun) -> str:
    return f"{run.record.started:%Y-%m-%d %H:%M:%S}" if run.record else ""


def _elapsed(record: RunRecord | None) -> str:
    if record is None or record.finished is None:
        return ""
    return duration(max(0.0, (record.finished - record.started).total_seconds()))


def _plugins(record: RunRecord | None) -> str:
    return str(len(record.plugins)) if record else ""


def _nodes(record: RunRecord | None) -> str:
    return fold_within([node.name for node in record.nodes], NODES_ROOM) if record else ""
