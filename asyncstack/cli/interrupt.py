"""Ctrl-C: the first one ends the work in an orderly way, the next ones don't disturb that."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import anyio
from anyio import CancelScope
from anyio.abc import TaskStatus

__all__ = ["Interrupted", "run_interruptible"]

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):  # noqa: N818 – what happened, not what went wrong
    """The user ended the work; everything that it had started has been ended as well."""


def run_interruptible(work: Callable[[], Awaitable[T]], *, attachable: bool = False) -> T:
    """Run `work` to its end. Raises what it raises, or Interrupted after a signal.

    `attachable`: who closes the terminal may want to `asyncstack attach` to it from the next one, so
    that it is not ended in an orderly way by that. Otherwise nobody would end what it had started.
    """
    # What is written to a connection that has just died makes asyncio warn, once a packet. That it
    # died is told by ourselves; errors that nobody has caught are still shown.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    return anyio.run(_run, work, attachable)


async def _run(work: Callable[[], Awaitable[T]], attachable: bool) -> T:
    failure: Exception | None = None
    result: list[T] = []
    async with anyio.create_task_group() as tasks:
        scope = CancelScope()
        await tasks.start(_watch, scope, _signals(attachable=attachable))
        with scope:
            try:
                result.append(await work())
            except Exception as error:  # noqa: BLE001 – raised below, outside of the task group
                failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if not result:
        raise Interrupted
    return result[0]


def _signals(*, attachable: bool) -> tuple[signal.Signals, ...]:
    """The signals that end the work; nohup(1) says that a closed terminal is none."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return _SIGNALS if attachable or ignored else (*_SIGNALS, signal.SIGHUP)


async def _watch(
    scope: CancelScope,
    numbers: Sequence[signal.Signals],
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    with anyio.open_signal_receiver(*numbers) as signals:
        task_status.started()
        async for _ in signals:
            if scope.cancel_called:
                with suppress(OSError):  # the terminal may be what has gone
                    print("asyncstack: still ending what was started …", file=sys.stderr)  # noqa: T201
            scope.cancel()
