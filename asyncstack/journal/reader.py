"""Reading a journal back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asyncstack.errors import RunDirectoryError
from asyncstack.events import Event, decode

__all__ = ["EventTail", "read_events"]


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
        raise _unreadable(path, error) from error


class EventTail:
    """Reads a journal that is still being written: each `read` gives what is new and complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[Event]:
        """The events since the last call. Raises RunDirectoryError if the file can't be read."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read()
        except OSError as error:
            raise _unreadable(self._path, error) from error
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        return [event for line in complete.splitlines() if (event := decode(line)) is not None]


def _unreadable(path: Path, error: OSError) -> RunDirectoryError:
    return RunDirectoryError(
        f"can't be read: {error.strerror}",
        path=str(path),
        hint="see `asyncstack runs` for the runs that have a journal",
    )
