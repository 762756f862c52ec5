"""The typer application: every subcommand, and the options that stand before one."""

from __future__ import annotations

from typing import Annotated

import typer

from asyncstack import __version__
from asyncstack.cli import demo, report, stack

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Fetch DevStack plugins all at once, run their phases in order, time every step.\n\n"
        "Try it first: asyncstack demo. Then, beside your local.conf: asyncstack stack."
    ),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"asyncstack {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    """Options before the subcommand."""


for command in (
    stack.stack,
    stack.unstack,
    stack.clean,
    stack.fetch,
    stack.plan,
    report.report,
    report.runs,
    report.logs,
    demo.demo,
):
    app.command()(command)
