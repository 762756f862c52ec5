"""The nodes of a lab: an Ansible inventory, `-n` specs, `--limit`, `--order`.

`read_inventory` and `parse_nodes` make an Inventory, `limit` and `order_groups` choose from it.
"""

from __future__ import annotations

from asyncstack.inventory.patterns import limit, order_groups, too_late, with_files
from asyncstack.inventory.reading import read_inventory
from asyncstack.inventory.specs import parse_nodes
from asyncstack.inventory.values import Copy, Inventory, InventoryHost, render_localrc

__all__ = [
    "Copy",
    "Inventory",
    "InventoryHost",
    "limit",
    "order_groups",
    "parse_nodes",
    "read_inventory",
    "render_localrc",
    "too_late",
    "with_files",
]
