"""What the user asked for, once options, environment and defaults have been put together."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from asyncstack.model import Command, PhaseSelection

__all__ = ["THROUGH", "FetchSettings", "NodeSettings", "RunSettings", "working_directory"]

#: Where a node begins that has nothing left to do.
THROUGH = "-"


class FetchSettings(Struct, frozen=True, kw_only=True):
    """How plugins are brought to $DEST.

    `update` moves checkouts that are there, those in `only` if it names any; with `force` also over
    local work, which is saved first. `locked`: exactly the commits of asyncstack.lock; `write_lock`
    makes that file. `mirrors` are (FROM, TO) prefixes of URLs; `filter` is git's. `tries` are made
    of each source; a git that moves nothing for `stall_s` is given up. `prefetch` also brings what
    the plugins would clone by themselves later. `source` is who gets it for a node that is
    elsewhere: the `controller`, once for all of them, each `node` by itself, or the `controller` for
    one of them, the `seed`, from which the others get it.
    """

    jobs: int = 16
    jobs_per_host: int = 16
    update: bool = False
    only: tuple[str, ...] = ()
    force: bool = False
    locked: bool = False
    write_lock: bool = False
    filter: str = ""
    tries: int = 3
    stall_s: float = 30.0
    mirrors: tuple[tuple[str, str], ...] = ()
    prefetch: bool = False
    source: Literal["controller", "node", "seed"] = "controller"


class NodeSettings(Struct, frozen=True, kw_only=True):
    """Which nodes, and how they keep step.

    Without an inventory and without nodes (`USER@HOST[:PORT]`) it is the local host. `order` names
    groups, one of which finishes everything before the next begins. A node that fails stops the
    others at the next barrier unless `keep_going`, or no more than `max_fail` (a number, or a
    percentage of the nodes) have failed.
    """

    inventory: Path | None = None
    nodes: tuple[str, ...] = ()
    limit: str = ""
    strategy: Literal["linear", "free"] = "linear"
    order: str = ""
    keep_going: bool = False
    max_fail: str = ""
    accept_new_host_keys: bool = False


class RunSettings(Struct, frozen=True, kw_only=True):
    """One run, as it was asked for. Times are seconds, 0 means without limit.

    `run_directory` None: a new one where runs are kept. `trace` turns xtrace on in the plugins.
    `copies_first` are the phases, left out now, whose copies between nodes are still to be made;
    `begin_at` is the phase with which a node begins that is through with those before it; `THROUGH`
    is for one that is only there for its files. `resumes` is the id of the run whose rest it is.
    `working_directory` is where it was asked for, '' for the current one.
    """

    local_conf: Path = Path("local.conf")
    command: Command = "stack"
    selection: PhaseSelection = PhaseSelection()
    fetch: FetchSettings = FetchSettings()
    nodes: NodeSettings = NodeSettings()
    dest: str = ""
    run_directory: Path | None = None
    step_timeout_s: float = 0.0
    trace: bool = False
    copies_first: tuple[str, ...] = ()
    begin_at: dict[str, str] = field(default_factory=dict)
    resumes: str = ""
    working_directory: str = ""


def working_directory() -> str:
    """The current directory; '' if it has been removed."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""
