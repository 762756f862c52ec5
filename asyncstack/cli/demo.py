"""`asyncstack demo`: a complete try-out, and the commands to go on with."""
# ruff: noqa: PLC0415 – heavy imports happen where they are needed, so that --help is quick

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asyncstack.cli import groups as g
from asyncstack.cli.conduct import run_command
from asyncstack.cli.grouping import expanded
from asyncstack.settings import NodeSettings, RunSettings

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
NEXT = (
    "plan -i lab.yaml",
    "stack -i lab.yaml",
    "report",
    "logs --node compute2 --plugin demo-service",
    "unstack -i lab.yaml",
    "clean -i lab.yaml",
)


@expanded
def demo(directory: Directory = None, *, shown: g.Shown) -> None:
    """Try it all out: three small plugins on a lab of three nodes, on this machine alone.

    Makes a folder with three plugins as git repositories, a local.conf and an inventory: this
    machine and two nodes behind ssh, which it serves by itself. Fetches the plugins concurrently,
    runs all phases of mode stack on all nodes and prints the timing table, then the commands to go
    on with. Needs no network, no sshd and no root, and leaves nothing outside of that folder.

    For example:

      asyncstack demo

      asyncstack demo ~/try
    """
    from asyncstack.cli.demo_folder import NODES, fill_demo_folder, make_demo_folder, write_lab
    from asyncstack.transports.embedded import EmbeddedServer

    folder = make_demo_folder(directory)
    with EmbeddedServer(folder.nodes, NODES) as server:  # which takes as long as the rest
        fill_demo_folder(folder)
        server.wait()
        write_lab(folder, server.lab)
        folder.bind()
        settings = RunSettings(
            local_conf=folder.local_conf, nodes=NodeSettings(inventory=folder.inventory)
        )
        try:
            run_command(settings, shown)
        finally:
            _say_what_next(folder, shown)


def _say_what_next(folder: DemoFolder, shown: g.ShownAs) -> None:
    if shown.quiet and not shown.json:
        typer.echo(folder.path)  # the one result that a script needs
        return
    # Nothing but the commands: not every shell takes a comment behind what is pasted into it.
    commands = "\n".join(f"{folder.command} {arguments}" for arguments in NEXT)
    text = (
        f"\nAll of it is in {folder.path}. Go on with what follows; the two nodes behind ssh are\n"
        f"there while such a command runs.\n\n{commands}\n\nand, in the end: rm -r {folder.path}"
    )
    typer.echo(text, err=shown.json)
