"""`asyncstack stack`, `unstack`, `clean`, `fetch` and `plan`."""
# ruff: noqa: PLC0415 – heavy imports happen where they are needed, so that --help is quick

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from asyncstack.cli import options as o
from asyncstack.model import Command, PhaseSelection
from asyncstack.settings import FetchSettings, NodeSettings, RunSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncstack.reports.display import Display
    from asyncstack.run.engine import Goal, RunResult

__all__ = ["clean", "conduct", "fetch", "plan", "run_command", "stack", "unstack"]

_LOCAL_CONF = o.DEFAULT_LOCAL_CONF
_INTERRUPTED = """\
asyncstack: interrupted; what was started has been ended, what was finished is recorded
  see it: asyncstack report"""


def stack(
    local_conf: o.LocalConfPath = _LOCAL_CONF,
    inventory: o.Inventory = None,
    node: o.Node = None,
    limit: o.Limit = "",
    strategy: o.StrategyOption = o.Strategy.LINEAR,
    order: o.Order = "",
    keep_going: o.KeepGoing = False,
    max_fail: o.MaxFail = "",
    accept_new_host_keys: o.AcceptNewHostKeys = False,
    fetch_from: o.FetchFrom = o.FetchSource.CONTROLLER,
    jobs: o.Jobs = 16,
    jobs_per_host: o.JobsPerHost = 16,
    phase: o.Phase = "",
    from_phase: o.FromPhase = "",
    until_phase: o.UntilPhase = "",
    dest: o.Dest = "",
    update: o.Update = False,
    force: o.Force = False,
    locked: o.Locked = False,
    mirror: o.Mirror = None,
    filter_: o.Filter = "",
    tries: o.Tries = 3,
    stall: o.Stall = 30,
    prefetch: o.Prefetch = False,
    step_timeout: o.StepTimeout = 0,
    run_dir: o.RunDir = None,
    trace: o.Trace = False,
    detach: o.Detach = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Fetch all plugins at once, then run their phases of mode stack.

    The phases, in order: override_defaults, source, prerequisites, pre-install, install,
    post-config, extra, test-config.

    For example:

      asyncstack stack

      asyncstack stack ~/devstack/local.conf --until-phase install

      asyncstack stack --phase extra --step-timeout 600

      asyncstack stack --locked

      asyncstack stack -i lab.yaml --limit 'compute*'

      asyncstack stack -n stack@10.0.0.5 -n stack@10.0.0.6
    """
    o.check_lock(locked=locked, update=update)
    settings = RunSettings(
        local_conf=local_conf,
        selection=PhaseSelection(phase, from_phase, until_phase),
        fetch=FetchSettings(
            jobs=jobs,
            jobs_per_host=jobs_per_host,
            update=update,
            force=force,
            locked=locked,
            mirrors=o.mirrors(mirror),
            filter=filter_,
            tries=tries,
            stall_s=stall,
            prefetch=prefetch,
            source=fetch_from.value,
        ),
        nodes=_nodes(
            inventory, node, limit, strategy, order, keep_going, max_fail, accept_new_host_keys
        ),
        dest=dest,
        step_timeout_s=step_timeout,
        run_directory=run_dir,
        trace=trace,
    )
    run_command(settings, json=json, quiet=quiet, verbose=verbose, detach=detach)


def unstack(
    local_conf: o.LocalConfPath = _LOCAL_CONF,
    inventory: o.Inventory = None,
    node: o.Node = None,
    limit: o.Limit = "",
    strategy: o.StrategyOption = o.Strategy.LINEAR,
    order: o.Order = "",
    keep_going: o.KeepGoing = False,
    max_fail: o.MaxFail = "",
    accept_new_host_keys: o.AcceptNewHostKeys = False,
    dest: o.Dest = "",
    step_timeout: o.StepTimeout = 0,
    run_dir: o.RunDir = None,
    trace: o.Trace = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Run `plugin.sh unstack` of all plugins, as unstack.sh does.

    A plugin that fails is reported, and the next one still runs.
    """
    nodes = _nodes(
        inventory, node, limit, strategy, order, keep_going, max_fail, accept_new_host_keys
    )
    _without_phases(
        "unstack", local_conf, nodes, dest, step_timeout, run_dir, trace, json, quiet, verbose
    )


def clean(
    local_conf: o.LocalConfPath = _LOCAL_CONF,
    inventory: o.Inventory = None,
    node: o.Node = None,
    limit: o.Limit = "",
    strategy: o.StrategyOption = o.Strategy.LINEAR,
    order: o.Order = "",
    keep_going: o.KeepGoing = False,
    max_fail: o.MaxFail = "",
    accept_new_host_keys: o.AcceptNewHostKeys = False,
    dest: o.Dest = "",
    step_timeout: o.StepTimeout = 0,
    run_dir: o.RunDir = None,
    trace: o.Trace = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Run `plugin.sh unstack`, then `plugin.sh clean` of all plugins, as clean.sh does.

    A plugin that fails is reported, and the next one still runs.
    """
    nodes = _nodes(
        inventory, node, limit, strategy, order, keep_going, max_fail, accept_new_host_keys
    )
    _without_phases(
        "clean", local_conf, nodes, dest, step_timeout, run_dir, trace, json, quiet, verbose
    )


def _nodes(
    inventory: Path | None,
    node: list[str] | None,
    limit: str,
    strategy: o.Strategy,
    order: str,
    keep_going: bool,
    max_fail: str,
    accept_new_host_keys: bool,
) -> NodeSettings:
    return NodeSettings(
        inventory=inventory,
        nodes=tuple(node or ()),
        limit=limit,
        strategy=strategy.value,
        order=order,
        keep_going=keep_going,
        max_fail=max_fail,
        accept_new_host_keys=accept_new_host_keys,
    )


def _without_phases(
    command: Command,
    local_conf: Path,
    nodes: NodeSettings,
    dest: str,
    step_timeout: float,
    run_dir: Path | None,
    trace: bool,
    json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    settings = RunSettings(
        command=command,
        local_conf=local_conf,
        nodes=nodes,
        dest=dest,
        step_timeout_s=step_timeout,
        run_directory=run_dir,
        trace=trace,
    )
    run_command(settings, json=json, quiet=quiet, verbose=verbose)


def fetch(
    local_conf: o.LocalConfPath = _LOCAL_CONF,
    names: o.Names = None,
    inventory: o.Inventory = None,
    node: o.Node = None,
    limit: o.Limit = "",
    accept_new_host_keys: o.AcceptNewHostKeys = False,
    fetch_from: o.FetchFrom = o.FetchSource.CONTROLLER,
    jobs: o.Jobs = 16,
    jobs_per_host: o.JobsPerHost = 16,
    dest: o.Dest = "",
    update: o.Update = False,
    force: o.Force = False,
    locked: o.Locked = False,
    write_lock: o.WriteLock = False,
    mirror: o.Mirror = None,
    filter_: o.Filter = "",
    tries: o.Tries = 3,
    stall: o.Stall = 30,
    run_dir: o.RunDir = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Clone the plugins, or update them, and run nothing.

    With --update, NAMEs say which plugins; all of them if none is given.

    For example:

      asyncstack fetch -j 8

      asyncstack fetch --write-lock

      asyncstack fetch --update heat ironic
    """
    local_conf, only = o.plugin_names(local_conf, names, update=update)
    o.check_lock(locked=locked, update=update, write_lock=write_lock)
    settings = RunSettings(
        local_conf=local_conf,
        fetch=FetchSettings(
            jobs=jobs,
            jobs_per_host=jobs_per_host,
            update=update,
            only=only,
            force=force,
            locked=locked,
            write_lock=write_lock,
            mirrors=o.mirrors(mirror),
            filter=filter_,
            tries=tries,
            stall_s=stall,
            source=fetch_from.value,
        ),
        nodes=NodeSettings(
            inventory=inventory,
            nodes=tuple(node or ()),
            limit=limit,
            accept_new_host_keys=accept_new_host_keys,
        ),
        dest=dest,
        run_directory=run_dir,
    )
    run_command(settings, goal="fetch", json=json, quiet=quiet, verbose=verbose)


def plan(
    local_conf: o.LocalConfPath = _LOCAL_CONF,
    inventory: o.Inventory = None,
    node: o.Node = None,
    limit: o.Limit = "",
    order: o.Order = "",
    accept_new_host_keys: o.AcceptNewHostKeys = False,
    phase: o.Phase = "",
    from_phase: o.FromPhase = "",
    until_phase: o.UntilPhase = "",
    dest: o.Dest = "",
    deep: o.Deep = False,
    json: o.PlanJson = False,
) -> None:
    """Show what would be fetched and run, in which order, and what looks wrong. Change nothing.

    localrc is evaluated, for only bash can say what it means; no plugin is.
    """
    from asyncstack.cli.interrupt import run_interruptible
    from asyncstack.cli.plan import print_plans
    from asyncstack.cli.terminal import passphrases
    from asyncstack.run.planning import make_plan

    settings = RunSettings(
        local_conf=local_conf,
        selection=PhaseSelection(phase, from_phase, until_phase),
        nodes=NodeSettings(
            inventory=inventory,
            nodes=tuple(node or ()),
            limit=limit,
            order=order,
            accept_new_host_keys=accept_new_host_keys,
        ),
        dest=dest,
    )
    ask = passphrases()
    print_plans(run_interruptible(lambda: make_plan(settings, deep=deep, ask=ask)), json=json)


def run_command(
    settings: RunSettings,
    *,
    goal: Goal = "phases",
    json: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    detach: bool = False,
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

        detached(lambda display: conduct(work, display, json=False, quiet=True))
        return
    from asyncstack.reports.display import choose_display

    display = choose_display(json=json, quiet=quiet, verbose=verbose)
    conduct(work, display, json=json, quiet=quiet)


def conduct(
    work: Callable[[Display], Awaitable[RunResult]], display: Display, *, json: bool, quiet: bool
) -> None:
    """Show what `work` does while it does it, print what came of it, exit with its code."""
    from asyncstack.cli.interrupt import Interrupted, run_interruptible
    from asyncstack.cli.outcome import print_outcome

    try:
        with display:
            result = run_interruptible(lambda: work(display))
    except Interrupted:
        if not json and not quiet:
            typer.echo(_INTERRUPTED, err=True)
        raise typer.Exit(130) from None
    if not json:
        print_outcome(result.directory, table=not quiet, lock=result.lock)
    raise typer.Exit(result.exit_code)
