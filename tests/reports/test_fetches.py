"""The table that says where a repository's time went."""

from __future__ import annotations

from asyncstack.events import FetchFinished
from asyncstack.model import FetchStatus
from asyncstack.reports.fetches import stage_table
from asyncstack.reports.summary import summarise


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
    return [line.plain for line in stage_table(summarise(fetches))]


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
