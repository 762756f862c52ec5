"""The table that says where a repository's time went."""

from __future__ import annotations

import pytest
from msgspec import structs

from asyncstack.events import FetchFinished, NodeBooted, RunStarted
from asyncstack.model import FetchStatus
from asyncstack.reports.fetches import fetch_table, stage_table
from asyncstack.reports.summary import summarise
from asyncstack.reports.table import report_lines


def fetched(plugin: str, seconds: float, **stages: float) -> FetchFinished:
    return FetchFinished(
        plugin=plugin,
        url=f"https://example.org/{plugin}",
        ref="master",
        directory=f"/opt/stack/{plugin}",
        status=FetchStatus.CLONED,
        start=100.0,
        end=100.0 + seconds,
        duration_s=seconds,
        stages=stages,
    )


def rows(*fetches: FetchFinished) -> list[str]:
    return [line.plain for line in stage_table(summarise(fetches), 100)]


def test_the_longest_stands_first_and_every_stage_has_a_column() -> None:
    table = rows(fetched("quick", 1.0, connect=0.25), fetched("slow", 4.0, receive=3.0))
    header = next(row for row in table if row.startswith("plugin"))
    assert header.split()[-7:] == [
        *("queue", "connect", "negotiate", "receive", "resolve", "checkout"),
        "time",
    ]
    assert [row.split()[0] for row in table[table.index(header) + 1 :]] == ["slow", "quick"]


def test_a_stage_that_took_no_time_is_a_dot() -> None:
    (row,) = [row for row in rows(fetched("one", 2.0, receive=1.5)) if row.startswith("one")]
    assert row.count("·") == 5
    assert "1.50 s" in row


def test_without_a_fetch_there_is_no_table() -> None:
    assert rows() == []


@pytest.mark.parametrize("room", [100, 80, 60])
def test_a_narrow_terminal_shows_a_line_a_repository(room: int) -> None:
    """The bar goes first, then the middle of long names; commit and time stay."""
    fetches = [fetched("a-plugin-with-quite-a-long-name", 1.0), fetched("b", 4.0)]
    fetches[1] = structs.replace(fetches[1], ref="f" * 40, commit="c" * 40)
    table = [line.plain for line in fetch_table(summarise(fetches), room)]
    assert len(table) == 3
    assert all(len(line) <= room for line in table)
    assert "cccccccccccc" in table[2]
    assert "4.00 s" in table[2]


def test_the_bar_is_there_if_there_is_room_for_it() -> None:
    table = [line.plain for line in fetch_table(summarise([fetched("b", 4.0)]), 60)]
    assert "█" in table[1]
    assert table[0].startswith("plugin  status  ref")


def test_long_names_leave_the_stages_their_columns() -> None:
    fetches = [fetched("a-plugin-with-quite-a-long-name", 1.0, queue=0.1)]
    table = [line.plain for line in stage_table(summarise(fetches), 100)]
    assert max(len(line) for line in table) <= 100


STAGES = {"queue": 1.0, "connect": 0.011, "negotiate": 0.012, "receive": 2.0, "resolve": 1.5}


@pytest.mark.parametrize("attempts", [1, 12])
@pytest.mark.parametrize("node", ["", "compute-12"])
@pytest.mark.parametrize("room", [100, 80, 72])
def test_a_narrow_terminal_shows_the_stages_that_took_long(
    room: int, node: str, attempts: int
) -> None:
    """What took next to no time shares a column; nothing wraps and nothing is lost."""
    one = fetched("a-plugin-with-quite-a-long-name", 4.0, checkout=0.4, **STAGES)
    one = structs.replace(one, node=node, received_bytes=123456789, attempts=attempts)
    events = [NodeBooted(node=node, pid=1, directory="/", dest="/opt/stack"), one]
    table = [line.plain for line in stage_table(summarise(events), room)]
    header = next(index for index, line in enumerate(table) if line.startswith("plugin"))
    assert max(len(line) for line in table[header - 1 :]) <= room
    words = table[header].split()
    assert {"plugin", "status", "queue", "receive", "time"} <= set(words)
    if "stages" in words:
        assert " other" in table[header - 1]
        assert "connect" not in words


@pytest.mark.parametrize("room", [120, 80])
def test_a_long_heading_is_two_lines(room: int) -> None:
    """What was fetched, and what was there."""
    new = [structs.replace(fetched(f"{n}", 75.0), received_bytes=10**9) for n in range(12)]
    old = structs.replace(fetched("old", 0.001), status=FetchStatus.PRESENT)
    table = [line.plain for line in stage_table(summarise([*new, old]), room)]
    heading = table[: table.index("")]
    assert " ".join(heading).endswith("as long; 1 repository present already") == (room == 120)
    assert len(heading) == (1 if room == 120 else 2)
    assert max(map(len, heading)) <= room


def test_tries_are_told_where_one_was_not_enough() -> None:
    """They go before the stages do only if they say nothing."""
    for attempts in (1, 2):
        one = structs.replace(fetched("b", 4.0, checkout=0.4, **STAGES), attempts=attempts)
        table = [line.plain for line in stage_table(summarise([one]), 72)]
        header = next(line for line in table if line.startswith("plugin"))
        assert ("tries" in header) == (attempts > 1)


def test_a_fetch_that_goes_on_has_taken_some_time() -> None:
    """Or was killed: there is no end that would say how long."""
    events = [RunStarted(command="fetch", version=""), fetched("one", 2.0), fetched("two", 5.0)]
    heading = report_lines(summarise(events), 100)[0].plain
    assert "running  2 plugins" in heading
    assert heading.endswith("in 5.00 s so far")


def test_a_repository_of_several_nodes_says_where_each_went() -> None:
    """To the controller's cache, to its own $DEST, to a node: three lines that are told apart."""
    here = fetched("one", 1.0)
    events = [
        NodeBooted(node="ctrl", pid=1, directory="/", dest="/opt/stack"),
        NodeBooted(node="n1", pid=1, directory="/", dest="/opt/stack"),
        structs.replace(here, directory="/home/me/.cache/asyncstack/git/one-0123456789abcdef"),
        here,
        structs.replace(here, node="n1"),
    ]
    for table in (fetch_table(summarise(events), 100), stage_table(summarise(events), 100)):
        first = next(index for index, line in enumerate(table) if line.plain.startswith("plugin"))
        column = table[first].plain.index("node")
        shown = [line.plain[column : column + 6].strip() for line in table[first + 1 :]]
        assert shown == ["cache", "", "n1"]
    assert "node" not in fetch_table(summarise(events[:-1]), 100)[0].plain
