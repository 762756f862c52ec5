"""`stack --detach`: start a run, say its id, and leave it to a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

from asyncstack.events import ConnectionChanged, Event, NodeFinished, RunFinished, RunStarted

if TYPE_CHECKING:
    from asyncstack.reports.display import Display

__all__ = ["detached"]

#: What may be heard before there is a connection to every node.
_BEFORE = (RunStarted, ConnectionChanged, NodeFinished, RunFinished)


def detached(work: Callable[[Display], None]) -> None:
    """Do `work` in a background process that no terminal holds; return when all nodes are there.

    `work` ends the process by its exit code. What goes wrong before that is shown here, and ends
    this process with that code; a passphrase is asked for here as well.
    """
    reading, writing = os.pipe()
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115 – the child's for as long as it lives
    child = os.fork()
    if child == 0:
        os.close(reading)
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
        work(_Announcing(writing))
        os._exit(0)
    os.close(writing)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is for the child to end by
    with os.fdopen(reading) as pipe:
        run_id = pipe.readline().strip()
    signal.signal(signal.SIGINT, before)
    if run_id:
        typer.echo(run_id)
        typer.echo(
            f"follow it: asyncstack logs --follow {run_id}\nend it:    asyncstack stop {run_id}",
            err=True,
        )
        return
    _, status = os.waitpid(child, 0)
    log.seek(0)
    sys.stderr.write(log.read())
    raise typer.Exit(os.waitstatus_to_exitcode(status))


class _Announcing:
    """A display that only tells the waiting parent the run's id. The journal has the rest."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def emit(self, event: Event) -> None:
        if self._descriptor < 0 or isinstance(event, _BEFORE):
            return
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.write(self._descriptor, f"{event.run_id}\n".encode())
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()
