"""What a display is, and which one fits where the output goes."""

from __future__ import annotations

import sys
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self, TextIO

from asyncstack.events import Event, Warned
from asyncstack.reports.tail import one_line

__all__ = ["Display", "Quiet", "Silent", "choose_display"]


class Display(Protocol):
    """Shows a run while it goes on. `emit` is quick and never raises for what it can't show."""

    def emit(self, event: Event) -> None:
        """Take one event, already redacted, a transient one included."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Silent:
    """Shows nothing."""

    def emit(self, event: Event) -> None:
        """Ignore the event."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to end."""


class Quiet(Silent):
    """What `--quiet` asks for: nothing but where work of the user's was put, for nobody knows else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def emit(self, event: Event) -> None:
        """Write the line of such an event."""
        if not isinstance(event, Warned) or event.code != "local-work-saved":
            return
        node = f"{event.node}: " if event.node else ""
        with suppress(OSError):
            self._stream.write(f"{node}warning: {one_line(event.message)}\n")
            self._stream.flush()


def choose_display(*, json: bool = False, quiet: bool = False, verbose: bool = False) -> Display:
    """The display for this process's streams.

    `json`: events on stdout. Otherwise progress goes to stderr: live on a terminal that can move
    its cursor, plain lines elsewhere. `quiet` shows next to nothing, and leaves `json` alone.
    """
    if json:
        from asyncstack.reports.jsonl import JsonLines  # noqa: PLC0415

        return JsonLines(sys.stdout.buffer)
    if quiet:
        return Quiet(sys.stderr)
    from rich.console import Console  # noqa: PLC0415 – rich only where something is drawn

    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal and not verbose:
        from asyncstack.reports.live import Live  # noqa: PLC0415

        return Live(console)
    from asyncstack.reports.plain import Plain  # noqa: PLC0415

    return Plain(sys.stderr, verbose=verbose)
