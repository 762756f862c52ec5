"""What an inventory says, once it has been understood."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from asyncstack.model import Node, Suspicion

__all__ = ["Connection", "Copy", "Inventory", "InventoryHost", "render_localrc"]

Connection = Literal["ssh", "local"]


class InventoryHost(Struct, frozen=True, kw_only=True):
    """One node, with what makes it different from the others.

    `local_conf` None: the run's own. `localrc` holds plain values, before any quoting; `groups`
    goes from the general to the special, `all` left out.
    """

    node: Node
    connection: Connection = "ssh"
    key_file: Path | None = None
    local_conf: Path | None = None
    localrc: dict[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()


class Copy(Struct, frozen=True, kw_only=True):
    """Files that travel between nodes once every one of `sources` is through with phase `after`.

    They are those of the first source; `owner` and `mode` '' mean: as they are there. `line` is
    where the inventory says so.
    """

    after: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    paths: tuple[str, ...]
    owner: str = ""
    mode: str = ""
    line: int = 0


class Inventory(Struct, frozen=True, kw_only=True):
    """Nodes in the order of the file. `groups` has every group, `all` too, with all its hosts."""

    hosts: tuple[InventoryHost, ...]
    groups: dict[str, tuple[str, ...]]
    copies: tuple[Copy, ...] = ()
    warnings: tuple[Suspicion, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its nodes."""
        return tuple(host.node.name for host in self.hosts)


def render_localrc(variables: Mapping[str, str]) -> str:
    """Return variables as lines of bash; nothing in a value is expanded by it."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
