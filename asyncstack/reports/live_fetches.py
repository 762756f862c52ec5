"""The fetches of the live view: what is under way, that of many nodes in one line a plugin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.text import Text

from asyncstack.reports.grid import Column, Span, lines, shortened, width
from asyncstack.reports.live_state import FetchState, LiveState
from asyncstack.reports.units import bar, clock, count, size

__all__ = ["fetch_lines"]

BAR_WIDTH = 16
NAME_ROOM = 26


def fetch_lines(state: LiveState, now: float, room: int, height: int) -> list[Text]:
    """At most `height` lines: how many are done, and those that run, the oldest first."""
    active = state.fetching
    if not active and not state.fetched:
        return []
    heading = Text(f"fetch  {state.fetched} done")
    if active:
        heading.append(f", {len(active)} running")
    if active and state.to_be_fetched:
        heading.append(f", {state.to_be_fetched} to come")
    if state.fetch_failures:
        heading.append(f", {state.fetch_failures} failed", "bold red")
    heading.append(f", {_in_all(state)}")
    shown = _by_plugin(state)[: max(0, height - 1)]
    if not shown:
        return [heading]
    names, fetches = [name for name, _ in shown], [fetch for _, fetch in shown]
    return [heading, *lines(_fetch_columns(names, fetches, state.plugins, now, room))[1:]]


def _in_all(state: LiveState) -> str:
    active = state.fetching.values()
    received = state.fetched_bytes + sum(fetch.received_bytes for fetch in active)
    objects = state.fetched_objects + sum(fetch.objects for fetch in active)
    rate = sum(fetch.bytes_per_s for fetch in active)
    parts = [size(received), count(objects, "object") if objects else "", _rate(rate)]
    return ", ".join(filter(None, parts))


def _by_plugin(state: LiveState) -> list[tuple[str, FetchState]]:
    """The running fetches; a plugin that goes to several nodes is one, with what they all have."""
    groups: dict[str, list[tuple[str, FetchState]]] = {}
    for (plugin, node), fetch in state.fetching.items():
        groups.setdefault(plugin, []).append((node, fetch))
    return [
        (f"{plugin} {group[0][0]}".rstrip(), group[0][1])
        if len(group) == 1
        else (f"{plugin} to {len(group)} nodes", _together([fetch for _, fetch in group]))
        for plugin, group in groups.items()
    ]


def _together(fetches: list[FetchState]) -> FetchState:
    """Several as if they were one: the stage of most, how far they are on average."""
    known = [fetch.fraction for fetch in fetches if fetch.fraction is not None]
    return FetchState(
        since=min(fetch.since for fetch in fetches),
        stage=Counter(fetch.stage for fetch in fetches).most_common(1)[0][0],
        fraction=sum(known) / len(fetches) if known else None,
        done=sum(fetch.done for fetch in fetches),
        total=sum(fetch.total for fetch in fetches),
        received_bytes=sum(fetch.received_bytes for fetch in fetches),
        bytes_per_s=sum(fetch.bytes_per_s for fetch in fetches),
        again=min(fetch.again for fetch in fetches),
    )


def _fetch_columns(
    names: list[str], fetches: list[FetchState], known: Iterable[str], now: float, room: int
) -> list[Column]:
    """Wide enough for whatever comes, so that nothing jumps while it changes; `known` are all names."""
    name_room = min(NAME_ROOM, max(8, room // 3))
    longest = max((len(shortened(name, name_room)) for name in known), default=0)
    progress = Column(("",), tuple(_progress(fetch) for fetch in fetches), right=False)
    objects = Column(("",), tuple((_objects(fetch), "dim") for fetch in fetches), least=9)
    rate = Column(("",), tuple((_rate(fetch.bytes_per_s), "dim") for fetch in fetches), least=8)
    columns = [
        Column(
            ("",),
            tuple((f"  {shortened(name, name_room)}", "") for name in names),
            right=False,
            least=2 + longest,
        ),
        Column(
            ("",), tuple((_stage(fetch, now), "dim") for fetch in fetches), right=False, least=10
        ),
        progress,
        Column(("",), tuple((_percent(fetch), "") for fetch in fetches), least=5),
        Column(("",), tuple((size(f.received_bytes), "") for f in fetches), least=6),
        Column(("",), tuple((clock(now - fetch.since), "cyan") for fetch in fetches)),
        objects,  # last those that come and go
        rate,
    ]
    for dispensable in (progress, objects, rate):  # the percentage says it, and the sum of all
        if width(columns) > room:
            columns = [column for column in columns if column is not dispensable]
    return columns


def _stage(fetch: FetchState, now: float) -> str:
    return "waiting" if now < fetch.again else fetch.stage


def _progress(fetch: FetchState) -> Span:
    done = bar(fetch.fraction or 0.0, BAR_WIDTH)
    return (done + "░" * (BAR_WIDTH - len(done)), "cyan")


def _percent(fetch: FetchState) -> str:
    return "" if fetch.fraction is None else f"{100 * fetch.fraction:.0f} %"


def _objects(fetch: FetchState) -> str:
    return f"{fetch.done}/{fetch.total}" if fetch.total else ""


def _rate(bytes_per_s: float) -> str:
    return f"{size(round(bytes_per_s))}/s" if bytes_per_s else ""
