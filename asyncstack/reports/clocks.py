"""The clocks of the nodes, put right: what is compared across nodes is by the controller's.

Each node stamps its steps with its own clock. A journal tells how far that is ahead, at first and
whenever it has become another; what is told counts from there on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec import Struct

from asyncstack.events import ClockCompared, Event, StepFinished

__all__ = ["UNKNOWN", "Reading", "readings"]


class Reading(Struct, frozen=True):
    """How far a node's clock was ahead of the controller's when a step began, in seconds.

    `uncertainty_s` is infinite for a clock that was never compared.
    """

    offset_s: float
    uncertainty_s: float

    @property
    def known(self) -> bool:
        """Whether the clock was ever compared."""
        return math.isfinite(self.uncertainty_s)

    def ours(self, node_time: float) -> float:
        """That moment by the controller's clock."""
        return node_time - self.offset_s


#: Of a clock that was never compared.
UNKNOWN = Reading(0.0, math.inf)


def readings(events: Iterable[Event]) -> list[Reading]:
    """The clock of each step that finished, in the order of the journal."""
    known: dict[str, Reading] = {}
    found: list[Reading] = []
    for event in events:
        if isinstance(event, StepFinished):
            reading = known.get(event.node, UNKNOWN)
            found.append(reading)
            if event.clock_step_s:
                # Set while it ran: what begins later begins by the new time.
                offset = reading.offset_s + event.clock_step_s
                known[event.node] = Reading(offset, reading.uncertainty_s)
        elif isinstance(event, ClockCompared):
            known[event.node] = Reading(event.offset_s, event.uncertainty_s)
    return found
