"""Redaction: no secret comes out, whatever the chunks; everything else does, at once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.events import FetchFinished, RunStarted, StepFinished, StepOutput
from asyncstack.journal import Redactor
from asyncstack.model import FetchStatus, Frame, Mode, Status

#: Few letters, so that secrets occur, overlap and nearly occur all the time.
TEXTS = st.text("ab", max_size=40)
SECRETS = st.lists(st.text("ab", min_size=4, max_size=7), max_size=3)


def redactor(*secrets: str) -> Redactor:
    made = Redactor()
    for secret in secrets:
        made.add(secret)
    return made


def plainly(text: str, secrets: list[str]) -> str:
    """What redaction means, spelled out: overlapping occurrences become one `***`."""
    spans = sorted(
        (start, start + len(secret))
        for secret in set(secrets)
        for start in range(len(text))
        if text.startswith(secret, start)
    )
    out, position = "", 0
    for start, end in spans:
        if start >= position:
            out += text[position:start] + "***"
        position = max(position, end)
    return out + text[position:]


@given(TEXTS, SECRETS)
def test_every_occurrence_is_hidden_and_nothing_else(text: str, secrets: list[str]) -> None:
    redacted = redactor(*secrets).text(text)
    assert redacted == plainly(text, secrets)
    assert not any(secret in redacted for secret in secrets)


@given(TEXTS, SECRETS, st.lists(st.integers(0, 40), max_size=8))
def test_chunks_make_no_difference(text: str, secrets: list[str], cuts: list[int]) -> None:
    made = redactor(*secrets)
    stream = made.stream()
    bounds = [0, *sorted(cut for cut in cuts if cut <= len(text)), len(text)]
    parts = [stream.feed(text[start:end].encode()) for start, end in pairwise(bounds)]
    assert b"".join(parts) + stream.flush() == made.text(text).encode()


@given(SECRETS)
def test_byte_by_byte_is_a_chunking_too(secrets: list[str]) -> None:
    text = "abba".join(secrets) * 2
    made = redactor(*secrets)
    stream = made.stream()
    parts = [stream.feed(bytes([byte])) for byte in text.encode()]
    assert b"".join(parts) + stream.flush() == made.text(text).encode()


def test_only_a_possible_beginning_is_held_back() -> None:
    stream = redactor("secret").stream()
    assert stream.feed(b"a line\nse") == b"a line\n"
    assert stream.feed(b"nd") == b"send"
    assert stream.feed(b"secre") == b""
    assert stream.flush() == b"secre"


def test_a_secret_added_later_is_known_to_open_streams() -> None:
    made = Redactor()
    stream = made.stream()
    assert stream.feed(b"hunter2 ") == b"hunter2 "
    made.add("hunter2")
    assert stream.feed(b"hunter2 ") == b"*** "


@pytest.mark.parametrize("short", ["", "a", "1", "abc"])
def test_short_secrets_are_left_alone(short: str) -> None:
    made = redactor(short)
    assert made.secrets == ()
    assert made.text("abc 123") == "abc 123"


def test_a_password_is_hidden_in_a_url_as_well() -> None:
    assert redactor("p@ss/word").text("https://u:p%40ss%2Fword@host/") == "https://u:***@host/"


def test_bytes_that_are_not_text_pass_unchanged() -> None:
    assert redactor("secret").data(b"\xff\x00secret\xfe") == b"\xff\x00***\xfe"
    assert redactor("secret").text("\udcffsecret") == "\udcff***"


def test_free_text_of_an_event_is_redacted_and_names_are_not() -> None:
    event = StepFinished(
        node="stack",
        mode=Mode.STACK,
        phase="install",
        plugin="stack",
        status=Status.FAILED,
        command="mysql -pstack",
        message="login with stack failed",
        location="/opt/stack/p/plugin.sh:3",
        stack=(Frame("f", "/opt/stack/p/plugin.sh", 3),),
    )
    redacted = redactor("stack").event(event)
    assert isinstance(redacted, StepFinished)
    assert (redacted.command, redacted.message) == ("mysql -p***", "login with *** failed")
    assert (redacted.node, redacted.plugin, redacted.mode) == ("stack", "stack", Mode.STACK)
    assert (redacted.location, redacted.stack) == (event.location, event.stack)


def test_credentials_in_an_url_are_redacted() -> None:
    event = FetchFinished(
        plugin="p",
        url="https://me:hunter2@h/p",
        ref="master",
        directory="/opt/stack/p",
        status=FetchStatus.FAILED,
        message="fatal: https://me:hunter2@h/p not found",
    )
    redacted = redactor("hunter2").event(event)
    assert isinstance(redacted, FetchFinished)
    assert redacted.url == "https://me:***@h/p"
    assert "hunter2" not in redacted.message


def test_output_is_redacted() -> None:
    event = StepOutput(node="n", mode=Mode.STACK, plugin="p", log="l", data=b"PASS=hunter2")
    redacted = redactor("hunter2").event(event)
    assert isinstance(redacted, StepOutput)
    assert redacted.data == b"PASS=***"


def test_an_event_without_secrets_is_passed_as_it_is() -> None:
    event = RunStarted(command="stack", version="0")
    assert redactor("hunter2").event(event) is event
