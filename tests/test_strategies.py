"""linear keeps nodes in step, free doesn't; a barrier can end both."""

from __future__ import annotations

import anyio
import pytest

from asyncstack.strategies import free, linear

pytestmark = pytest.mark.anyio


async def always(_phase: int) -> bool:
    return True


async def test_linear_never_overlaps_phases() -> None:
    """The slow node's phase ends before the fast node's next begins, whoever is first."""
    events: list[tuple[str, str, int]] = []
    gates = {phase: anyio.Event() for phase in range(3)}

    async def work(node: str, phase: int) -> None:
        events.append(("begin", node, phase))
        if node == "slow":
            await gates[phase].wait()
        else:
            gates[phase].set()
        events.append(("end", node, phase))

    barriers: list[int] = []

    async def barrier(phase: int) -> bool:
        barriers.append(phase)
        return True

    await linear(["slow", "fast"], range(3), work, barrier)
    assert [phase for _, _, phase in events] == sorted(phase for _, _, phase in events)
    assert len(events) == 12
    assert barriers == [0, 1, 2]


async def test_linear_ends_at_a_barrier_that_says_no() -> None:
    """No node begins the phase after it."""
    done: list[int] = []

    async def work(_node: str, phase: int) -> None:
        done.append(phase)

    async def barrier(phase: int) -> bool:
        return phase < 1

    await linear(["a", "b"], range(5), work, barrier)
    assert done == [0, 0, 1, 1]


async def test_free_lets_a_fast_node_run_ahead() -> None:
    """It is through with its last phase while the other one waits for that in its first."""
    through = anyio.Event()
    order: list[tuple[str, int]] = []

    async def work(node: str, phase: int) -> None:
        if node == "slow" and phase == 0:
            await through.wait()
        order.append((node, phase))
        if (node, phase) == ("fast", 2):
            through.set()

    await free(["slow", "fast"], range(3), work, always)
    assert order == [(node, phase) for node in ("fast", "slow") for phase in range(3)]


async def test_free_meets_where_it_is_told_to() -> None:
    """Nobody goes on from there before all have come, and a barrier that says no ends it there."""
    done: list[tuple[str, int]] = []
    barriers: list[int] = []

    async def work(node: str, phase: int) -> None:
        done.append((node, phase))

    async def barrier(phase: int) -> bool:
        barriers.append(phase)
        return phase != 3

    await free(["a", "b"], range(6), work, barrier, lambda phase: phase in (1, 3))
    assert sorted(done[:4]) == [(node, phase) for node in "ab" for phase in (0, 1)]
    assert sorted(done[4:]) == [(node, phase) for node in "ab" for phase in (2, 3)]
    assert barriers == [1, 3]


async def test_nothing_to_do() -> None:
    """No nodes or no phases is no error."""

    async def work(_node: str, _phase: int) -> None:
        raise AssertionError

    for strategy in (linear, free):
        await strategy([], range(2), work, always)
        await strategy(["a"], [], work, always)
