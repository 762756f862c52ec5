"""The end of a log, made safe for a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.reports.tail import LINE_LENGTH, last_lines, printable


@given(st.binary(max_size=200))
def test_nothing_printable_moves_the_cursor(line: bytes) -> None:
    text = printable(line)
    assert all(character.isprintable() or ord(character) > 0x9F for character in text)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"\x1b[1;31mERROR\x1b[0m: no", "ERROR: no"),
        (b"  10%\r  50%\r 100%\r", " 100%"),
        (b"\x1b]0;title\x07text", "text"),
        (b"a\tb", "a       b"),
        (b"caf\xc3\xa9 \xff", "café \ufffd"),
        (b"\x1e0123\x1f", "·0123·"),
    ],
)
def test_escapes_go_and_text_stays(line: bytes, text: str) -> None:
    assert printable(line) == text


def test_a_line_of_ten_megabytes_is_cut() -> None:
    assert len(printable(b"x" * 10_000_000)) == LINE_LENGTH + 1


def test_the_last_lines_that_say_something(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"".join(b"line %d\n\n" % number for number in range(100)) + b"no newline")
    assert last_lines(log, 3) == ["line 98", "line 99", "no newline"]


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "a.log", 3) == []


def test_only_the_end_of_a_big_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("wb") as stream:
        stream.truncate(200_000_000)  # sparse: reading it all would take memory, not disk
        stream.seek(0, 2)
        stream.write(b"\nthe end\n")
    assert last_lines(log, 20)[-1] == "the end"
