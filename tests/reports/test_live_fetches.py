"""What the live view says of the fetches: each one's bytes, objects and rate, and those of all."""

from __future__ import annotations

import pytest

from asyncstack.events import (
    Event,
    FetchFinished,
    FetchProgress,
    FetchRetried,
    FetchStarted,
    PluginRegistered,
)
from asyncstack.model import FetchStatus
from asyncstack.reports.live_fetches import fetch_lines
from asyncstack.reports.live_state import LiveState

RECEIVING = FetchProgress(
    plugin="ironic",
    stage="receive",
    fraction=0.5,
    objects=100,
    total_objects=200,
    received_bytes=3_000_000,
    bytes_per_s=1_500_000.0,
)
OTHER = FetchProgress(
    plugin="heat",
    stage="receive",
    fraction=0.1,
    objects=20,
    total_objects=200,
    received_bytes=1_000_000,
    bytes_per_s=500_000.0,
)
FINISHED = FetchFinished(
    plugin="nova",
    url="https://h/nova",
    ref="master",
    directory="/opt/stack/nova",
    status=FetchStatus.CLONED,
    received_bytes=5_000_000,
    objects=300,
)


def shown(*events: Event, room: int = 100, now: float = 0.0) -> list[str]:
    state = LiveState(0.0)
    for event in events:
        state.apply(event, 0.0)
    return [line.plain for line in fetch_lines(state, now, room, 10)]


def test_each_and_all() -> None:
    """A line a repository, and the sums above them, of those that are done as well."""
    heading, first, second = shown(FINISHED, RECEIVING, OTHER)
    assert heading == "fetch  1 done, 2 running, 9.0 MB, 420 objects, 2.0 MB/s"
    assert all(part in first for part in ("ironic", "50 %", "100/200", "3.0 MB", "1.5 MB/s"))
    assert all(part in second for part in ("heat", "10 %", "20/200", "1.0 MB", "500 kB/s"))


def test_what_has_been_received_stays_counted() -> None:
    """Deltas are counted anew; the objects that came are not forgotten, and the rate is over."""
    resolving = FetchProgress(plugin="ironic", stage="resolve", objects=7, total_objects=90)
    heading, line = shown(RECEIVING, resolving)
    assert heading == "fetch  0 done, 1 running, 3.0 MB, 100 objects"
    assert "7/90" in line


@pytest.mark.parametrize("room", [100, 60])
def test_nothing_jumps_while_it_goes_on(room: int) -> None:
    """From the first word to a full line, and when one with a longer name begins, all stays where it is."""
    registered = [
        PluginRegistered(node="n", plugin=name, url="u", ref="master", directory=f"/d/{name}")
        for name in ("ironic", "networking-generic-switch", "heat")
    ]
    started = FetchStarted(plugin="ironic", url="u", ref="master", directory="/d/ironic")
    begun = shown(*registered, started, room=room)[1]
    going = shown(*registered, started, RECEIVING, room=room)[1]
    assert begun.index("connecting") == going.index("receive")
    assert begun.index("0 B") + len("0 B") == going.index("3.0 MB") + len("3.0 MB")
    assert begun.index("0:00") == going.index("0:00")
    assert len(going) <= room


def test_those_that_have_no_turn_yet() -> None:
    """They are counted while others run: of sixty repositories sixteen are on their way."""
    registered = [
        PluginRegistered(node="n", plugin=name, url="u", ref="master", directory=f"/d/{name}")
        for name in ("nova", "ironic", "heat", "swift")
    ]
    assert shown(*registered) == []
    assert shown(*registered, RECEIVING)[0].startswith("fetch  0 done, 1 running, 3 to come, ")
    assert shown(*registered, RECEIVING, FINISHED)[0].startswith("fetch  1 done, 1 running, 2 to ")
    assert "to come" not in shown(*registered, FINISHED)[0]


def test_between_two_tries() -> None:
    """Nothing moves and no rate is left; then it begins at the beginning."""
    retried = FetchRetried(
        plugin="ironic",
        url="https://h/ironic",
        attempt=1,
        reason="stall",
        message="nothing moved any more",
        delay_s=60.0,
    )
    heading, line = shown(RECEIVING, retried, now=59.0)
    assert heading == "fetch  0 done, 1 running, 3.0 MB, 100 objects"
    assert line.split() == ["ironic", "waiting", "░" * 16, "3.0", "MB", "0:59"]
    assert "connecting" in shown(RECEIVING, retried, now=61.0)[1]
    assert "receive" in shown(RECEIVING, retried, RECEIVING, now=59.0)[1]


def test_what_repeats_the_percentage_goes_first() -> None:
    """Bar and objects give way on a narrow screen; bytes and rate stay."""
    for room in (100, 60, 45):
        line = shown(RECEIVING, room=room)[1]
        assert "50 %" in line
        assert "3.0 MB" in line
    assert "100/200" not in line
