"""What the fetch brought, in how much time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from asyncstack.events import FetchFinished
from asyncstack.model import FetchStatus
from asyncstack.reports.grid import Column, Span, lines, shortened, width
from asyncstack.reports.summary import Summary
from asyncstack.reports.units import bar, count, duration, size, unit_aligned

__all__ = ["STAGES", "fetch_heading", "fetch_table", "stage_table"]

BAR_WIDTH = 12

#: What is left at least of a name that there is no room for.
NAME_ROOM = 10

#: A smaller gain is noise.
WORTH_SAYING = 1.1

STAGES = ("queue", "connect", "negotiate", "receive", "resolve", "checkout")

_NEW = (FetchStatus.CLONED, FetchStatus.UPDATED)


def fetch_heading(summary: Summary, room: int) -> list[Text]:
    """How many repositories in how much time, and what doing it concurrently gained.

    Two lines if there is no room for one.
    """
    new = [fetch for fetch in summary.fetches if fetch.status in _NEW]
    # A mirror that was up to date is no checkout: what the nodes got from it is told.
    present = [
        fetch
        for fetch in summary.fetches
        if fetch.status is FetchStatus.PRESENT and _is_checkout(fetch, summary)
    ]
    made = [_gain(new)] if new else []
    if present:
        made.append(f"{count(len(present), 'repository')} present already")
    whole = "; ".join(made)
    return [Text(line) for line in ([whole] if len(whole) <= room else made) if line]


def _is_checkout(fetch: FetchFinished, summary: Summary) -> bool:
    dests = summary.dests.values()
    return not dests or any(fetch.directory.startswith(f"{dest.rstrip('/')}/") for dest in dests)


def _gain(timed: list[FetchFinished]) -> str:
    wall = max(fetch.end for fetch in timed) - min(fetch.start for fetch in timed)
    serial = sum(fetch.duration_s for fetch in timed)
    received = sum(fetch.received_bytes for fetch in timed)
    text = f"fetched {count(len(timed), 'repository')} in {duration(wall)}"
    text += f", {size(received)}" if received else ""
    if wall > 0 and serial / wall >= WORTH_SAYING:
        text += f", one after another {duration(serial)}: {serial / wall:.1f} × as long"
    return text


def fetch_table(summary: Summary, room: int) -> list[Text]:
    """A line a repository: for runs that only fetched, or came no further."""
    fetches = summary.fetches
    if not fetches:
        return []
    longest = max(fetch.duration_s for fetch in fetches) or 1.0
    columns = [
        Column(("plugin",), tuple((fetch.plugin, "") for fetch in fetches), right=False),
        *_node_column(summary, fetches),
        Column(("status",), tuple(_status(fetch) for fetch in fetches), right=False),
        Column(("ref",), tuple((fetch.ref, "") for fetch in fetches), right=False),
        Column(("commit",), tuple((fetch.commit[:12], "dim") for fetch in fetches), right=False),
        Column(("size",), tuple((_size(fetch), "") for fetch in fetches)),
        Column(("time",), tuple((unit_aligned(fetch.duration_s), "bold") for fetch in fetches)),
        Column(
            ("",),
            tuple((bar(fetch.duration_s / longest, BAR_WIDTH), "cyan") for fetch in fetches),
            right=False,
        ),
    ]
    if width(columns) > room:
        columns.pop()  # the times say it, too
    refs = next(index for index, column in enumerate(columns) if column.heading == ("ref",))
    for names in (refs, 0):  # 0: plugins
        columns[names] = _narrowed(columns[names], room - width(columns))
    return lines(columns)


def _narrowed(names: Column, missing: int) -> Column:
    """A column of names, narrower by as much as is missing, or as far as they tell anything."""
    if missing >= 0:
        return names
    name_room = max(NAME_ROOM, names.width + missing)
    cells = tuple((shortened(text, name_room), style) for text, style in names.cells)
    return Column(names.heading, cells, right=names.right)


def stage_table(summary: Summary, room: int) -> list[Text]:
    """Where each repository's time went, longest first: waiting, network, CPU or disk.

    connect and negotiate are the host's, receive the network's, resolve (index-pack) the CPU's,
    checkout the disk's; queue is what it waited for its turn, besides. What doesn't fit goes in this
    order: the tries if all needed one, the shortest stages (into one column), the size, the tries.
    """
    if not summary.fetches:
        return []
    columns: list[Column] = []
    for columns in _attempts(summary):
        columns[0] = _narrowed(columns[0], room - width(columns))
        if width(columns) <= room:
            break
    return [*fetch_heading(summary, room), Text(), *lines(columns)]


def _attempts(summary: Summary) -> Iterator[list[Column]]:
    """Columns that say less and less."""
    telling = any(fetch.attempts > 1 for fetch in summary.fetches)
    yield _stage_columns(summary, 0)
    for merged in (0, 2, 3, 4):
        yield _stage_columns(summary, merged, tries=telling)
    yield _stage_columns(summary, 4, tries=telling, sizes=False)
    yield _stage_columns(summary, 4, tries=False, sizes=False)


def _stage_columns(
    summary: Summary, merged: int, *, tries: bool = True, sizes: bool = True
) -> list[Column]:
    """Columns of which one holds so many of the shortest stages; waiting is none of them."""
    fetches = summary.longest_fetches
    took = {stage: sum(fetch.stages.get(stage, 0.0) for fetch in fetches) for stage in STAGES[1:]}
    small = sorted(took, key=took.__getitem__)[:merged]
    groups: dict[tuple[str, ...], list[str]] = {}
    for stage in STAGES:
        heading = (f"{merged} other", "stages") if stage in small else (stage,)
        groups.setdefault(heading, []).append(stage)
    columns = [
        Column(("plugin",), tuple((fetch.plugin, "") for fetch in fetches), right=False),
        *_node_column(summary, fetches),
        Column(("status",), tuple(_status(fetch) for fetch in fetches), right=False),
    ]
    if sizes:
        columns.append(Column(("size",), tuple((_size(fetch), "") for fetch in fetches)))
    if tries:
        cells = tuple((str(fetch.attempts or ""), "") for fetch in fetches)
        columns.append(Column(("tries",), cells))
    columns += [_stage_column(heading, stages, fetches) for heading, stages in groups.items()]
    times = tuple((unit_aligned(fetch.duration_s), "bold") for fetch in fetches)
    return [*columns, Column(("time",), times)]


def _node_column(summary: Summary, fetches: Sequence[FetchFinished]) -> list[Column]:
    """Where each went, unless all went to one node; the mirror that the nodes get theirs from, too."""
    if not any(fetch.node for fetch in fetches):
        return []
    cells = tuple(
        (fetch.node, "") if fetch.node or _is_checkout(fetch, summary) else ("cache", "dim")
        for fetch in fetches
    )
    return [Column(("node",), cells, right=False)]


def _stage_column(
    heading: tuple[str, ...], stages: Sequence[str], fetches: list[FetchFinished]
) -> Column:
    taken = [sum(fetch.stages.get(stage, 0.0) for stage in stages) for fetch in fetches]
    cells = ((unit_aligned(seconds) if seconds else "·", "") for seconds in taken)
    return Column(heading, tuple(cells))


def _status(fetch: FetchFinished) -> Span:
    return (fetch.status.value, "") if fetch.status.good else (f"✗ {fetch.status}", "bold red")


def _size(fetch: FetchFinished) -> str:
    return size(fetch.received_bytes) if fetch.received_bytes else ""
