"""`asyncstack demo`: a complete try-out, and the commands to go on with."""
# ruff: noqa: PLC0415 – heavy imports happen where they are needed, so that --help is quick

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asyncstack.cli import options as o
from asyncstack.cli.stack import run_command
from asyncstack.settings import RunSettings

if TYPE_CHECKING:
    from asyncstack.cli.demo_folder import DemoFolder

__all__ = ["demo"]

Directory = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        help="A new or empty folder for all of it. Default: a new one in the temporary folder.",
        show_default=False,
    ),
]

#: What a user can go on with, in an order that makes sense.
NEXT = ("plan", "stack", "report", "logs --plugin demo-service", "unstack", "clean")


def demo(
    directory: Directory = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Try it all out with three small plugins, on this machine alone.

    Makes a folder with three plugins as git repositories and a local.conf, fetches the plugins
    concurrently, runs all phases of mode stack and prints the timing table, then the commands to
    go on with. Needs no network and no root, and leaves nothing outside of that folder.
    """
    from asyncstack.cli.demo_folder import make_demo_folder

    folder = make_demo_folder(directory)
    os.environ.update(folder.environment)  # the node's side of a local run reads it there
    try:
        run_command(
            RunSettings(local_conf=folder.local_conf), json=json, quiet=quiet, verbose=verbose
        )
    finally:
        _say_what_next(folder, json=json, quiet=quiet)


def _say_what_next(folder: DemoFolder, *, json: bool, quiet: bool) -> None:
    if quiet and not json:
        typer.echo(folder.path)  # the one result that a script needs
        return
    # Nothing but the commands: not every shell takes a comment behind what is pasted into it.
    commands = "\n".join(f"{folder.command} {arguments}" for arguments in NEXT)
    text = f"\nAll of it is in {folder.path}. Go on with:\n\n{commands}"
    text += f"\n\nand, in the end: rm -r {folder.path}"
    typer.echo(text, err=json)
