"""Reading journals: unknown kinds and cut lines are skipped, nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncstack.errors import RunDirectoryError
from asyncstack.events import Event, encode
from asyncstack.journal import EventTail, read_events
from tests.helpers.journals import any_event

EVENTS = st.lists(any_event(), max_size=5)
#: `tmp_path` is one for all examples; each example rewrites the file from its start.
REUSE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def journal(events: list[Event]) -> bytes:
    return b"".join(encode(event) + b"\n" for event in events)


@REUSE
@given(events=EVENTS)
def test_what_was_written_is_read(tmp_path: Path, events: list[Event]) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(journal(events))
    assert list(read_events(path)) == events


def test_a_journal_cut_at_any_byte_gives_its_whole_lines(tmp_path: Path) -> None:
    golden = Path(__file__).parents[1] / "data" / "events-v1.jsonl"
    data = b"".join(golden.read_bytes().splitlines(keepends=True)[:4])
    path = tmp_path / "events.jsonl"
    path.write_bytes(data)
    whole = list(read_events(path))
    for length in range(len(data)):
        path.write_bytes(data[:length])
        lines = data[:length].count(b"\n")
        # A line that lacks nothing but its newline is whole.
        lines += data[length : length + 1] == b"\n"
        assert list(read_events(path)) == whole[:lines]


def test_unknown_kinds_and_rubbish_in_between_are_skipped(tmp_path: Path) -> None:
    golden = Path(__file__).parents[1] / "data" / "events-v1.jsonl"
    lines = golden.read_bytes().splitlines(keepends=True)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event":"new-kind"}\n' + lines[0] + b"\xff\n\n[]\n" + lines[1])
    assert len(list(read_events(path))) == 2


def test_a_journal_that_is_missing_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"events\.jsonl"):
        list(read_events(tmp_path / "events.jsonl"))
    with pytest.raises(RunDirectoryError, match=r"events\.jsonl"):
        EventTail(tmp_path / "events.jsonl").read()


@REUSE
@given(events=EVENTS, data=st.data())
def test_a_tail_gives_each_event_once(
    tmp_path: Path, events: list[Event], data: st.DataObject
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"")
    tail = EventTail(path)
    content = journal(events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    read: list[Event] = []
    for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        with path.open("ab") as stream:
            stream.write(content[start:end])
        read += tail.read()
    assert read == events
