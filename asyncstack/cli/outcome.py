"""What a run ends with on the screen: the table, the failures, where everything is."""
# ruff: noqa: PLC0415

from __future__ import annotations

import sys
from pathlib import Path

from asyncstack.cli.streams import give_stdout_up
from asyncstack.journal import RunDirectory, read_events, runs_home

__all__ = ["print_outcome"]


def print_outcome(directory: RunDirectory, *, table: bool, lock: Path | None = None) -> None:
    """The timing table on stdout; failures and places, that of a new lock file too, on stderr."""
    from rich.console import Console

    from asyncstack.cli.output import print_lines, terminal_width
    from asyncstack.reports.failure import failure_lines
    from asyncstack.reports.summary import summarise
    from asyncstack.reports.table import report_lines

    summary = summarise(read_events(directory.events))
    if table and (summary.steps or summary.command == "fetch"):
        # What went wrong follows at length; the display has already shown the warnings.
        try:
            print_lines(report_lines(summary, terminal_width(), outcome=False))
        except BrokenPipeError:
            give_stdout_up()  # how the run ended is told all the same, here and by the exit code
    # A run outside of where runs are kept is found by its path alone.
    run = "" if directory.path.parent == runs_home() else str(directory.path)
    console = Console(stderr=True, highlight=False)
    for line in failure_lines(summary, directory.path, run):
        console.print(line, soft_wrap=True)
    if table and lock is not None:
        print(f"lock:    {lock}", file=sys.stderr)  # noqa: T201
    if table:
        print(f"journal: {directory.events}", file=sys.stderr)  # noqa: T201
        print(f"logs:    {directory.path / 'logs'}", file=sys.stderr)  # noqa: T201
