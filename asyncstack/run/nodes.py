"""Which nodes a run has, how each is reached, and what its local.conf is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
from msgspec import Struct

from asyncstack.errors import SettingsError
from asyncstack.inventory import (
    Copy,
    Inventory,
    InventoryHost,
    limit,
    order_groups,
    parse_nodes,
    read_inventory,
    render_localrc,
)
from asyncstack.localconf import LocalConf, read_local_conf
from asyncstack.model import Node
from asyncstack.plan import PlannedPhase, plan_phases
from asyncstack.settings import NodeSettings, RunSettings
from asyncstack.transports.base import Transport
from asyncstack.transports.local import LocalTransport

__all__ = ["LOCAL_NODE", "NodeSpec", "node_batches", "node_copies", "plan_run"]

LOCAL_NODE = "localhost"

#: Connections that are made at once: below the 10 at which an sshd, or a jump host that all of
#: them go through, begins to drop what is not logged in yet.
CONNECTS = 8


class NodeSpec(Struct, frozen=True):
    """One node: how it is reached and what configures it."""

    transport: Transport
    local_conf: LocalConf
    remote: bool

    @property
    def name(self) -> str:
        """The node's name in the inventory."""
        return self.transport.node.name


def node_batches(settings: RunSettings) -> list[list[NodeSpec]]:
    """The nodes, in the batches that --order makes of them (one without).

    Raises InventoryError, SettingsError or LocalConfError.
    """
    if settings.nodes.inventory is None and not settings.nodes.nodes:
        return [[_local_host(settings)]]
    inventory = _inventory(settings.nodes)
    batches: Sequence[Sequence[InventoryHost]] = [inventory.hosts]
    if settings.nodes.order:
        batches = order_groups(inventory, settings.nodes.order)
    connects = anyio.CapacityLimiter(CONNECTS)
    found: dict[Path, LocalConf] = {}
    return [[_spec(host, settings, connects, found) for host in hosts] for hosts in batches]


def node_copies(settings: RunSettings) -> tuple[Copy, ...]:
    """The files that the inventory wants copied between nodes. Raises InventoryError."""
    if settings.nodes.inventory is None:
        return ()
    return _inventory(settings.nodes).copies


def _local_host(settings: RunSettings) -> NodeSpec:
    transport = LocalTransport(Node(LOCAL_NODE))
    return NodeSpec(transport, read_local_conf(settings.local_conf), remote=False)


def _inventory(settings: NodeSettings) -> Inventory:
    if settings.inventory is not None and settings.nodes:
        raise SettingsError(
            "-i/--inventory and -n/--node can't go together", hint="add the node to the inventory"
        )
    if settings.inventory is not None:
        inventory = read_inventory(settings.inventory)
    else:
        inventory = parse_nodes(settings.nodes)
    return limit(inventory, settings.limit) if settings.limit else inventory


def _spec(
    host: InventoryHost,
    settings: RunSettings,
    connects: anyio.CapacityLimiter,
    found: dict[Path, LocalConf],
) -> NodeSpec:
    path = host.local_conf or settings.local_conf
    if path not in found:
        found[path] = read_local_conf(path)
    local_conf = found[path].with_localrc(render_localrc(host.localrc))
    if host.connection == "local":
        return NodeSpec(LocalTransport(host.node), local_conf, remote=False)
    # The import costs 0.2 s, which only who has remote nodes is to pay.
    from asyncstack.transports.ssh import SshOptions, SshTransport  # noqa: PLC0415

    options = SshOptions(
        key_file=str(host.key_file or ""), accept_new_host_keys=settings.nodes.accept_new_host_keys
    )
    return NodeSpec(SshTransport(host.node, options, connects), local_conf, remote=True)


def plan_run(settings: RunSettings, local_confs: Sequence[LocalConf]) -> list[PlannedPhase]:
    """The phases of a run whose nodes have these local.conf files; one plan for all of them.

    Raises SettingsError for a phase that there isn't.
    """
    return plan_phases(
        settings.command,
        settings.selection,
        groups=frozenset().union(*(conf.groups() for conf in local_confs)),
        has_local_sh=any(conf.has_local_sh for conf in local_confs),
    )
