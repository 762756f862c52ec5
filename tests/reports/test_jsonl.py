"""`--json`: what stdout gets is a journal."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.events import Event, FetchProgress, Warned, decode
from asyncstack.reports.jsonl import JsonLines
from tests.helpers.journals import any_event


@given(st.lists(any_event().filter(lambda event: bool(event.timestamp)), max_size=5))
def test_each_line_is_the_event(events: list[Event]) -> None:
    out = io.BytesIO()
    with JsonLines(out) as display:
        for event in events:
            display.emit(event)
    assert [decode(line) for line in out.getvalue().splitlines()] == events


def test_progress_is_left_out_and_a_timestamp_put_in() -> None:
    out = io.BytesIO()
    with JsonLines(out) as display:
        display.emit(FetchProgress(plugin="p", stage="receiving"))
        display.emit(Warned(code="c", message="m"))
    (event,) = [decode(line) for line in out.getvalue().splitlines()]
    assert isinstance(event, Warned)
    assert event.timestamp


def test_output_that_can_not_be_written_does_not_end_the_run() -> None:
    """But whoever reads what there is must not take it for all: the end is an error."""
    with Path("/dev/full").open("wb", buffering=0) as stream:
        display = JsonLines(stream)
        display.emit(Warned(code="c", message="m"))
        display.emit(Warned(code="c", message="m"))
        with pytest.raises(OSError, match="No space left"):
            display.__exit__(None, None, None)


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as stream, JsonLines(stream) as display:
        display.emit(Warned(code="c", message="m"))
