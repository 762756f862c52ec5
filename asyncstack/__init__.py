"""Fetch DevStack plugins all at once, run their phases in order, time every step.

`__all__` is the interface for Python. Each name is imported when it is first asked for, so that
`import asyncstack` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncstack.errors import AsyncstackError
    from asyncstack.events import Event, FetchFinished, StepFinished, Warned
    from asyncstack.fetcher import FetchOptions, FetchRequest, FetchResult, fetch
    from asyncstack.journal import RunDirectory, RunRecord, list_runs, read_events
    from asyncstack.model import PhaseSelection, Plugin, Status
    from asyncstack.reports.display import Display, Silent
    from asyncstack.reports.summary import Summary, summarise
    from asyncstack.run import Plan, RunResult, execute, make_plan
    from asyncstack.settings import RunSettings

__version__ = "0.1.0"

__all__ = [
    "AsyncstackError",
    "Display",
    "Event",
    "FetchFinished",
    "FetchOptions",
    "FetchRequest",
    "FetchResult",
    "PhaseSelection",
    "Plan",
    "Plugin",
    "RunDirectory",
    "RunRecord",
    "RunResult",
    "RunSettings",
    "Silent",
    "Status",
    "StepFinished",
    "Summary",
    "Warned",
    "__version__",
    "execute",
    "fetch",
    "list_runs",
    "make_plan",
    "read_events",
    "summarise",
]

_HOMES = {
    "asyncstack.errors": ("AsyncstackError",),
    "asyncstack.events": ("Event", "FetchFinished", "StepFinished", "Warned"),
    "asyncstack.fetcher": ("FetchOptions", "FetchRequest", "FetchResult", "fetch"),
    "asyncstack.journal": ("RunDirectory", "RunRecord", "list_runs", "read_events"),
    "asyncstack.model": ("PhaseSelection", "Plugin", "Status"),
    "asyncstack.reports.display": ("Display", "Silent"),
    "asyncstack.reports.summary": ("Summary", "summarise"),
    "asyncstack.run": ("Plan", "RunResult", "execute", "make_plan"),
    "asyncstack.settings": ("RunSettings",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
