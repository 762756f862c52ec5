"""The options that several subcommands share, each with one meaning and one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asyncstack.cli import completion

__all__ = [
    "Dest",
    "FromPhase",
    "Jobs",
    "JobsPerHost",
    "Json",
    "LocalConfPath",
    "Phase",
    "PlanJson",
    "Quiet",
    "RunDir",
    "StepTimeout",
    "Trace",
    "UntilPhase",
    "Update",
    "Verbose",
]

LocalConfPath = Annotated[
    Path,
    typer.Argument(metavar="LOCAL_CONF", help="DevStack's configuration.", show_default=True),
]
Jobs = Annotated[int, typer.Option("-j", "--jobs", min=1, metavar="N", help="Clones at once.")]
JobsPerHost = Annotated[
    int, typer.Option("--jobs-per-host", min=1, metavar="N", help="Clones at once from one host.")
]
Phase = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Run only this phase (after the settings are loaded).",
        autocompletion=completion.phases,
    ),
]
FromPhase = Annotated[
    str,
    typer.Option(metavar="NAME", help="Begin with this phase.", autocompletion=completion.phases),
]
UntilPhase = Annotated[
    str,
    typer.Option(metavar="NAME", help="End after this phase.", autocompletion=completion.phases),
]
Dest = Annotated[str, typer.Option(metavar="DIR", help="Override DEST of localrc.")]
Update = Annotated[
    bool, typer.Option("--update", help="Update checkouts that are there (as RECLONE=True does).")
]
StepTimeout = Annotated[
    float,
    typer.Option(
        min=0, metavar="SECONDS", help="Fail a step that takes longer.", show_default="no limit"
    ),
]
RunDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep the run in this new directory.", show_default=False),
]
Trace = Annotated[
    bool, typer.Option("--trace", help="Turn bash's xtrace on in the plugins (slower).")
]
Json = Annotated[bool, typer.Option("--json", help="Print the events, one JSON object a line.")]
PlanJson = Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress, only results.")]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Plain lines, with what each step prints.")
]
