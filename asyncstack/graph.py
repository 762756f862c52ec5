"""Directed graphs of names: cycles, and an order that respects edges and otherwise changes nothing.

Knows nothing of plugins. An edge `a → b` says that b comes before a.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["find_cycle", "stable_order"]


def stable_order(names: Sequence[str], before: Mapping[str, Iterable[str]]) -> list[str] | None:
    """`names`, each after those that `before` names for it; None if a cycle forbids it.

    Stable: of all names that may come next, the one that stands first in `names` does. Names in
    `before` that are not in `names` are ignored.
    """
    position = {name: n for n, name in enumerate(names)}
    waiting = {name: {b for b in before.get(name, ()) if b in position} for name in names}
    ready = [position[name] for name in names if not waiting[name]]
    order: list[str] = []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for other, needed in waiting.items():
            if name in needed:
                needed.remove(name)
                if not needed:
                    heapq.heappush(ready, position[other])
    return order if len(order) == len(position) else None


def find_cycle(before: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """The names of one cycle, in order; empty if there is none."""
    done: set[str] = set()
    for start in before:
        path: list[str] = []
        if found := _walk(start, before, done, path):
            return found
    return ()


def _walk(
    name: str, before: Mapping[str, Iterable[str]], done: set[str], path: list[str]
) -> tuple[str, ...]:
    if name in path:
        return tuple(path[path.index(name) :])
    if name in done:
        return ()
    path.append(name)
    for other in before.get(name, ()):
        if found := _walk(other, before, done, path):
            return found
    path.pop()
    done.add(name)
    return ()
