"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.reports.units import bar, clock, count, duration, share, size, unit_aligned


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.00004, "0 ms"),
        (0.0004, "0.4 ms"),
        (0.00996, "10 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (9.996, "10.0 s"),
        (59.96, "1:00"),
        (185, "3:05"),
        (3723.4, "1:02:03"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 359_999))
def test_a_duration_fits_its_column(seconds: float) -> None:
    assert len(duration(seconds)) <= 8


@given(st.floats(0, 59.9), st.floats(0, 59.9))
def test_digits_end_in_one_line(one: float, other: float) -> None:
    width = max(len(unit_aligned(one)), len(unit_aligned(other)))
    texts = [unit_aligned(value).rjust(width) for value in (one, other)]
    assert len({len(text.rstrip("ms ")) for text in texts}) == 1


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (812, "812 B"),
        (4_200, "4.2 kB"),
        (203_000_000, "203 MB"),
        (5 * 10**12, "5000 GB"),
    ],
)
def test_sizes(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 1, ""), (1, 0, ""), (1, 1000, "<1 %"), (1, 8, "12 %"), (3, 1, "300 %")],
)
def test_shares(part: float, whole: float, text: str) -> None:
    assert share(part, whole) == text


@given(st.floats(0, 1), st.integers(1, 40))
def test_a_bar_fits_and_is_there_if_there_is_anything(fraction: float, width: int) -> None:
    drawn = bar(fraction, width)
    assert len(drawn) <= width
    assert bool(drawn) == (fraction > 0)


def test_clocks_and_counts() -> None:
    assert [clock(7), clock(65), clock(3600)] == ["0:07", "1:05", "1:00:00"]
    assert [count(1, "step"), count(0, "step"), count(2, "repository")] == [
        "1 step",
        "0 steps",
        "2 repositories",
    ]
