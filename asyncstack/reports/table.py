"""The report as a table: what `asyncstack report` prints, and what a run ends with."""

from __future__ import annotations

from collections import Counter, defaultdict

from rich.console import Console
from rich.text import Text

from asyncstack.events import StepFinished
from asyncstack.model import PhaseKey, Status
from asyncstack.reports.failure import outcome_lines
from asyncstack.reports.fetches import fetch_heading, fetch_table
from asyncstack.reports.folding import fold
from asyncstack.reports.grid import Column, Span, lines
from asyncstack.reports.matrix import matrix
from asyncstack.reports.steps import cpu_is_known, cpu_s, did_run, key_of
from asyncstack.reports.summary import Summary
from asyncstack.reports.units import bar, count, duration, share, unit_aligned

__all__ = ["print_report", "report_lines"]

SLOWEST = 5
SPANS = 8
METER_WIDTH = 10

#: Shorter waits at a barrier are noise.
BARRIER_S = 0.1


def print_report(summary: Summary, console: Console) -> None:
    """Print the whole report, as wide as the console allows."""
    for line in report_lines(summary, console.width):
        console.print(line, soft_wrap=True)


def report_lines(summary: Summary, room: int, *, outcome: bool = True) -> list[Text]:
    """The lines of the report; sections are parted by an empty one, empty ones left out.

    `outcome` False leaves failures and warnings out, for who tells them in full elsewhere.
    """
    sections = [
        _heading(summary),
        _matrix(summary, room) if summary.phases else fetch_table(summary),
        _slowest(summary),
        _spans(summary),
        _barriers(summary),
        outcome_lines(summary) if outcome else [],
    ]
    filled = [section for section in sections if section]
    return [line for section in filled for line in (*section, Text())][:-1]


def _heading(summary: Summary) -> list[Text]:
    ran = [step for step in summary.steps if did_run(step)]
    plugins = [name for name in summary.plugins if not name.startswith("@")]
    facts = [
        f"{count(len(plugins), 'plugin')} on {fold(summary.nodes) or 'no node'}",
        (f"{count(len(ran), 'step')} " if ran else "") + f"in {duration(summary.duration_s)}",
    ]
    first = Text.assemble(
        (summary.run_id, "bold"),
        f"  {summary.command}  ",
        (summary.status.value, _colour(summary.status)),
        "  " + ", ".join(facts),
    )
    return [first, *fetch_heading(summary)]


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


def _slowest(summary: Summary) -> list[Text]:
    steps = summary.slowest(SLOWEST)
    if not steps:
        return []
    several = len(summary.nodes) > 1
    whole = summary.total_s
    columns = [
        Column(("slowest steps",), tuple((s.plugin, "") for s in steps), right=False),
        Column(("",), tuple((key_of(s).name, "") for s in steps), right=False),
        *([Column(("node",), tuple((s.node, "") for s in steps), right=False)] if several else []),
        Column(("time",), tuple((unit_aligned(s.duration_s), "bold") for s in steps)),
        Column(("share",), tuple((share(s.duration_s, whole), "") for s in steps)),
    ]
    if any(cpu_is_known(step.duration_s) for step in steps):
        columns.append(Column(("CPU █░ waiting",), tuple(map(_meter, steps)), right=False))
        columns.append(Column(("",), tuple((_cpu_share(s), "") for s in steps)))
    return lines(columns)


def _cpu_share(step: StepFinished) -> str:
    if not cpu_is_known(step.duration_s):
        return ""
    return share(cpu_s(step), step.duration_s) + " CPU"


def _meter(step: StepFinished) -> Span:
    """CPU as the filled part of the step's wall time, waiting as the rest."""
    if not cpu_is_known(step.duration_s):
        return ("", "")
    busy = bar(cpu_s(step) / step.duration_s, METER_WIDTH)
    return (busy + "░" * (METER_WIDTH - len(busy)), "cyan")


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


def _barriers(summary: Summary) -> list[Text]:
    """Who the other nodes waited for."""
    waits = [b for b in summary.barriers if b.waited_s >= BARRIER_S and b.held_by]
    if not waits:
        return []
    columns = [
        Column(("barrier after",), tuple((key_of(b).name, "") for b in waits), right=False),
        Column(("held by",), tuple((b.held_by, "bold") for b in waits), right=False),
        Column(("the first waited",), tuple((unit_aligned(b.waited_s), "") for b in waits)),
    ]
    return lines(columns)


def _colour(status: Status) -> str:
    if status is Status.OK:
        return "green"
    return "cyan" if status is Status.RUNNING else "bold red"
