"""The structlog side of the journal: its processors, and the logger that is made of them.

Nothing is configured globally: a library that a user of ours logs with is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

import msgspec

from asyncstack.events import Event, kind_of, to_fields
from asyncstack.hiding import hidden

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
    # It would use rich to print tracebacks in colour, which nobody does with our logger.
    with hidden("rich"):
        import structlog  # noqa: PLC0415 – 0.05 s, which only a run should pay

    logger: EventLogger = structlog.BoundLogger(
        _Lines(sink),
        processors=[put_heading_first, render_json],
        context={"run_id": run_id},
    )
    return logger


def log(logger: EventLogger, event: Event) -> None:
    """Log one event; its own run id, if it has one, wins over the logger's."""
    fields = to_fields(event)
    if not fields["run_id"]:
        del fields["run_id"]
    logger.info(kind_of(event), **fields)
