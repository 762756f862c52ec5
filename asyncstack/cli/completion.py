"""What the shell's <TAB> completes beyond names of options: phases, runs, and what ran in them.

A shell asks for these while somebody is typing: whatever can't be read completes to nothing.
"""
# ruff: noqa: PLC0415 – each answer imports only what it needs

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import typer

if TYPE_CHECKING:
    from asyncstack.model import Command
    from asyncstack.reports.logs import StepLog

__all__ = ["nodes", "phases", "plugins", "runs"]


def runs(incomplete: str) -> list[tuple[str, str]]:
    """The ids of past runs, newest first, each with what it was and how it ended."""
    from asyncstack.journal import list_runs

    return [
        (past.directory.run_id, f"{past.record.command} {past.record.status}")
        for past in list_runs()
        if past.record is not None and past.directory.run_id.startswith(incomplete)
    ]


def phases(ctx: typer.Context) -> list[str]:
    """The phases that the command has; for `logs`, those of the run."""
    if ctx.info_name == "logs":
        return _of_steps(ctx, lambda step: step.phase)
    from asyncstack.plan import phase_names

    command = ctx.info_name if ctx.info_name in ("unstack", "clean") else "stack"
    return phase_names(cast("Command", command))


def plugins(ctx: typer.Context) -> list[str]:
    """The plugins of a run."""
    return _of_steps(ctx, lambda step: step.plugin)


def nodes(ctx: typer.Context) -> list[str]:
    """The nodes of a run."""
    return _of_steps(ctx, lambda step: step.node)


def _of_steps(ctx: typer.Context, part: Callable[[StepLog], str]) -> list[str]:
    from asyncstack.errors import AsyncstackError
    from asyncstack.journal import RunDirectory, read_events
    from asyncstack.reports.logs import step_logs

    try:
        events = read_events(RunDirectory.find(ctx.params.get("run")).events)
        return list(dict.fromkeys(part(step) for step in step_logs(events)))
    except AsyncstackError:
        return []
