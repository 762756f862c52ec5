"""The options that several subcommands share, each with one meaning and one help text."""

from __future__ import annotations

import enum
import math
from pathlib import Path
from typing import Annotated

import typer

from asyncstack.cli import completion

__all__ = [
    "DEFAULT_LOCAL_CONF",
    "AcceptNewHostKeys",
    "Deep",
    "Dest",
    "Detach",
    "Devstack",
    "FetchFrom",
    "FetchSource",
    "Filter",
    "Force",
    "FromPhase",
    "Inventory",
    "Jobs",
    "JobsPerHost",
    "Json",
    "KeepGoing",
    "Limit",
    "LocalConfPath",
    "Locked",
    "MaxFail",
    "Mirror",
    "Names",
    "Node",
    "Order",
    "Phase",
    "PlanJson",
    "PlanLocked",
    "PlanUpdate",
    "Prefetch",
    "Quiet",
    "RunDir",
    "Stall",
    "StepTimeout",
    "Strategy",
    "StrategyOption",
    "Trace",
    "Tries",
    "UntilPhase",
    "Update",
    "Verbose",
    "WriteLock",
    "finite",
]


def finite(value: float) -> float:
    """Refuse `nan`, which is below no minimum, and `inf`, which no record of a run can hold."""
    if not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number to wait for")
    return value


#: What LOCAL_CONF is if it isn't given.
DEFAULT_LOCAL_CONF = Path("local.conf")


class FetchSource(enum.StrEnum):
    """What --fetch-from takes."""

    CONTROLLER = "controller"
    NODE = "node"
    SEED = "seed"


class Strategy(enum.StrEnum):
    """What --strategy takes."""

    LINEAR = "linear"
    FREE = "free"


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
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Update over local work as well; it is saved to a ref first, and named."
    ),
]
Locked = Annotated[
    bool, typer.Option("--locked", help="Use exactly the commits of asyncstack.lock.")
]
WriteLock = Annotated[
    bool, typer.Option("--write-lock", help="Write the commits to asyncstack.lock.")
]
Mirror = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FROM=TO",
        help="Try URLs that begin with FROM at TO first (repeatable).",
        show_default=False,
    ),
]
Filter = Annotated[
    str,
    typer.Option(
        "--filter", metavar="SPEC", help="A partial clone, such as blob:none, if the server can."
    ),
]
Tries = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        help="Tries for each repository and source; a stall or a cut connection costs half of one.",
    ),
]
Stall = Annotated[
    float,
    typer.Option(
        min=0,
        callback=finite,
        metavar="SECONDS",
        help="Give a git up that has moved nothing for so long, and try again; 0: wait for ever. "
        "GIT_TIMEOUT of localrc limits a git call in all.",
    ),
]
Prefetch = Annotated[
    bool,
    typer.Option("--prefetch", help="Fetch what plugins would clone later (LIBS_FROM_GIT), too."),
]
FetchFrom = Annotated[
    FetchSource,
    typer.Option(
        help="Who fetches for remote nodes. controller: once, and sends it to each; node: each by "
        "itself; seed, for a slow way to a lab that is fast inside: the controller sends it to one "
        "node (the first, or the first with an asyncstack_inner_address), where the others get it "
        "from a git daemon, read-only, unencrypted and under a random path."
    ),
]
Inventory = Annotated[
    list[Path] | None,
    typer.Option(
        "-i", "--inventory", metavar="FILE", help="An Ansible inventory.", show_default=False
    ),
]
Node = Annotated[
    list[str] | None,
    typer.Option(
        "-n", "--node", metavar="USER@HOST[:PORT]", help="A node (repeatable).", show_default=False
    ),
]
Limit = Annotated[
    str,
    typer.Option(metavar="PATTERN", help="Only these nodes, in Ansible's patterns (also @FILE)."),
]
StrategyOption = Annotated[
    Strategy,
    typer.Option("--strategy", help="linear: all nodes keep step; free: each at its own pace."),
]
Order = Annotated[
    str,
    typer.Option(metavar="GROUPS", help="Finish one group before the next, as in a,b."),
]
KeepGoing = Annotated[
    bool,
    typer.Option(
        "--keep-going", help="A node that fails or is out of reach doesn't stop the others."
    ),
]
MaxFail = Annotated[
    str,
    typer.Option(
        metavar="N|N%", help="Go on while no more nodes than these have failed or are out of reach."
    ),
]
AcceptNewHostKeys = Annotated[
    bool, typer.Option("--accept-new-host-keys", help="Trust hosts that are not known yet.")
]
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="With --update: these plugins.", show_default=False),
]
StepTimeout = Annotated[
    float,
    typer.Option(
        min=0,
        callback=finite,
        metavar="SECONDS",
        help="Fail a step that takes longer.",
        show_default="no limit",
    ),
]
RunDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep the run in this new directory.", show_default=False),
]
Trace = Annotated[
    bool, typer.Option("--trace", help="Turn bash's xtrace on in the plugins (slower).")
]
# Not listed until there is something that it does: the error says what to do instead.
Devstack = Annotated[str, typer.Option(metavar="DIR", hidden=True)]
Detach = Annotated[
    bool, typer.Option("--detach", help="Start the run, print its id and return; see logs, stop.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the events, one JSON object a line.")]
Deep = Annotated[
    bool,
    typer.Option(
        "--deep", help="List calls into DevStack's core services, told from the plugins' text."
    ),
]
PlanUpdate = Annotated[
    bool, typer.Option("--update", help="Say what an update would refuse to move.")
]
PlanLocked = Annotated[
    bool, typer.Option("--locked", help="Compare with the commits of asyncstack.lock.")
]
PlanJson = Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="Only failures, and where local work was saved.")
]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Plain lines, with what each step prints.")
]
