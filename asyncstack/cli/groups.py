"""What commands make of their options: each group a function from options to a setting.

The defaults stand here, once, and the order is that of `--help`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Struct

from asyncstack.cli import options as o
from asyncstack.cli.grouping import Options, expanded
from asyncstack.errors import SettingsError
from asyncstack.model import PhaseSelection
from asyncstack.settings import FetchSettings, NodeSettings, RunSettings

__all__ = [
    "AllFetching",
    "AllNodes",
    "Fetching",
    "Nodes",
    "Running",
    "Selection",
    "Shown",
    "ShownAs",
    "the_inventory",
    "with_lock_checked",
    "with_order",
]

#: `--filter` of git-rev-list(1).
_FILTER = re.compile(
    r"blob:none|blob:limit=\d+[kmgKMG]?|tree:\d+|object:type=(?:blob|tree|commit|tag)"
    r"|(?:sparse:oid=|combine:)\S+"
)


class ShownAs(Struct, frozen=True):
    """How what happens is to be shown."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False


def _nodes(
    inventory: o.Inventory = None,
    node: o.Node = None,
    limit: o.Limit = "",
    accept_new_host_keys: o.AcceptNewHostKeys = False,
) -> NodeSettings:
    settings = NodeSettings(
        inventory=the_inventory(inventory),
        nodes=tuple(node or ()),
        limit=limit,
        accept_new_host_keys=accept_new_host_keys,
    )
    return _with_something_to_choose_from(settings, "--limit", limit)


Nodes = Annotated[NodeSettings, Options(_nodes)]


@expanded
def _all_nodes(
    nodes: Nodes,
    strategy: o.StrategyOption = o.Strategy.LINEAR,
    order: o.Order = "",
    keep_going: o.KeepGoing = False,
    max_fail: o.MaxFail = "",
) -> NodeSettings:
    if keep_going and max_fail:
        raise SettingsError(
            f"--keep-going and --max-fail {max_fail} exclude each other",
            hint="--keep-going goes on however many nodes have failed",
        )
    return msgspec.structs.replace(
        with_order(nodes, order),
        strategy=strategy.value,
        keep_going=keep_going,
        max_fail=max_fail,
    )


#: Which nodes, and how they keep step.
AllNodes = Annotated[NodeSettings, Options(_all_nodes)]


def _selection(
    phase: o.Phase = "", from_phase: o.FromPhase = "", until_phase: o.UntilPhase = ""
) -> PhaseSelection:
    return PhaseSelection(phase, from_phase, until_phase)


Selection = Annotated[PhaseSelection, Options(_selection)]


def _fetching(
    fetch_from: o.FetchFrom = o.FetchSource.CONTROLLER,
    jobs: o.Jobs = 16,
    jobs_per_host: o.JobsPerHost = 16,
    update: o.Update = False,
    force: o.Force = False,
    locked: o.Locked = False,
    mirror: o.Mirror = None,
    filter_: o.Filter = "",
    tries: o.Tries = 3,
    stall: o.Stall = 30,
) -> FetchSettings:
    settings = FetchSettings(
        jobs=jobs,
        jobs_per_host=jobs_per_host,
        update=update,
        force=force,
        locked=locked,
        mirrors=_mirrors(mirror),
        filter=_filter(filter_),
        tries=tries,
        stall_s=stall,
        source=fetch_from.value,
    )
    return with_lock_checked(settings)


Fetching = Annotated[FetchSettings, Options(_fetching)]


@expanded
def _all_fetching(fetching: Fetching, prefetch: o.Prefetch = False) -> FetchSettings:
    return msgspec.structs.replace(fetching, prefetch=prefetch)


#: How plugins are brought to $DEST by a run that goes on with their phases.
AllFetching = Annotated[FetchSettings, Options(_all_fetching)]


def _running(
    dest: o.Dest = "",
    step_timeout: o.StepTimeout = 0,
    run_dir: o.RunDir = None,
    trace: o.Trace = False,
    devstack: o.Devstack = "",
) -> RunSettings:
    if devstack:
        raise SettingsError(
            f"--devstack {devstack}: this version can't drive a DevStack checkout yet",
            hint="asyncstack plan --deep lists the plugins that need one: bring their checkouts with "
            "asyncstack fetch, then run stack.sh in it with ERROR_ON_CLONE=True",
        )
    return RunSettings(dest=dest, step_timeout_s=step_timeout, run_directory=run_dir, trace=trace)


#: The rest of a run, for `msgspec.structs.replace` to complete.
Running = Annotated[RunSettings, Options(_running)]


def _shown(json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = False) -> ShownAs:
    return ShownAs(json=json, quiet=quiet, verbose=verbose)


Shown = Annotated[ShownAs, Options(_shown)]


def the_inventory(given: list[Path] | None) -> Path | None:
    """What -i names. Raises SettingsError for several: the nodes of some would be left out."""
    if given and len(given) > 1:
        several = " ".join(f"-i {path}" for path in given)
        raise SettingsError(
            f"{several}: asyncstack reads one inventory",
            hint=f"let Ansible put them together: ansible-inventory {several} --list > nodes.json, "
            "then -i nodes.json",
        )
    return given[0] if given else None


def with_lock_checked(fetch: FetchSettings) -> FetchSettings:
    """The same. Raises SettingsError for a wish to keep to the lock file and to move away from it."""
    if fetch.locked and (fetch.update or fetch.write_lock):
        other = "--update" if fetch.update else "--write-lock"
        raise SettingsError(
            f"--locked and {other} exclude each other",
            hint="--locked keeps to the commits of asyncstack.lock, the other one renews them",
        )
    return fetch


def with_order(nodes: NodeSettings, order: str) -> NodeSettings:
    """The nodes in this order of groups. Raises SettingsError where there are no groups."""
    return _with_something_to_choose_from(
        msgspec.structs.replace(nodes, order=order), "--order", order
    )


def _with_something_to_choose_from(nodes: NodeSettings, option: str, value: str) -> NodeSettings:
    if value and nodes.inventory is None and not nodes.nodes:
        raise SettingsError(
            f"{option} {value}: there is no inventory to choose from",
            hint="add -i FILE, or leave it out: without an inventory it is this machine alone",
        )
    return nodes


def _filter(spec: str) -> str:
    """What --filter names. Raises SettingsError for what git-rev-list(1) doesn't have."""
    if spec and not _FILTER.fullmatch(spec):
        raise SettingsError(
            f"--filter {spec}: git has no such filter",
            hint="leave file contents out with --filter blob:none, big ones with blob:limit=1m",
        )
    return spec


def _mirrors(values: list[str] | None) -> tuple[tuple[str, str], ...]:
    """The pairs of --mirror. Raises SettingsError for one that is none."""
    pairs: list[tuple[str, str]] = []
    for value in values or ():
        source, sign, target = value.partition("=")
        if not (source and sign and target):
            raise SettingsError(
                f"--mirror {value}: is no FROM=TO", hint="write --mirror https://a/=https://b/"
            )
        pairs.append((source, target))
    return tuple(pairs)
