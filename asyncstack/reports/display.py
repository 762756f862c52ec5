"""What a display is, and which one fits where the output goes."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol, Self

from asyncstack.events import Event

__all__ = ["Display", "Silent", "choose_display"]


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
    """Shows nothing: what `--quiet` asks for."""

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


def choose_display(*, json: bool = False, quiet: bool = False, verbose: bool = False) -> Display:
    """The display for this process's streams.

    `json`: events on stdout. Otherwise progress goes to stderr: live on a terminal that can move
    its cursor, plain lines elsewhere. `quiet` shows nothing, and leaves `json` alone.
    """
    if json:
        from asyncstack.reports.jsonl import JsonLines  # noqa: PLC0415

        return JsonLines(sys.stdout.buffer)
    if quiet:
        return Silent()
    from rich.console import Console  # noqa: PLC0415 – rich only where something is drawn

    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal and not verbose:
        from asyncstack.reports.live import Live  # noqa: PLC0415

        return Live(console)
    from asyncstack.reports.plain import Plain  # noqa: PLC0415

    return Plain(sys.stderr, verbose=verbose)
