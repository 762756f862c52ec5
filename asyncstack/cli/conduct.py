"""A run, from the command line's point of view: with a display, a way to end it, and an outcome."""
# ruff: noqa: PLC0415 – heavy imports happen where they are needed, so that --help is quick

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from asyncstack.cli.groups import ShownAs
from asyncstack.settings import RunSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncstack.reports.display import Display
    from asyncstack.run.engine import Goal, RunResult

__all__ = ["conduct", "run_command"]

_INTERRUPTED = """\
asyncstack: interrupted; what was started has been ended, what was finished is recorded
  see it: asyncstack report"""
_RESUMABLE = "  go on:  asyncstack resume"


def run_command(
    settings: RunSettings, shown: ShownAs, *, goal: Goal = "phases", detach: bool = False
) -> None:
    """Do a run with a display, print what came of it, and exit with its code.

    `detach`: leave all of that to a background process, and print only the run's id.
    """
    from asyncstack.cli.terminal import passphrases
    from asyncstack.run.engine import execute

    def work(display: Display) -> Awaitable[RunResult]:
        return execute(settings, display, goal, passphrases(display))

    if detach:
        from asyncstack.cli.detach import detached

        detached(lambda display: conduct(work, ShownAs(quiet=True), display))
        return
    runs = goal == "phases"
    conduct(work, shown, resumable=settings.command == "stack" and runs, attachable=runs)


def conduct(
    work: Callable[[Display], Awaitable[RunResult]],
    shown: ShownAs,
    display: Display | None = None,
    *,
    resumable: bool = False,
    attachable: bool = True,
) -> None:
    """Show what `work` does while it does it, print what came of it, exit with its code.

    `display` None: the one that `shown` asks for. `resumable`: if it is interrupted, `resume` can go on.
    `attachable`: a closed terminal is to leave it to `attach`.
    """
    from asyncstack.cli.interrupt import Interrupted, run_interruptible
    from asyncstack.reports.display import choose_display

    used = display or choose_display(json=shown.json, quiet=shown.quiet, verbose=shown.verbose)
    try:
        with used:
            result = run_interruptible(lambda: work(used), attachable=attachable)
    except Interrupted:
        if not shown.json and not shown.quiet:
            typer.echo(_INTERRUPTED, err=True)
            if resumable:
                typer.echo(_RESUMABLE, err=True)
        raise typer.Exit(130) from None
    # Of a run that went well --quiet has nothing to say.
    if not shown.json and (result.exit_code or not shown.quiet):
        from asyncstack.cli.outcome import print_outcome

        print_outcome(result.directory, table=not shown.quiet, lock=result.lock)
    raise typer.Exit(result.exit_code)
