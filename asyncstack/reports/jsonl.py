"""`--json`: the journal's lines on stdout, while they happen."""

from __future__ import annotations

from types import TracebackType
from typing import BinaryIO, Self

from asyncstack.events import Event, Transient, encode, stamped

__all__ = ["JsonLines"]


class JsonLines:
    """Writes each event as one line of JSON; the transient kinds are left out, as in the journal.

    A reader that goes away (`| head`) ends the output, not the run; nor does a disk that is full, but
    whoever reads on would take what is there for all: that raises its OSError in the end.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream: BinaryIO | None = stream
        self._error: OSError | None = None

    def emit(self, event: Event) -> None:
        """Write the event and flush."""
        if self._stream is None or isinstance(event, Transient):
            return
        try:
            self._stream.write(encode(stamped(event)) + b"\n")
            self._stream.flush()
        except BrokenPipeError:
            self._stream = None
        except OSError as error:
            self._stream, self._error = None, error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._error is not None and exc is None:
            raise self._error
