"""The typer application: every subcommand, and the options that stand before one."""

from __future__ import annotations

from typing import Annotated

import typer

from asyncstack import __version__
from asyncstack.cli import again, cache, demo, hosts, logs, report, stack
from asyncstack.cli.help import Command, Group

__all__ = ["app"]

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Fetch DevStack plugins all at once, run their phases in order, time every step.\n\n"
        "Try it first, then use it beside your local.conf:\n\n"
        "  asyncstack demo\n\n"
        "  asyncstack stack\n\n"
        "Exit codes: 0 all ok; 1 a step or a fetch failed; 2 what you wrote is wrong; 5 a node is "
        "unreachable or was lost; 70 a bug of ours; 130 interrupted."
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
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options before the subcommand."""


for command in (
    stack.stack,
    stack.unstack,
    stack.clean,
    stack.fetch,
    stack.plan,
    again.attach,
    again.stop,
    again.resume,
    report.report,
    report.runs,
    logs.logs,
    demo.demo,
):
    app.command(cls=Command)(command)

for name, group in (("cache", cache.app), ("hosts", hosts.app)):
    for registered in group.registered_commands:
        registered.cls = Command
    app.add_typer(group, name=name, cls=Group)
