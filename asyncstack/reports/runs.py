"""Past runs, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from asyncstack.journal import PastRun, RunRecord
from asyncstack.model import Status
from asyncstack.reports.folding import fold_within
from asyncstack.reports.grid import GAP, Column, Span, lines, shortened, width
from asyncstack.reports.units import duration

__all__ = ["run_lines", "status_of"]

SHORTEST_PATH = 12
NODES_ROOM, SHORTEST_NODES = 40, 8

#: Of which columns a narrow terminal does without; the id tells when a run was started, too.
LEFT_OUT = ("started (UTC)", "plugins", "command", "time")


def run_lines(runs: Sequence[PastRun], room: int) -> list[Text]:
    """A table of the runs, in the order given; one that can't be read says why.

    In a narrow terminal it says less.
    """
    if not runs:
        return []
    columns = _columns(runs, NODES_ROOM)
    left = room - width(columns) - GAP
    if left >= SHORTEST_PATH:
        paths = tuple(_place(run, left) for run in runs)
        return lines([*columns, Column(("local.conf",), paths, right=False)])
    *columns, nodes = columns
    for name in LEFT_OUT:
        left = room - width(columns) - GAP
        if left >= min(nodes.width, SHORTEST_NODES):
            break
        columns = [column for column in columns if column.heading != (name,)]
    return lines([*columns, _node_column(runs, max(room - width(columns) - GAP, SHORTEST_NODES))])


def _columns(runs: Sequence[PastRun], nodes: int) -> list[Column]:
    return [
        Column(("run",), tuple((run.directory.run_id, "bold") for run in runs), right=False),
        Column(("started (UTC)",), tuple((_started(run), "") for run in runs), right=False),
        Column(("command",), tuple((_of(run, "command"), "") for run in runs), right=False),
        Column(("status",), tuple(_status_cell(run) for run in runs), right=False),
        Column(("time",), tuple((_elapsed(run.record), "") for run in runs)),
        Column(("plugins",), tuple((_plugins(run.record), "") for run in runs)),
        _node_column(runs, nodes),
    ]


def _node_column(runs: Sequence[PastRun], room: int) -> Column:
    return Column(("nodes",), tuple((_nodes(run.record, room), "") for run in runs), right=False)


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
        return ("unreadable", "red")
    if status is Status.OK:
        return ("ok", "green")
    return (status.value, "cyan" if status is Status.RUNNING else "bold red")


def _place(run: PastRun, room: int) -> Span:
    """The local.conf, and how many others there are; or why it isn't known."""
    if run.record is None:
        return (shortened(run.problem.splitlines()[0], room), "red")
    first, *others = run.record.local_confs
    more = f" +{len(others)}" if others else ""
    return (_end_of(first, room - len(more)) + more, "dim")


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


def _nodes(record: RunRecord | None, room: int) -> str:
    return fold_within([node.name for node in record.nodes], room) if record else ""
