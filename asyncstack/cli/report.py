"""`asyncstack report`, `runs` and `logs`: what past runs left behind.

Everything heavy is imported inside the functions, so that `asyncstack --help` doesn't pay for it.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import enum
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from asyncstack.cli import completion

if TYPE_CHECKING:
    from rich.text import Text

    from asyncstack.journal import RunDirectory
    from asyncstack.reports.logs import LogPrinter, Selection, StepLog

__all__ = ["ReportFormat", "Run", "logs", "print_lines", "report", "runs", "terminal_width"]

#: Seconds between two looks at a run that is being followed.
FOLLOW_INTERVAL_S = 0.1

#: How wide a table is where there is no terminal to ask.
PIPE_WIDTH = 140


class ReportFormat(enum.StrEnum):
    """What `--format` takes."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


Run = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="A run's id, the beginning of one, or its directory. Default: the newest run.",
        show_default=False,
        autocompletion=completion.runs,
    ),
]


def report(
    run: Run = None,
    output_format: Annotated[
        ReportFormat, typer.Option("--format", help="How to print it.")
    ] = ReportFormat.TABLE,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Where the time of each repository went.")
    ] = False,
) -> None:
    """Print the timing table of a run: plugins against phases.

    Read from the journal alone: any old run can be reported again, also one that still goes on.

    For example:

      asyncstack report

      asyncstack report 20261121-21 --format csv > timing.csv

      asyncstack report --format json | jq '.steps[] | select(.duration_s > 60)'

      asyncstack report --fetch
    """
    from asyncstack.journal import RunDirectory, read_events
    from asyncstack.reports.summary import summarise

    summary = summarise(read_events(RunDirectory.find(run).events))
    if fetch and output_format is ReportFormat.TABLE:
        from asyncstack.reports.fetches import stage_table

        print_lines(stage_table(summary))
        return
    if output_format is ReportFormat.TABLE:
        from asyncstack.reports.table import report_lines

        print_lines(report_lines(summary, terminal_width()))
        return
    with _stdout() as out:
        if output_format is ReportFormat.JSON:
            from asyncstack.reports.export import to_json

            out.write(to_json(summary))
        else:
            from asyncstack.reports.spreadsheet import to_csv

            out.write(to_csv(summary).encode())


def runs(
    count: Annotated[
        int,
        typer.Option("--count", "-c", min=1, metavar="N", help="Show so many of the newest."),
    ] = 20,
) -> None:
    """List past runs, newest first.

    For example:

      asyncstack runs

      asyncstack runs --count 100 | grep failed
    """
    from asyncstack.journal import list_runs, runs_home
    from asyncstack.reports.runs import run_lines

    found = list_runs()
    if not found:
        typer.echo(f"no run yet in {runs_home()}; start one: asyncstack stack local.conf", err=True)
        return
    print_lines(run_lines(found[:count], terminal_width()))
    if len(found) > count:
        typer.echo(f"… and {len(found) - count} older ones (--count)", err=True)


def logs(
    run: Run = None,
    node: Annotated[
        str,
        typer.Option(
            "--node",
            metavar="PATTERN",
            help="Only nodes of this name; a shell pattern.",
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

      asyncstack logs 20261121-213005-4f1c | less -R
    """
    from asyncstack.journal import RunDirectory
    from asyncstack.reports.logs import Selection

    directory = RunDirectory.find(run)
    selection = Selection(node, plugin, phase)
    with _stdout() as out:
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
    nodes = ", ".join(dict.fromkeys(step.node for step in known))
    plugins = ", ".join(dict.fromkeys(step.plugin for step in known))
    phases = ", ".join(dict.fromkeys(step.phase for step in known))
    return f"nodes: {nodes}\n  plugins: {plugins}\n  phases: {phases}"


def terminal_width() -> int:
    """Of the terminal, or what COLUMNS says; wide enough for a whole table in a file."""
    fallback = (PIPE_WIDTH, 24)
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return PIPE_WIDTH
    return shutil.get_terminal_size(fallback).columns


def print_lines(lines: list[Text]) -> None:
    from rich.console import Console

    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")  # a terminal that knows no `█` shows `?`, not a traceback
    console = Console(width=terminal_width(), highlight=False)
    for line in lines:
        console.print(line, soft_wrap=True)


@contextmanager
def _stdout() -> Iterator[BinaryIO]:
    """Stdout for bytes. A reader that has had enough (`| head`) ends the program, silently."""
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Python flushes stdout once more when it exits, which would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None
