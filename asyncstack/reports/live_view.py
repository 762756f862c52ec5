"""The live view as lines of text, for a given size of screen and moment.

What there is no room for is folded and counted, never scrolled out: a live view taller than the
screen leaves a trail of half-drawn copies.
"""

from __future__ import annotations

from rich.text import Text

from asyncstack.model import Status
from asyncstack.reports.folding import fold
from asyncstack.reports.grid import Column, Span, lines, shortened, width
from asyncstack.reports.live_state import CellState, FetchState, LiveState, Running
from asyncstack.reports.matrix import ABSENT, MARKS, heading_of
from asyncstack.reports.tail import printable
from asyncstack.reports.units import bar, clock, size, unit_aligned

__all__ = ["view"]

BAR_WIDTH = 16
NAME_ROOM = 26
RUNNING_LINES = 4

#: Wide enough for any cell, so that columns don't move while they fill.
CELL_WIDTH = 9

#: Below this many columns a matrix says nothing; the running steps do.
MATRIX_ROOM = 40


def view(state: LiveState, now: float, room: int, height: int) -> list[Text]:
    """At most `height` lines of at most `room` characters."""
    top = [_title(state, now)]
    running = _running(state, now, room)
    left = height - len(top) - len(running) - 1
    fetching = _fetching(state, now, room, max(1, left // 3 if state.cells else left))
    left -= len(fetching)
    table = _matrix(state, now, room, left) if state.cells and room >= MATRIX_ROOM else []
    made = [*top, *fetching, *table, *running][: max(1, height - 1)]
    for line in made:
        line.truncate(room, overflow="ellipsis")
    return made


def _title(state: LiveState, now: float) -> Text:
    title = Text.assemble((clock(now - state.began), "cyan"), (f"  {state.command}", "bold"))
    return title.append(f" on {fold(state.nodes)}") if len(state.nodes) > 1 else title


def _fetching(state: LiveState, now: float, room: int, height: int) -> list[Text]:
    active = state.fetching
    if not active and not state.fetched:
        return []
    heading = Text(f"fetch  {state.fetched} done")
    if active:
        heading.append(f", {len(active)} running")
    if state.fetch_failures:
        heading.append(f", {state.fetch_failures} failed", "bold red")
    heading.append(
        f", {size(state.fetched_bytes + sum(f.received_bytes for f in active.values()))}"
    )
    shown = list(active.items())[: max(0, height - 1)]
    if not shown:
        return [heading]
    names = [f"{plugin} {node}".rstrip() for (plugin, node), _ in shown]
    return [heading, *lines(_fetch_columns(names, [f for _, f in shown], now, room))[1:]]


def _fetch_columns(
    names: list[str], fetches: list[FetchState], now: float, room: int
) -> list[Column]:
    name_room = min(NAME_ROOM, max(8, room // 3))
    columns = [
        Column(
            ("",), tuple((f"  {shortened(name, name_room)}", "") for name in names), right=False
        ),
        Column(("",), tuple((fetch.stage, "dim") for fetch in fetches), right=False),
        Column(("",), tuple(_progress(fetch) for fetch in fetches), right=False),
        Column(("",), tuple((_percent(fetch), "") for fetch in fetches)),
        Column(("",), tuple((size(f.received_bytes), "") for f in fetches)),
        Column(("",), tuple((_rate(fetch), "dim") for fetch in fetches)),
        Column(("",), tuple((clock(now - fetch.since), "cyan") for fetch in fetches)),
    ]
    columns = [column for column in columns if column.width]
    if width(columns) > room:
        del columns[2]  # the bar says what the percentage says
    return columns


def _progress(fetch: FetchState) -> Span:
    done = bar(fetch.fraction or 0.0, BAR_WIDTH)
    return (done + "░" * (BAR_WIDTH - len(done)), "cyan")


def _percent(fetch: FetchState) -> str:
    return "" if fetch.fraction is None else f"{100 * fetch.fraction:.0f} %"


def _rate(fetch: FetchState) -> str:
    return f"{size(round(fetch.bytes_per_s))}/s" if fetch.bytes_per_s else ""


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
    several = len(state.nodes)
    cells = [_cell(state.cells.get((name, phase)), several, now) for name in names]
    heading = [part.rjust(CELL_WIDTH) for part in heading_of(phase)]
    return Column(tuple(heading), tuple(cells))


def _cell(cell: CellState | None, nodes: int, now: float) -> Span:
    if cell is None:
        return ("", "")
    if cell.running and nodes > 1:
        return (f"▶ {cell.done}/{nodes}   ", "cyan")
    if cell.running:
        return (f"▶ {clock(now - cell.since)}   ", "cyan")
    if cell.status is Status.SKIPPED:
        return ABSENT
    mark, colour = MARKS.get(cell.status, ("", ""))
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
    return made


def _running_line(
    state: LiveState, group: list[tuple[str, Running]], now: float, room: int
) -> Text:
    oldest = min((running for _, running in group), key=lambda running: running.since)
    elapsed = (f"▶ {clock(now - oldest.since)}", "cyan")
    line = Text.assemble(elapsed, f"  {oldest.phase} ", (oldest.plugin, "bold"))
    if len(state.nodes) > 1:
        busy = {node for node, _ in group}
        line.append(f" on {fold(node for node in state.nodes if node in busy)}")
    words = oldest.output.strip().rpartition(b"\n")[2][-4 * room :]
    return line.append(f"  {printable(words)}", "dim") if words else line
