"""`asyncstack report` and `runs`: what past runs left behind.

Everything heavy is imported inside the functions, so that `asyncstack --help` doesn't pay for it.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import enum
from typing import Annotated

import typer

from asyncstack.cli.output import Run, open_stdout, print_lines, terminal_width

__all__ = ["ReportFormat", "report", "runs"]


class ReportFormat(enum.StrEnum):
    """What `--format` takes."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


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

      asyncstack report --fetch --format csv > fetches.csv
    """
    from asyncstack.journal import RunDirectory, read_events
    from asyncstack.reports.summary import summarise

    summary = summarise(read_events(RunDirectory.find(run).events))
    if fetch and not summary.fetches:
        typer.echo(f"run {summary.run_id} fetched nothing", err=True)
    if fetch and output_format is ReportFormat.TABLE:
        from asyncstack.reports.fetches import stage_table

        print_lines(stage_table(summary, terminal_width()))
        return
    if output_format is ReportFormat.TABLE:
        from asyncstack.reports.table import report_lines

        print_lines(report_lines(summary, terminal_width()))
        return
    with open_stdout() as out:
        if output_format is ReportFormat.JSON:
            from asyncstack.reports.export import fetches_to_json, to_json

            out.write((fetches_to_json if fetch else to_json)(summary))
        else:
            from asyncstack.reports.spreadsheet import fetches_to_csv, to_csv

            out.write((fetches_to_csv if fetch else to_csv)(summary).encode())


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
