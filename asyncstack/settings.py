"""What the user asked for, once options, environment and defaults have been put together."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

from asyncstack.model import Command, PhaseSelection

__all__ = ["RunSettings"]


class RunSettings(Struct, frozen=True, kw_only=True):
    """One run, as it was asked for. Times are seconds, 0 means without limit.

    `run_directory` None: a new one where runs are kept. `trace` turns xtrace on in the plugins.
    Without an inventory and without nodes (`USER@HOST[:PORT]`) the run is the local host's.
    `order` names groups, one of which finishes everything before the next begins. A node that
    fails stops the others at the next barrier unless `keep_going`, or no more than `max_fail` (a
    number, or a percentage of the nodes) have failed.
    """

    local_conf: Path = Path("local.conf")
    command: Command = "stack"
    selection: PhaseSelection = PhaseSelection()
    jobs: int = 16
    jobs_per_host: int = 16
    update: bool = False
    dest: str = ""
    run_directory: Path | None = None
    step_timeout_s: float = 0.0
    trace: bool = False
    inventory: Path | None = None
    nodes: tuple[str, ...] = ()
    limit: str = ""
    strategy: Literal["linear", "free"] = "linear"
    order: str = ""
    keep_going: bool = False
    max_fail: str = ""
    accept_new_host_keys: bool = False
