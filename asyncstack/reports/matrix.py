"""The heart of the report: plugins against phases, in seconds and shares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.text import Text

from asyncstack.model import PhaseKey, Status
from asyncstack.reports.grid import Column, Span, lines, shortened, width
from asyncstack.reports.steps import cpu_is_known, cpu_s, did_run, key_of
from asyncstack.reports.summary import Cell, Summary
from asyncstack.reports.units import bar, share, unit_aligned

__all__ = ["ABSENT", "MARKS", "heading_of", "matrix"]

#: In front of what didn't end well: a status is never told by its colour alone.
MARKS = {
    Status.FAILED: ("✗ ", "bold red"),
    Status.LOST: ("? ", "bold red"),
    Status.UNREACHABLE: ("? ", "bold red"),
    Status.ABORTED: ("– ", "yellow"),
    Status.CANCELLED: ("– ", "yellow"),
    Status.RUNNING: ("▶ ", "cyan"),
}

#: Nothing was there to run; three blanks put it under the digits of the other rows.
ABSENT: Span = ("·   ", "dim")

BAR_WIDTH = 12
SHORTEST_NAME = 14


@dataclass(frozen=True, slots=True)
class _Group:
    """A column: one phase, or several small ones that share a column for want of room."""

    heading: tuple[str, ...]
    phases: tuple[PhaseKey, ...]


def matrix(summary: Summary, room: int) -> list[Text]:
    """The table, at most `room` wide if that can be had.

    What doesn't fit goes in this order: the bars, the smallest phases (into one column), the
    middle of long names and the fetch column, and at last all phases but the biggest.
    """
    columns: list[Column] = []
    for columns in _attempts(summary):
        if width(columns) <= room:
            break
    return lines(columns, rule_before=len(summary.plugins))


def _attempts(summary: Summary) -> Iterator[list[Column]]:
    """Columns that say less and less."""
    phases = _filled(summary)
    yield _columns(summary, _grouped(summary, phases, 0), bars=True)
    for merged in _merges(0, len(phases) - 1):
        yield _columns(summary, _grouped(summary, phases, merged))
    for merged in _merges(0, len(phases)):
        groups = _grouped(summary, phases, merged)
        yield _columns(summary, groups, fetch=False, name_room=SHORTEST_NAME)
    yield _columns(summary, [], fetch=False, name_room=SHORTEST_NAME)


def _merges(first: int, last: int) -> list[int]:
    return [count for count in range(first, last) if count != 1]


def _filled(summary: Summary) -> list[PhaseKey]:
    """The phases in which anything ran."""
    useful = {key_of(step) for step in summary.steps if did_run(step)}
    return [phase for phase in summary.phases if phase in useful]


def heading_of(phase: str) -> tuple[str, ...]:
    """A phase's name in two short lines, if it can be parted."""
    name = {"prerequisites": "prerequi-sites"}.get(phase, phase)
    for mark in ("-", "_"):
        head, found, tail = name.partition(mark)
        if found:
            return (head + found, tail)
    return (name,)


def _grouped(summary: Summary, phases: list[PhaseKey], merged: int) -> list[_Group]:
    """A column a phase, the `merged` smallest of them in one, where the first of them stood."""
    small = set(sorted(phases, key=summary.phase_s.__getitem__)[:merged])
    groups: dict[tuple[str, ...], list[PhaseKey]] = {}
    for phase in phases:
        heading = (f"{merged} other", "phases") if phase in small else heading_of(phase.name)
        groups.setdefault(heading, []).append(phase)
    return [_Group(heading, tuple(members)) for heading, members in groups.items()]


def _seconds(summary: Summary, group: _Group) -> float:
    return sum(summary.phase_s[phase] for phase in group.phases)


def _columns(
    summary: Summary,
    groups: list[_Group],
    *,
    bars: bool = False,
    fetch: bool = True,
    name_room: int = 40,
) -> list[Column]:
    columns = [_name_column(summary, name_room)]
    if fetch and summary.fetches:
        columns.append(_fetch_column(summary))
    columns += [_phase_column(summary, group) for group in groups]
    columns += [_total_column(summary), _share_column(summary), _cpu_column(summary)]
    if bars:
        columns.append(_bar_column(summary))
    return columns


def _name_column(summary: Summary, room: int) -> Column:
    names = tuple((shortened(plugin, room), "") for plugin in summary.plugins)
    return Column(("plugin",), (*names, ("total", "bold"), ("share", "dim")), right=False)


def _fetch_column(summary: Summary) -> Column:
    failed = {fetch.plugin for fetch in summary.fetches if not fetch.status.good}
    cells = [
        _timed(seconds, Status.FAILED if plugin in failed else Status.OK, "")
        if (seconds := summary.fetch_s.get(plugin)) is not None
        else ABSENT
        for plugin in summary.plugins
    ]
    # Fetches run at the same time: their sum would be nobody's waiting time.
    return Column(("fetch",), (*cells, ("", ""), ("", "")))


def _phase_column(summary: Summary, group: _Group) -> Column:
    whole = summary.total_s
    cells = [_cell(_members(summary, plugin, group), whole) for plugin in summary.plugins]
    total = _seconds(summary, group)
    return Column(
        group.heading,
        (*cells, (unit_aligned(total), "bold"), (share(total, summary.total_s), "dim")),
    )


def _members(summary: Summary, plugin: str, group: _Group) -> list[Cell]:
    cells = (summary.cells.get((plugin, phase)) for phase in group.phases)
    return [cell for cell in cells if cell and cell.status is not Status.SKIPPED]


def _cell(cells: list[Cell], whole: float) -> Span:
    if not cells:
        return ABSENT
    seconds = sum(cell.seconds for cell in cells)
    bad = next((cell.status for cell in cells if cell.status in MARKS), Status.OK)
    return _timed(seconds, bad, _weight(seconds, whole))


def _timed(seconds: float, status: Status, style: str) -> Span:
    mark, colour = MARKS.get(status, ("", style))
    if mark and not seconds:
        return (f"{mark}  ", colour)
    return (mark + unit_aligned(seconds), colour)


def _weight(seconds: float, whole: float) -> str:
    """Where the time goes stands out, where none goes recedes."""
    if seconds >= whole / 10:
        return "bold"
    return "dim" if seconds < whole / 100 else ""


def _total_column(summary: Summary) -> Column:
    cells = [(unit_aligned(summary.plugin_s[plugin]), "bold") for plugin in summary.plugins]
    return Column(("total",), (*cells, (unit_aligned(summary.total_s), "bold"), ("", "")))


def _share_column(summary: Summary) -> Column:
    whole = summary.total_s
    cells = [(share(summary.plugin_s[plugin], whole), "") for plugin in summary.plugins]
    return Column(("share",), (*cells, ("", ""), ("", "")))


def _cpu_column(summary: Summary) -> Column:
    """CPU seconds as a part of wall time; the rest is waiting. Above 100 % on several CPUs."""
    cpu = dict.fromkeys(summary.plugins, 0.0)
    wall = dict.fromkeys(summary.plugins, 0.0)
    for step in summary.steps:
        if step.plugin in cpu and did_run(step):
            cpu[step.plugin] += cpu_s(step)
            wall[step.plugin] += step.duration_s

    def part(busy_s: float, wall_s: float) -> str:
        return share(busy_s, wall_s) if cpu_is_known(wall_s) else ""

    cells = [(part(cpu[plugin], wall[plugin]), "") for plugin in summary.plugins]
    total = part(sum(cpu.values()), sum(wall.values()))
    return Column(("CPU",), (*cells, (total, ""), ("", "")))


def _bar_column(summary: Summary) -> Column:
    most = max((summary.plugin_s[plugin] for plugin in summary.plugins), default=0.0) or 1.0
    bars = [(bar(summary.plugin_s[p] / most, BAR_WIDTH), "cyan") for p in summary.plugins]
    return Column(("",), (*bars, ("", ""), ("", "")), right=False)
