"""`asyncstack logs`: what the steps of a run printed.

Everything heavy is imported inside the functions, so that `asyncstack --help` doesn't pay for it.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from asyncstack.cli import completion
from asyncstack.cli.output import Run, open_stdout

if TYPE_CHECKING:
    from asyncstack.journal import RunDirectory
    from asyncstack.reports.logs import LogPrinter, Selection, StepLog

__all__ = ["logs"]

#: Seconds between two looks at a run that is being followed.
FOLLOW_INTERVAL_S = 0.1


def logs(
    run: Run = None,
    node: Annotated[
        str,
        typer.Option(
            "--node",
            metavar="PATTERN",
            help="Only these nodes: names, shell patterns, compute[1-4], !name; with commas.",
            autocompletion=completion.nodes,
        ),
    ] = "",
    plugin: Annotated[
        str,
        typer.Option(
            "--plugin",
            metavar="PATTERN",
            help="Only plugins of this name; a shell pattern.",
            autocompletion=completion.plugins,
        ),
    ] = "",
    phase: Annotated[
        str,
        typer.Option(
            "--phase",
            metavar="PATTERN",
            help="Only phases of this name; a shell pattern.",
            autocompletion=completion.phases,
        ),
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends.")
    ] = False,
) -> None:
    """Print what the steps of a run printed, as raw bytes.

    For example:

      asyncstack logs --plugin ironic --phase install

      asyncstack logs --node 'compute*' --follow

      asyncstack logs --node 'compute[1-4],!compute3' --phase install

      asyncstack logs 20261121-213005-4f1c | less -R
    """
    from asyncstack.journal import RunDirectory
    from asyncstack.reports.logs import Selection

    directory = RunDirectory.find(run)
    selection = Selection(node, plugin, phase)
    with open_stdout() as out:
        if follow:
            _follow(directory, selection, out)
        else:
            _copy(directory, selection, out)


def _copy(directory: RunDirectory, selection: Selection, out: BinaryIO) -> None:
    from asyncstack.errors import SettingsError
    from asyncstack.journal import read_events
    from asyncstack.reports.logs import step_logs

    known = step_logs(read_events(directory.events))
    chosen = [step for step in known if selection.fits(step)]
    if known and not chosen:
        raise SettingsError("no step of this run fits", hint=_choices(known))
    _printer(directory, out, headings=len(chosen) > 1 or sys.stdout.isatty()).copy(chosen)


def _follow(directory: RunDirectory, selection: Selection, out: BinaryIO) -> None:
    from asyncstack.journal import EventTail
    from asyncstack.reports.logs import LogFollower

    tail = EventTail(directory.events)
    follower = LogFollower(selection)
    printer = _printer(directory, out, headings=True)
    while not follower.finished:
        # Asked before reading: what is written until the writer goes must still be read.
        alive = directory.in_progress()
        printer.copy(follower.take(tail.read()))
        if not alive:
            break
        if not follower.finished:
            time.sleep(FOLLOW_INTERVAL_S)
    printer.copy(follower.steps)


def _printer(directory: RunDirectory, out: BinaryIO, *, headings: bool) -> LogPrinter:
    from asyncstack.reports.logs import LogPrinter

    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    style = (b"\x1b[1m", b"\x1b[0m") if coloured else (b"", b"")
    return LogPrinter(directory.path, out, headings=headings, style=style)


def _choices(known: list[StepLog]) -> str:
    """What the options could have said."""
    from asyncstack.reports.folding import fold

    nodes = fold(step.node for step in known)
    plugins = ", ".join(dict.fromkeys(step.plugin for step in known if step.plugin))
    phases = ", ".join(dict.fromkeys(step.phase for step in known))
    return f"nodes: {nodes}\n  plugins: {plugins}\n  phases: {phases}"
