"""The structlog side of the journal: its processors, and the logger that is made of them.

Nothing is configured globally: a library that a user of ours logs with is left alone.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from typing import Any, Protocol

import msgspec

from asyncstack.events import Event, kind_of, to_fields

__all__ = ["EventLogger", "build_logger", "log"]

#: What structlog hands from processor to processor.
EventDict = MutableMapping[str, Any]


class EventLogger(Protocol):
    """The one method of a structlog logger that the journal calls."""

    def info(self, event: str, **fields: Any) -> object:
        """Log one event."""


class _Lines:
    """What structlog calls a wrapped logger: takes each rendered line."""

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self.info = sink


def put_heading_first(_logger: object, _method: str, fields: EventDict) -> EventDict:
    """Begin each line with when and what, for those who read it with less."""
    heading = {"timestamp": fields.pop("timestamp"), "event": fields.pop("event")}
    return {**heading, **fields}


def render_json(_logger: object, _method: str, fields: EventDict) -> bytes:
    """One line of JSON."""
    return msgspec.json.encode(fields) + b"\n"


def build_logger(run_id: str, sink: Callable[[bytes], None]) -> EventLogger:
    """A structlog logger bound to `run_id`, whose every line goes to `sink`."""
    with _unseen("rich"):
        import structlog  # noqa: PLC0415 – 0.05 s, which only a run should pay

    logger: EventLogger = structlog.BoundLogger(
        _Lines(sink),
        processors=[put_heading_first, render_json],
        context={"run_id": run_id},
    )
    return logger


@contextmanager
def _unseen(module: str) -> Iterator[None]:
    """Keep this thread from importing a module while the block runs, if nobody has done so before.

    structlog imports rich where it is there, to print tracebacks in colour, and takes twice as long
    over it; nobody prints any with our logger. The other threads import what they like.
    """
    thread = threading.get_ident()

    class Finder(MetaPathFinder):
        @staticmethod
        def find_spec(fullname: str, _path: object, _target: object = None) -> None:
            if fullname == module and threading.get_ident() == thread:
                raise ModuleNotFoundError(fullname, name=fullname)

    # Lists of their own, for a thread that walks through one while it changes passes over a finder.
    sys.meta_path = [Finder(), *sys.meta_path]
    try:
        yield
    finally:
        sys.meta_path = [one for one in sys.meta_path if not isinstance(one, Finder)]


def log(logger: EventLogger, event: Event) -> None:
    """Log one event; its own run id, if it has one, wins over the logger's."""
    fields = to_fields(event)
    if not fields["run_id"]:
        del fields["run_id"]
    logger.info(kind_of(event), **fields)
