"""How many clones at once: in all, and per git host, where the number follows what the host bears.

Additive increase, multiplicative decrease, as TCP does it: a host that throttles gets half as many
connections, each success earns it a fraction of one back.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

__all__ = ["HostLimit", "Throttle"]


class HostLimit:
    """The cap of one host, between 1 and `most`; decisions are plain method calls."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.served = 0
        self.limiter = anyio.CapacityLimiter(most)
        self._allowed = float(most)
        self._not_before = 0.0
        self._decreased = float("-inf")

    @property
    def allowed(self) -> int:
        """How many connections the host gets now."""
        return max(1, math.floor(self._allowed))

    def succeeded(self) -> None:
        """One connection's worth more for each round of successes."""
        self.served += 1
        self._allowed = min(float(self.most), self._allowed + 1 / self._allowed)
        self.limiter.total_tokens = self.allowed

    def throttled(self, *, since: float, now: float, until: float = 0.0) -> None:
        """Half as many; nobody asks again before `until` (all on one clock).

        Connections that were opened (`since`) before the last cut belong to it: sixteen that are
        refused together are one message, not sixteen.
        """
        self._not_before = max(self._not_before, until)
        if since <= self._decreased:
            return
        self._decreased = now
        in_use = min(self._allowed, float(max(1, self.limiter.borrowed_tokens)))
        self._allowed = max(1.0, in_use / 2)
        self.limiter.total_tokens = self.allowed

    @property
    def pause_s(self) -> float:
        """How long the host wants to be left alone from now on."""
        return max(0.0, self._not_before - anyio.current_time())


class Throttle:
    """All caps of one fetch. The host's cap is taken first, so that a slow host holds no common slot.

    `patience_s` is how long a host that wants to be left alone is waited for.
    """

    def __init__(self, jobs: int, jobs_per_host: int, patience_s: float) -> None:
        self._all = anyio.CapacityLimiter(max(1, jobs))
        self._per_host = max(1, jobs_per_host)
        self._patience_s = patience_s
        self._hosts: dict[str, HostLimit] = {}

    def host(self, name: str) -> HostLimit:
        """Return a host's cap; '' (this machine) has one, too."""
        return self._hosts.setdefault(name, HostLimit(self._per_host))

    def closed(self, host: HostLimit) -> bool:
        """True if the host is not to be asked: it wants to be left alone for too long."""
        return host.pause_s > self._patience_s

    @asynccontextmanager
    async def slot(self, name: str) -> AsyncIterator[HostLimit]:
        """Hold one connection to a host, which may still want to be left alone for long: `closed`."""
        host = self.host(name)
        async with host.limiter:
            if host.pause_s and not self.closed(host):
                await anyio.sleep(host.pause_s)
            async with self._all:
                yield host
