"""`-n [USER@]HOST[:PORT]`: nodes without an inventory."""

from __future__ import annotations

import re
from collections.abc import Sequence

from asyncstack.errors import SettingsError
from asyncstack.inventory.hosts import check_address, check_name, check_user
from asyncstack.inventory.values import Inventory, InventoryHost
from asyncstack.model import Node

__all__ = ["parse_nodes"]

_SPEC = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<bracketed>[^\]\s]+)\]|(?P<host>[^:@\[\]\s]+))(?::(?P<port>[0-9]{1,5}))?"
)
_HINT = "write [USER@]HOST[:PORT], an IPv6 address in brackets: stack@[2001:db8::5]:22"
_LAST_PORT = 65535


def parse_nodes(specs: Sequence[str]) -> Inventory:
    """Return an inventory without groups, in the order given. Raises SettingsError for a bad one.

    A node is called as its host is; where two share one, as the whole spec is.
    """
    parsed = [_parse(spec) for spec in specs]
    hosts = [node.host for node in parsed]
    nodes = [
        node if hosts.count(node.host) == 1 else Node(_full(node), node.host, node.user, node.port)
        for node in parsed
    ]
    names = tuple(node.name for node in nodes)
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise SettingsError(f"--node {twice} was given twice")
    return Inventory(
        hosts=tuple(InventoryHost(node=node, groups=("ungrouped",)) for node in nodes),
        groups={"all": names, "ungrouped": names},
    )


def _parse(spec: str) -> Node:
    matched = _SPEC.fullmatch(spec)
    if matched is None:
        raise SettingsError(f"--node {spec!r} is no node", hint=_HINT)
    host = matched["bracketed"] or matched["host"]
    user, port = matched["user"] or "", int(matched["port"] or 0)
    name = host.replace("%", "+")  # a zone index; a name must do for a directory
    problem = check_address(host) or check_user(user) or check_name(name)
    if problem or port > _LAST_PORT or (matched["port"] and port == 0):
        raise SettingsError(f"--node {spec!r}: {problem or 'no such port'}", hint=_HINT)
    return Node(name, host, user, port)


def _full(node: Node) -> str:
    user = f"{node.user}@" if node.user else ""
    port = f":{node.port}" if node.port else ""
    return f"{user}{node.name}{port}"
