"""The options that several subcommands share, each with one meaning and one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Dest",
    "FromPhase",
    "Jobs",
    "JobsPerHost",
    "Json",
    "LocalConfPath",
    "Phase",
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
    typer.Argument(metavar="[LOCAL_CONF]", help="DevStack's configuration.", show_default=True),
]
Jobs = Annotated[int, typer.Option("-j", "--jobs", min=1, metavar="N", help="Clones at once.")]
JobsPerHost = Annotated[
    int, typer.Option("--jobs-per-host", min=1, metavar="N", help="Clones at once from one host.")
]
Phase = Annotated[
    str,
    typer.Option(metavar="NAME", help="Run only this phase (after the settings are loaded)."),
]
FromPhase = Annotated[str, typer.Option(metavar="NAME", help="Begin with this phase.")]
UntilPhase = Annotated[str, typer.Option(metavar="NAME", help="End after this phase.")]
Dest = Annotated[str, typer.Option(metavar="DIR", help="Override DEST of localrc.")]
Update = Annotated[
    bool, typer.Option("--update", help="Update checkouts that are there (as RECLONE=True does).")
]
StepTimeout = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="Fail a step that takes longer; 0: never."),
]
RunDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep the run in this new directory.", show_default=False),
]
Trace = Annotated[
    bool, typer.Option("--trace", help="Turn bash's xtrace on in the plugins (slower).")
]
Json = Annotated[bool, typer.Option("--json", help="Print the events, one JSON object a line.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress, only results.")]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Plain lines, with what each step prints.")
]
