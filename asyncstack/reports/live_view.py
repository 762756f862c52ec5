"""The live view as lines of text, for a given size of screen and moment.

What there is no room for is folded and counted, never scrolled out: a live view taller than the
screen leaves a trail of half-drawn copies.
"""

from __future__ import annotations

from rich.text import Text

from asyncstack.model import Status
from asyncstack.reports.folding import fold_within
from asyncstack.reports.grid import Column, Span, lines, shortened
from asyncstack.reports.live_fetches import fetch_lines
from asyncstack.reports.live_state import CellState, LiveState, Running
from asyncstack.reports.matrix import ABSENT, MARKS, heading_of
from asyncstack.reports.tail import printable
from asyncstack.reports.units import clock, unit_aligned

__all__ = ["view"]

NAME_ROOM = 26
RUNNING_LINES = 4

#: Wide enough for any cell, so that columns don't move while they fill.
CELL_WIDTH = 9

#: Below this many columns a matrix says nothing; the running steps do.
MATRIX_ROOM = 40


def view(state: LiveState, now: float, room: int, height: int) -> list[Text]:
    """At most `height` lines of at most `room` characters."""
    top = [_title(state, now, room)]
    running = _running(state, now, room)
    left = height - len(top) - len(running) - 1
    fetching = fetch_lines(state, now, room, max(1, left // 3 if state.cells else left))
    left -= len(fetching)
    table = _matrix(state, now, room, left) if state.cells and room >= MATRIX_ROOM else []
    made = [*top, *fetching, *table, *running][: max(1, height - 1)]
    for line in made:
        line.truncate(room, overflow="ellipsis")
    return made


def _title(state: LiveState, now: float, room: int) -> Text:
    title = Text.assemble((clock(now - state.began), "cyan"), (f"  {state.command}", "bold"))
    several = len(state.nodes) > 1
    return title.append(f" on {fold_within([*state.nodes], room)}") if several else title


def _matrix(state: LiveState, now: float, room: int, height: int) -> list[Text]:
    names = _visible_plugins(state, height - 3)
    name_room = min(NAME_ROOM, room // 3)
    title = Column(
        ("plugin",), tuple((shortened(name, name_room), "") for name in names), right=False
    )
    phases = list(state.phases)
    current = phases.index(state.phase) if state.phase in phases else len(phases) - 1
    columns = {phase: _phase_column(state, phase, names, now) for phase in phases}
    shown = _around(phases, current, room - title.width, {p: c.width for p, c in columns.items()})
    made = lines([title, *(columns[phase] for phase in shown)])
    hidden = len(state.plugins) - len(names)
    return [*made, Text(f"… {hidden} more plugins", "dim")] if hidden else made


def _visible_plugins(state: LiveState, height: int) -> list[str]:
    """As many as fit: those that run or went wrong, then their neighbours in order."""
    plugins = list(state.plugins)
    if len(plugins) <= height:
        return plugins
    busy = {running.plugin for running in state.running.values()}
    bad = {plugin for (plugin, _), cell in state.cells.items() if cell.status in MARKS}
    at = next((index for index, plugin in enumerate(plugins) if plugin in busy), 0)
    ranked = sorted(
        range(len(plugins)),
        key=lambda index: (plugins[index] not in busy | bad, abs(index - at)),
    )
    return [plugins[index] for index in sorted(ranked[: max(0, height)])]


def _around(phases: list[str], current: int, room: int, widths: dict[str, int]) -> list[str]:
    """The current phase, and as many before and after it as there is room for, nearest first."""
    by_distance = sorted(range(len(phases)), key=lambda index: (abs(index - current), index))
    shown: set[int] = set()
    for index in by_distance:
        room -= widths[phases[index]] + 2
        if room < 0 and shown:
            break
        shown.add(index)
    return [phases[index] for index in sorted(shown)]


def _phase_column(state: LiveState, phase: str, names: list[str], now: float) -> Column:
    several = len(state.nodes) > 1
    cells = [
        _cell(state.cells.get((name, phase)), state.due(name) if several else 0, now)
        for name in names
    ]
    heading = [part.rjust(CELL_WIDTH) for part in heading_of(phase)]
    return Column(tuple(heading), tuple(cells))


def _cell(cell: CellState | None, due: int, now: float) -> Span:
    """`due`: on how many nodes it is to run; 0 if there is but one in all."""
    if cell is None:
        return ("", "")
    mark, colour = MARKS.get(cell.status, ("", ""))
    if due and (cell.running or cell.done < due):
        going_on = "▶ " if cell.running else ""
        return (f"{mark or going_on}{cell.done}/{due}   ", colour or "cyan")
    if cell.running:
        return (f"▶ {clock(now - cell.since)}   ", "cyan")
    if cell.status is Status.SKIPPED:
        return ABSENT
    return (mark + unit_aligned(cell.seconds), colour)


def _running(state: LiveState, now: float, room: int) -> list[Text]:
    """The running steps, those of several nodes in one line; the longest first."""
    groups: dict[tuple[str, str], list[tuple[str, Running]]] = {}
    for node, running in state.running.items():
        groups.setdefault((running.plugin, running.phase), []).append((node, running))
    ordered = sorted(groups.values(), key=lambda group: min(r.since for _, r in group))
    made = [_running_line(state, group, now, room) for group in ordered[:RUNNING_LINES]]
    if len(ordered) > RUNNING_LINES:
        made.append(Text(f"  … {len(ordered) - RUNNING_LINES} more steps are running", "dim"))
    if ordered and state.waiting:
        waiting = [node for node in state.nodes if node in state.waiting]
        made.append(Text(f"  waiting: {fold_within(waiting, room - 12)}", "dim"))
    return made


def _running_line(
    state: LiveState, group: list[tuple[str, Running]], now: float, room: int
) -> Text:
    oldest = min((running for _, running in group), key=lambda running: running.since)
    elapsed = (f"▶ {clock(now - oldest.since)}", "cyan")
    line = Text.assemble(elapsed, f"  {oldest.phase} ", (oldest.plugin, "bold"))
    if len(state.nodes) > 1:
        busy = {node for node, _ in group}
        nodes = [node for node in state.nodes if node in busy]
        line.append(f" on {fold_within(nodes, max(NAME_ROOM, room // 3))}")
    words = oldest.output.strip().rpartition(b"\n")[2][-4 * room :]
    return line.append(f"  {printable(words)}", "dim") if words else line
