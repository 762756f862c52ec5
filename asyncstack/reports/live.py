"""Progress on a terminal: clones with git's own progress, the matrix, the running steps.

Events only change the state; a few times a second a thread draws what it has become, so that
ten thousand events cost no more drawing than ten.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live as RichLive

from asyncstack.events import Event
from asyncstack.reports.lasting import is_lasting, lasting_lines
from asyncstack.reports.live_state import LiveState
from asyncstack.reports.live_view import view

__all__ = ["Live"]

REDRAW_INTERVAL_S = 0.2


class Live:
    """Draws on `console`, which is a terminal; leaves only warnings and failures behind."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._state = LiveState(clock())
        self._lock = threading.Lock()
        self._screen = threading.Lock()
        self._suspended = False
        self._lasting: list[Event] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._redraw, name="live view", daemon=True)
        self._live = RichLive(
            console=console,
            get_renderable=self._draw,
            auto_refresh=False,  # rich doesn't wait for its own thread to end; we do for ours
            transient=True,
            # What anybody else writes to stderr goes above the view instead of through it; stdout
            # may be a pipe and stays what it is.
            redirect_stdout=False,
        )

    def emit(self, event: Event) -> None:
        """Take in the event; what a user must not miss is printed above the view for good.

        With the next drawing, so that what happens to many nodes at once is one line.
        """
        with self._lock:
            self._state.apply(event, self._clock())
            if is_lasting(event):
                self._lasting.append(event)

    def _print_lasting(self) -> None:
        with self._lock:
            events, self._lasting = self._lasting, []
            named = len(self._state.nodes) > 1
        for line in lasting_lines(events, named=named):
            self._console.print(line, soft_wrap=True)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Leave the screen to somebody who asks the user something."""
        with self._screen:
            self._live.stop()
            self._suspended = True
        try:
            yield
        finally:
            with self._screen:
                self._suspended = False
                self._live.start()

    def _draw(self) -> Group:
        room, height = self._console.size
        with self._lock:
            return Group(*view(self._state, self._clock(), room, height))

    def _redraw(self) -> None:
        while not self._ended.wait(REDRAW_INTERVAL_S):
            with self._screen:
                if not self._suspended:
                    self._print_lasting()
                    self._live.refresh()

    def __enter__(self) -> Self:
        self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._print_lasting()
        self._live.stop()
