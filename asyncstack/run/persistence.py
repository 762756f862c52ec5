"""Bringing repositories to a node whose connection may die meanwhile: again, until they are there."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import anyio
import msgspec

from asyncstack.events import Emit, Event, FetchFinished, FetchRetried, FetchStarted
from asyncstack.executor import RECONNECT_S
from asyncstack.fetcher import FetchOptions, FetchRequest, FetchResult
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus
from asyncstack.run.reconnecting import connect_again
from asyncstack.transports.base import Transport

__all__ = ["persist"]

R = TypeVar("R", bound=FetchRequest)

#: How often a repository is brought that the node itself cuts off.
TRIES = 4

#: Seconds between two tries, at most; half of it to one and a half.
PAUSE_S = 2.0


async def persist(
    transport: Transport,
    requests: Sequence[R],
    options: FetchOptions,
    bring: Callable[[Transport, Sequence[R], FetchOptions, Emit], Awaitable[list[FetchResult]]],
    emit: Emit,
) -> list[FetchResult]:
    """Bring repositories to a node, those that a dying connection has swallowed again; in order.

    A lost node is called for as long as one that is lost in a phase, counted from the last
    repository that arrived. Each repository begins once and ends once in what is emitted.
    """
    story = _Story(transport.node.name, emit)
    done: dict[str, FetchResult] = {}
    todo: Sequence[R] = requests
    give_up = anyio.current_time() + RECONNECT_S
    attempt = 0
    while True:
        attempt += 1
        done |= {one.plugin: one for one in await bring(transport, todo, options, story.emit)}
        left = _unlucky(todo, done)
        if len(left) < len(todo):
            give_up = anyio.current_time() + RECONNECT_S
        lost = bool(left) and await _is_lost(transport)
        if not left or (attempt >= TRIES and not lost):
            break
        delay = random.uniform(0.5, 1.5) * min(PAUSE_S, attempt * PAUSE_S / 8)  # noqa: S311
        await anyio.sleep(delay)
        if not await connect_again(transport, give_up):
            break
        todo = left
        for request in todo:
            story.goes_on(done[request.plugin], attempt, delay)
    story.end()
    return [done[r.plugin] for r in requests]


def _unlucky(requests: Sequence[R], done: Mapping[str, FetchResult]) -> list[R]:
    return [r for r in requests if done[r.plugin].failure is FailureClass.RESET]


async def _is_lost(transport: Transport) -> bool:
    return (await transport.run("true")).exit_status is None


class _Story:
    """What is told of repositories that may be brought more than once."""

    def __init__(self, node: str, emit: Emit) -> None:
        self._node = node
        self._emit = emit
        self._started: set[str] = set()
        self._tries: dict[str, int] = {}
        self._failed: dict[str, FetchFinished] = {}

    def emit(self, event: Event) -> None:
        """Pass on what is new; a failure only when it is known to be the end."""
        if isinstance(event, FetchStarted):
            if event.plugin in self._started:
                return
            self._started.add(event.plugin)
        elif isinstance(event, FetchFinished):
            earlier = self._tries.get(event.plugin, 0)
            event = msgspec.structs.replace(event, attempts=event.attempts + earlier)
            if event.status is FetchStatus.FAILED:
                self._failed[event.plugin] = event
                return
        self._emit(event)

    def goes_on(self, failed: FetchResult, attempt: int, delay_s: float) -> None:
        """A failure was not the end."""
        self._tries[failed.plugin] = self._failed.pop(failed.plugin).attempts
        self._emit(
            FetchRetried(
                plugin=failed.plugin,
                url=failed.url,
                attempt=attempt,
                reason=(failed.failure or FailureClass.OTHER).value,
                message=failed.message,
                delay_s=delay_s,
                node=self._node,
            )
        )

    def end(self) -> None:
        """What has failed by now has failed."""
        for event in self._failed.values():
            self._emit(event)
