"""Reading a journal back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asyncstack.errors import RunDirectoryError
from asyncstack.events import Event, decode

__all__ = ["read_events"]


def read_events(path: Path) -> Iterator[Event]:
    """Yield the events of the journal at `path`, in the order they were written.

    Skips kinds that this version doesn't know and a last line that was cut off. Raises
    RunDirectoryError if the file can't be read.
    """
    try:
        with path.open("rb") as stream:
            for line in stream:
                event = decode(line)
                if event is not None:
                    yield event
    except OSError as error:
        raise RunDirectoryError(
            f"can't be read: {error.strerror}",
            path=str(path),
            hint="see `asyncstack runs` for the runs that have a journal",
        ) from error
