"""Comparing clocks: the truth is never further away than is said, and what moved is noticed."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from asyncstack.events import ClockCompared, Event, Warned
from asyncstack.executor.clock import ClockWatch

NOW = 1_790_000_000.0
OFFSETS = st.floats(-1e5, 1e5)
DELAYS = st.floats(0, 5)


def heard(
    watch: ClockWatch, offset: float, out_s: float, back_s: float, at: float = NOW
) -> list[Event]:
    """A round trip that takes so long in each direction, to a node whose clock is so far ahead."""
    return watch.compare(at, at + out_s + offset, at + out_s + back_s)


def compared(events: list[Event]) -> list[ClockCompared]:
    return [event for event in events if isinstance(event, ClockCompared)]


def warned(events: list[Event]) -> list[str]:
    return [event.code for event in events if isinstance(event, Warned)]


@given(OFFSETS, st.lists(st.tuples(DELAYS, DELAYS), min_size=1, max_size=10))
def test_the_truth_is_within_the_uncertainty(
    offset: float, trips: list[tuple[float, float]]
) -> None:
    """However uneven the two directions are; and what is told later is told better."""
    watch = ClockWatch("n")
    told = [c for out, back in trips for c in compared(heard(watch, offset, out, back))]
    assert told[0].uncertainty_s >= 0
    for one in told:
        assert abs(one.offset_s - offset) <= one.uncertainty_s + 1e-5
    for before, after in pairwise(told):
        assert after.uncertainty_s < before.uncertainty_s


@given(OFFSETS, st.lists(st.tuples(DELAYS, DELAYS), min_size=1, max_size=30))
def test_a_clock_that_nobody_sets_is_never_called_set(
    offset: float, trips: list[tuple[float, float]]
) -> None:
    watch = ClockWatch("n")
    codes = [code for out, back in trips for code in warned(heard(watch, offset, out, back))]
    assert "clock-set" not in codes


def test_a_second_trip_of_the_same_length_tells_nothing_new() -> None:
    watch = ClockWatch("n")
    assert len(heard(watch, 1.0, 0.01, 0.01)) == 1
    assert heard(watch, 1.0, 0.01, 0.01) == []
    assert heard(watch, 1.0, 0.5, 0.01) == []
    assert len(heard(watch, 1.0, 0.001, 0.001)) == 1


def test_a_clock_that_is_set_is_noticed_by_the_next_trip() -> None:
    watch = ClockWatch("n")
    heard(watch, 0.0, 0.01, 0.01)
    events = heard(watch, 3.0, 0.01, 0.01)
    assert [round(one.offset_s, 3) for one in compared(events)] == [3.0]
    assert warned(events) == ["clock-set"]
    assert heard(watch, 3.0, 0.01, 0.01) == []


def test_drift_is_followed_without_a_word() -> None:
    watch = ClockWatch("n")
    heard(watch, 0.0, 0.001, 0.001)
    events = heard(watch, 0.1, 0.001, 0.001)
    assert [round(one.offset_s, 3) for one in compared(events)] == [0.1]
    assert warned(events) == []


def test_a_slow_trip_accuses_no_clock() -> None:
    """With three seconds on the way nobody can tell whether it is two seconds off."""
    watch = ClockWatch("n")
    heard(watch, 0.0, 0.01, 0.01)
    assert heard(watch, 2.0, 3.0, 3.0) == []


def test_a_clock_that_is_far_off_is_said_before_anything_runs() -> None:
    assert warned(heard(ClockWatch("n"), -3600.0, 0.01, 0.01)) == ["clock-offset"]
    assert warned(heard(ClockWatch("n"), 4.0, 0.01, 0.01)) == []
    watch = ClockWatch("n")
    # The time may have been lost on the way, for all that is known; the next trip tells.
    assert warned(heard(watch, -60.0, 200.0, 0.0)) == []
    assert warned(heard(watch, -60.0, 0.01, 0.01)) == ["clock-offset"]
    assert warned(heard(watch, -60.0, 0.001, 0.001)) == []


def test_our_own_clock_being_set_back_meanwhile_spoils_the_trip() -> None:
    assert ClockWatch("n").compare(NOW, NOW, NOW - 60) == []
