"""Which nodes a run has, how each is reached, and what its local.conf is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from asyncstack.errors import SettingsError
from asyncstack.hiding import hidden
from asyncstack.inventory import (
    Copy,
    Inventory,
    InventoryHost,
    limit,
    order_groups,
    parse_nodes,
    read_inventory,
    render_localrc,
    too_late,
    with_files,
)
from asyncstack.localconf import LocalConf, read_local_conf
from asyncstack.model import Node, Suspicion
from asyncstack.plan import PlannedPhase, plan_phases
from asyncstack.settings import NodeSettings, RunSettings
from asyncstack.transports.base import Ask, Transport
from asyncstack.transports.local import LocalTransport
from asyncstack.transports.sonames import look_up_in_cache

if TYPE_CHECKING:
    from asyncstack.transports.ssh import SshAccess

__all__ = ["LOCAL_NODE", "NodeSpec", "inventory_wishes", "node_batches", "plan_run", "read_nodes"]

LOCAL_NODE = "localhost"

Reach = Callable[[InventoryHost, list[Suspicion]], Transport]


class NodeSpec(Struct, frozen=True):
    """One node: how it is reached and what configures it.

    `remarks` is what the user should know of how it was reached, once it has been.
    """

    transport: Transport
    local_conf: LocalConf
    remote: bool
    remarks: list[Suspicion] = []

    @property
    def name(self) -> str:
        """The node's name in the inventory."""
        return self.transport.node.name


def node_batches(settings: RunSettings, ask: Ask | None = None) -> list[list[NodeSpec]]:
    """The nodes, in the batches that --order makes of them (one without).

    `ask` asks the user for the passphrase of a key. Raises InventoryError, SettingsError or LocalConfError.
    """
    if settings.nodes.inventory is None and not settings.nodes.nodes:
        return [[_local_host(settings)]]
    inventory = read_nodes(settings.nodes)
    batches: Sequence[Sequence[InventoryHost]] = [inventory.hosts]
    if settings.nodes.order:
        batches = order_groups(inventory, settings.nodes.order)
    reach = _ways(settings.nodes, ask)
    found: dict[Path, LocalConf] = {}
    return [[_spec(host, settings, reach, found) for host in hosts] for hosts in batches]


def inventory_wishes(settings: RunSettings) -> tuple[tuple[Copy, ...], tuple[Suspicion, ...]]:
    """The files that the inventory wants copied between nodes, and what is odd about it.

    Raises InventoryError.
    """
    if settings.nodes.inventory is None:
        return (), ()
    inventory = read_nodes(settings.nodes)
    if (
        settings.command != "stack"
    ):  # files travel while a lab is stacked, not when it is taken down
        return (), inventory.warnings
    late = too_late(inventory, settings.nodes.order) if settings.nodes.order else ()
    return inventory.copies, (*inventory.warnings, *late)


def _local_host(settings: RunSettings) -> NodeSpec:
    transport = LocalTransport(Node(LOCAL_NODE))
    return NodeSpec(transport, read_local_conf(settings.local_conf), remote=False)


def read_nodes(settings: NodeSettings) -> Inventory:
    """What -i or -n, and --limit, name. Raises InventoryError or SettingsError."""
    if settings.inventory is not None and settings.nodes:
        raise SettingsError(
            "-i/--inventory and -n/--node can't go together", hint="add the node to the inventory"
        )
    if settings.inventory is not None:
        inventory = read_inventory(settings.inventory)
    else:
        inventory = parse_nodes(settings.nodes)
    return limit(inventory, with_files(settings.limit)) if settings.limit else inventory


def _ways(settings: NodeSettings, ask: Ask | None) -> Reach:
    """How a host is reached; what those behind ssh share is made with the first of them."""
    shared: list[SshAccess] = []

    def reach(host: InventoryHost, remarks: list[Suspicion]) -> Transport:
        if host.connection == "local":
            return LocalTransport(host.node)
        # The import costs 0.1 s, which only who has remote nodes is to pay. Without certificates of a
        # kind that OpenSSH doesn't know.
        with look_up_in_cache(), hidden("asyncssh.crypto.x509"):
            from asyncstack.transports.ssh import (  # noqa: PLC0415
                SshAccess,
                SshOptions,
                SshTransport,
            )

        if not shared:
            shared.append(SshAccess(ask))
        options = SshOptions(
            key_file=str(host.key_file or ""), accept_new_host_keys=settings.accept_new_host_keys
        )
        return SshTransport(host.node, options, shared[0], remarks.append)

    return reach


def _spec(
    host: InventoryHost,
    settings: RunSettings,
    reach: Reach,
    found: dict[Path, LocalConf],
) -> NodeSpec:
    path = host.local_conf or settings.local_conf
    if path not in found:
        found[path] = read_local_conf(path)
    local_conf = found[path].with_localrc(render_localrc(host.localrc))
    remarks: list[Suspicion] = []
    remote = host.connection != "local"
    return NodeSpec(reach(host, remarks), local_conf, remote=remote, remarks=remarks)


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
