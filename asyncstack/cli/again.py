"""`asyncstack attach`, `stop` and `resume`: runs that exist already."""
# ruff: noqa: PLC0415 – heavy imports happen where they are needed, so that --help is quick

from __future__ import annotations

import sys

import typer

from asyncstack.cli import groups as g
from asyncstack.cli.conduct import conduct, run_command
from asyncstack.cli.grouping import expanded
from asyncstack.cli.output import Run

__all__ = ["attach", "resume", "stop"]


@expanded
def attach(
    run: Run = None,
    *,
    shown: g.Shown,
) -> None:
    """Take up a run that still goes on but has lost its controller, and bring it to its end.

    A run outlives the command that started it: a closed terminal, a killed process, a laptop that
    was rebooted. The phase that was running goes on meanwhile; here is where it is met again.

    For example:

      asyncstack attach

      asyncstack attach 20261121-21
    """
    from asyncstack.cli.terminal import passphrases
    from asyncstack.journal import RunDirectory
    from asyncstack.run.engine import attach as take_up

    directory = RunDirectory.find(run)
    conduct(lambda display: take_up(directory, display, passphrases(display)), shown)


def stop(run: Run = None) -> None:
    """End a run everywhere, with all that it started, and check that nothing of it is left.

    For example:

      asyncstack stop
    """
    from asyncstack.cli.interrupt import run_interruptible
    from asyncstack.cli.terminal import passphrases
    from asyncstack.journal import RunDirectory
    from asyncstack.run.ending import stop as end

    directory = RunDirectory.find(run)
    stopped = run_interruptible(lambda: end(directory, passphrases()))
    for node in stopped:
        if node.problem:
            typer.echo(f"{node.node}: unknown: {node.problem}")
        elif node.survivors:
            typer.echo(f"{node.node}: still there: {', '.join(node.survivors)}")
        else:
            typer.echo(f"{node.node}: nothing is left")
    if any(node.survivors for node in stopped):
        sys.exit(1)
    if any(node.problem for node in stopped):
        sys.exit(5)


@expanded
def resume(
    run: Run = None,
    *,
    shown: g.Shown,
) -> None:
    """Run again what failed and what came after it: a new run that begins with the failed phase.

    Of a run that was interrupted, what it had not finished. A run is resumed once; what its resume
    has left is that one's to be resumed.

    For example:

      asyncstack resume
    """
    from asyncstack.cli.resuming import refuse_resumed, what_is_left
    from asyncstack.errors import RunDirectoryError
    from asyncstack.journal import RunDirectory, RunRecord, list_runs, read_events
    from asyncstack.model import Status
    from asyncstack.reports.summary import summarise

    directory = RunDirectory.find(run)
    record = RunRecord.read(directory.run_json)
    if directory.in_progress():
        raise RunDirectoryError(
            "the run goes on",
            path=str(directory.path),
            hint=f"follow it: asyncstack logs --follow {record.run_id}; or end it first: "
            f"asyncstack stop {record.run_id}",
        )
    if record.finished is None:
        raise RunDirectoryError(
            "the run has lost its controller, and where its nodes stand is known to them alone",
            path=str(directory.path),
            hint=f"take it up, also if you have stopped it: asyncstack attach {record.run_id}",
        )
    refuse_resumed(directory, record.run_id, list_runs(after=record.run_id))
    summary = summarise(read_events(directory.events))
    if record.settings is None or not record.plan:
        raise RunDirectoryError(
            "ran no phases",
            path=str(directory.path),
            hint="start it again: asyncstack fetch, which leaves what is there as it is",
        )
    if record.status is Status.OK and all(step.status.good for step in summary.steps):
        raise RunDirectoryError(
            "it left nothing to be done",
            path=str(directory.path),
            hint="start a new one: asyncstack stack",
        )
    run_command(what_is_left(record, record.settings, summary), shown)
