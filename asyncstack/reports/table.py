"""The report as a table: what `asyncstack report` prints, and what a run ends with."""

from __future__ import annotations

from collections import Counter, defaultdict

from rich.console import Console
from rich.text import Text

from asyncstack.model import PhaseKey, Status
from asyncstack.reports.barriers import barrier_table
from asyncstack.reports.copies import copy_table
from asyncstack.reports.failure import outcome_lines
from asyncstack.reports.fetches import fetch_heading, fetch_table
from asyncstack.reports.folding import fold_within
from asyncstack.reports.grid import Column, lines
from asyncstack.reports.matrix import matrix
from asyncstack.reports.slowest import slowest_table
from asyncstack.reports.steps import did_run
from asyncstack.reports.summary import Summary
from asyncstack.reports.units import count, duration, unit_aligned

__all__ = ["print_report", "report_lines"]

SPANS = 8
NODES_ROOM = 80


def print_report(summary: Summary, console: Console) -> None:
    """Print the whole report, as wide as the console allows."""
    for line in report_lines(summary, console.width):
        console.print(line, soft_wrap=True)


def report_lines(summary: Summary, room: int, *, outcome: bool = True) -> list[Text]:
    """The lines of the report; sections are parted by an empty one, empty ones left out.

    `outcome` False leaves failures and warnings out, for who tells them in full elsewhere.
    """
    sections = [
        _heading(summary, room),
        _matrix(summary, room) if summary.phases else fetch_table(summary, room),
        slowest_table(summary, room),
        barrier_table(summary, room),
        copy_table(summary),
        _spans(summary),
        outcome_lines(summary) if outcome else [],
    ]
    filled = [section for section in sections if section]
    return [line for section in filled for line in (*section, Text())][:-1]


def _heading(summary: Summary, room: int) -> list[Text]:
    ran = [step for step in summary.steps if did_run(step)]
    plugins = [name for name in summary.plugins if not name.startswith("@")]
    so_far = " so far" if summary.status is Status.RUNNING else ""
    facts = [
        f"{count(len(plugins), 'plugin')} on {fold_within(summary.nodes, NODES_ROOM) or 'no node'}",
        (f"{count(len(ran), 'step')} " if ran else "")
        + f"in {duration(summary.duration_s)}{so_far}",
    ]
    first = Text.assemble(
        (summary.run_id, "bold"),
        f"  {summary.command}  ",
        (summary.status.value, _colour(summary.status)),
        "  " + ", ".join(facts),
    )
    return [first, *fetch_heading(summary, room)]


def _matrix(summary: Summary, room: int) -> list[Text]:
    table = matrix(summary, room)
    if len(summary.nodes) > 1:
        table.append(Text("each figure is that of the slowest node", "dim"))
    missed = [phase.name for phase in summary.phases if _was_missed(summary, phase)]
    if missed:
        table.append(Text(f"not reached: {', '.join(missed)}", "yellow"))
    return table


def _was_missed(summary: Summary, phase: PhaseKey) -> bool:
    """True if a phase had work to do and nobody came to it."""
    cells = [cell for (_, key), cell in summary.cells.items() if key == phase]
    steps = [step for cell in cells for step in cell.steps]
    aborted = any(step.status in (Status.ABORTED, Status.CANCELLED) for step in steps)
    return aborted and not any(did_run(step) for step in steps)


def _spans(summary: Summary) -> list[Text]:
    """DevStack's own `time_start`/`time_stop` pairs, by name."""
    seconds: dict[str, float] = defaultdict(float)
    calls: Counter[str] = Counter()
    for span in summary.spans:
        seconds[span.name] += span.duration_s
        calls[span.name] += 1
    names = sorted(seconds, key=lambda name: -seconds[name])[:SPANS]
    if not names:
        return []
    columns = [
        Column(("inside the steps",), tuple((name, "") for name in names), right=False),
        Column(("time",), tuple((unit_aligned(seconds[name]), "bold") for name in names)),
        Column(("calls",), tuple((str(calls[name]), "") for name in names)),
    ]
    return lines(columns)


def _colour(status: Status) -> str:
    if status is Status.OK:
        return "green"
    return "cyan" if status is Status.RUNNING else "bold red"
