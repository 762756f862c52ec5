"""Comparing a node's clock with ours, by round trips that are made anyway. Pure."""

from __future__ import annotations

from asyncstack.events import ClockCompared, Event, Warned

__all__ = ["ClockWatch"]

#: Seconds that a node's clock may differ from ours without a word.
OFFSET_S = 5.0
#: Seconds by which two clocks may move against each other in a run without a word: more than any
#: crystal drifts, so that one of them was set.
SET_S = 0.5
#: Seconds of drift that are worth a new comparison.
DRIFT_S = 0.02


class ClockWatch:
    """What is known of one node's clock.

    We say something, the node reads its clock when it hears it, we hear of that: its clock stood
    so at some moment between the two. Taken for the middle, that is wrong by half of the time
    between at most.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self._known: ClockCompared | None = None
        self._told = False

    def compare(self, sent: float, node_time: float, received: float) -> list[Event]:
        """What one round trip tells that wasn't known. All are seconds since the epoch."""
        uncertainty = (received - sent) / 2
        if uncertainty < 0 or not node_time:
            return []  # our own clock was set meanwhile, or the node has none
        now = ClockCompared(
            node=self._node,
            offset_s=round(node_time - (sent + received) / 2, 6),
            uncertainty_s=round(uncertainty, 6),
        )
        known = self._known
        if known is None:
            self._known = now
            return [now, *self._far_off(now)]
        moved = abs(now.offset_s - known.offset_s) - now.uncertainty_s - known.uncertainty_s
        if moved <= DRIFT_S and now.uncertainty_s >= known.uncertainty_s / 2:
            return []
        self._known = now
        return [now, *(self._set(known, now) if moved > SET_S else self._far_off(now))]

    def _far_off(self, now: ClockCompared) -> list[Event]:
        if self._told or abs(now.offset_s) - now.uncertainty_s <= OFFSET_S:
            return []
        self._told = True
        message = (
            f"the node's clock is {now.offset_s:+.1f} s off ours: reports allow for it, "
            "certificates and tokens don't; set it before you stack"
        )
        return [Warned(code="clock-offset", message=message, node=self._node)]

    def _set(self, known: ClockCompared, now: ClockCompared) -> list[Event]:
        message = (
            "a clock was set while the run went on: the node's was "
            f"{known.offset_s:+.1f} s off ours and is now {now.offset_s:+.1f} s"
        )
        return [Warned(code="clock-set", message=message, node=self._node)]
