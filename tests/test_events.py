"""The journal's format: what is written can be read, today and by every later version."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given

from asyncstack import events
from asyncstack.events import (
    Event,
    RunFinished,
    StepFinished,
    decode,
    encode,
    kind_of,
    stamped,
    to_fields,
)
from asyncstack.model import Mode, Status
from tests.helpers.journals import KINDS, any_event

GOLDEN = Path(__file__).parent / "data" / "events-v1.jsonl"
LINES = GOLDEN.read_bytes().splitlines()

STEP = StepFinished(node="n", mode=Mode.STACK, phase="install", plugin="p", status=Status.OK)


@given(any_event())
def test_what_is_encoded_is_decoded(event: Event) -> None:
    assert decode(encode(event)) == event


@given(any_event())
def test_fields_are_the_json_form_without_the_kind(event: Event) -> None:
    line = msgspec.json.encode({"event": kind_of(event), **to_fields(event)})
    assert decode(line) == event


@given(any_event())
def test_a_line_has_no_newline_in_it(event: Event) -> None:
    assert b"\n" not in encode(event)


def test_kinds_are_kebab_case() -> None:
    assert kind_of(STEP) == "step-finished"


def test_a_step_has_every_field_that_the_format_promises() -> None:
    promised = {
        *("timestamp", "event", "run_id", "node", "mode", "phase", "plugin", "commit", "status"),
        *("exit_code", "start", "end", "duration_s", "user_cpu_s", "system_cpu_s", "read_bytes"),
        *("write_bytes", "output_bytes", "command", "location", "stack"),
    }
    assert promised <= json.loads(encode(STEP)).keys()


def test_a_kind_that_is_not_known_is_none() -> None:
    assert decode(b'{"event": "coffee-made", "cups": 2}') is None


def test_a_field_that_is_not_known_is_ignored() -> None:
    line = encode(STEP)[:-1] + b', "mood": "sunny"}'
    assert decode(line) == STEP


def test_a_line_cut_anywhere_is_none() -> None:
    line = encode(STEP)
    assert {decode(line[:length]) for length in range(len(line))} == {None}


def test_the_golden_journal_holds_every_kind() -> None:
    decoded = [decode(line) for line in LINES]
    assert {type(event) for event in decoded} == set(KINDS)


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_golden_fields_keep_their_names_and_values(line: bytes) -> None:
    event = decode(line)
    assert event is not None
    old, new = json.loads(line), json.loads(encode(event))
    assert {name: new.get(name) for name in old} == old


def test_the_version_is_the_golden_one() -> None:
    assert json.loads(LINES[0])["format_version"] == events.FORMAT_VERSION


def test_stamping_keeps_a_timestamp_that_is_there() -> None:
    event = RunFinished(status=Status.OK, exit_code=0, duration_s=0, timestamp="then")
    assert stamped(event) is event


def test_a_stamp_is_utc_with_microseconds() -> None:
    assert len(stamped(STEP).timestamp) == len("2026-01-01T00:00:00.000000Z")
    assert stamped(STEP).timestamp.endswith("Z")
