"""`asyncstack stack`, `unstack`, `clean`, `fetch` and `plan`."""
# ruff: noqa: PLC0415 – heavy imports happen where they are needed, so that --help is quick

from __future__ import annotations

from pathlib import Path

import msgspec

from asyncstack.cli import groups as g
from asyncstack.cli import options as o
from asyncstack.cli.conduct import run_command
from asyncstack.cli.grouping import expanded
from asyncstack.errors import SettingsError
from asyncstack.settings import FetchSettings, RunSettings

__all__ = ["clean", "fetch", "plan", "stack", "unstack"]


@expanded
def stack(
    local_conf: o.LocalConfPath = o.DEFAULT_LOCAL_CONF,
    *,
    nodes: g.AllNodes,
    selection: g.Selection,
    fetching: g.AllFetching,
    running: g.Running,
    detach: o.Detach = False,
    shown: g.Shown,
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
    settings = msgspec.structs.replace(
        running, local_conf=local_conf, nodes=nodes, selection=selection, fetch=fetching
    )
    run_command(settings, shown, detach=detach)


@expanded
def unstack(
    local_conf: o.LocalConfPath = o.DEFAULT_LOCAL_CONF,
    *,
    nodes: g.AllNodes,
    running: g.Running,
    shown: g.Shown,
) -> None:
    """Run `plugin.sh unstack` of all plugins, as unstack.sh does.

    A plugin that fails is reported, and the next one still runs.
    """
    run_command(
        msgspec.structs.replace(running, command="unstack", local_conf=local_conf, nodes=nodes),
        shown,
    )


@expanded
def clean(
    local_conf: o.LocalConfPath = o.DEFAULT_LOCAL_CONF,
    *,
    nodes: g.AllNodes,
    running: g.Running,
    shown: g.Shown,
) -> None:
    """Run `plugin.sh unstack`, then `plugin.sh clean` of all plugins, as clean.sh does.

    A plugin that fails is reported, and the next one still runs.
    """
    run_command(
        msgspec.structs.replace(running, command="clean", local_conf=local_conf, nodes=nodes),
        shown,
    )


@expanded
def fetch(
    local_conf: o.LocalConfPath = o.DEFAULT_LOCAL_CONF,
    names: o.Names = None,
    *,
    nodes: g.Nodes,
    fetching: g.Fetching,
    write_lock: o.WriteLock = False,
    dest: o.Dest = "",
    run_dir: o.RunDir = None,
    shown: g.Shown,
) -> None:
    """Clone the plugins, or update them, and run nothing.

    With --update, NAMEs say which plugins; all of them if none is given.

    For example:

      asyncstack fetch -j 8

      asyncstack fetch --write-lock

      asyncstack fetch --update heat ironic
    """
    local_conf, only = _plugin_names(local_conf, names, update=fetching.update)
    fetching = msgspec.structs.replace(fetching, only=only, write_lock=write_lock)
    settings = RunSettings(
        local_conf=local_conf,
        fetch=g.with_lock_checked(fetching),
        nodes=nodes,
        dest=dest,
        run_directory=run_dir,
    )
    run_command(settings, shown, goal="fetch")


@expanded
def plan(
    local_conf: o.LocalConfPath = o.DEFAULT_LOCAL_CONF,
    *,
    nodes: g.Nodes,
    order: o.Order = "",
    selection: g.Selection,
    update: o.PlanUpdate = False,
    locked: o.PlanLocked = False,
    dest: o.Dest = "",
    deep: o.Deep = False,
    json: o.PlanJson = False,
) -> None:
    """Show what would be fetched and run, in which order, and what looks wrong. Change nothing.

    localrc is evaluated, for only bash can say what it means; no plugin is.
    """
    from asyncstack.cli.interrupt import run_interruptible
    from asyncstack.cli.plan import print_plans, print_suspicion
    from asyncstack.cli.terminal import passphrases
    from asyncstack.run.planning import make_plan

    settings = RunSettings(
        local_conf=local_conf,
        selection=selection,
        nodes=g.with_order(nodes, order),
        fetch=g.with_lock_checked(FetchSettings(update=update, locked=locked)),
        dest=dest,
    )
    ask = passphrases()
    plans = run_interruptible(
        lambda: make_plan(settings, deep=deep, ask=ask, warn_of=print_suspicion)
    )
    print_plans(plans, json=json)


def _plugin_names(
    local_conf: Path, names: list[str] | None, *, update: bool
) -> tuple[Path, tuple[str, ...]]:
    """LOCAL_CONF and the NAMEs behind it: `--update heat` means ./local.conf as well.

    Raises SettingsError for names without --update, which would be ignored.
    """
    given = tuple(names or ())
    left_out = local_conf.suffix != ".conf" and not local_conf.exists()
    if update and left_out and len(local_conf.parts) == 1 and o.DEFAULT_LOCAL_CONF.exists():
        return o.DEFAULT_LOCAL_CONF, (local_conf.name, *given)
    if given and not update:
        raise SettingsError(
            f"{' '.join(given)}: names say which plugins to update",
            hint="add --update, or leave the names out to fetch all plugins",
        )
    return local_conf, given
