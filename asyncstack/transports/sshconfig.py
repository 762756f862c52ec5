"""What we and the user's ssh configuration say about reaching a node: address, keys, jump hosts."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncssh
from msgspec import Struct

from asyncstack.errors import ConnectError, SettingsError
from asyncstack.model import Node
from asyncstack.transports.userconfig import use_it

__all__ = [
    "Configured",
    "SshOptions",
    "connection_arguments",
    "find_route",
    "identity_files",
    "parse_jumps",
    "public_half",
    "read_configuration",
]

use_it()

Configured = asyncssh.SSHClientConnectionOptions

#: Where asyncssh finds something wrong.
_PLACE = re.compile(r"(\S.*) line (\d+): (.*)", re.DOTALL)
_JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:]+))(?::(?P<port>\d+))?/?"
)
#: What OpenSSH tries where nothing else is said.
_USUAL_KEYS = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")


class SshOptions(Struct, frozen=True, kw_only=True):
    """How to connect. Times are seconds.

    A connection that is silent for `keepalive_s` × `keepalive_count` is given up, unless
    ~/.ssh/config says otherwise for the node (ServerAliveInterval, ServerAliveCountMax).
    """

    key_file: str = ""
    config_files: tuple[str, ...] | None = None
    known_hosts: str = ""
    accept_new_host_keys: bool = False
    connect_timeout_s: float = 15.0
    login_timeout_s: float = 30.0
    keepalive_s: float = 5.0
    keepalive_count: int = 3
    jitter_s: float = 0.2


def connection_arguments(node: Node, options: SshOptions) -> dict[str, Any]:
    """What asyncssh is told of the address; the rest it takes from ~/.ssh/config."""
    # What isn't given is left to ~/.ssh/config: an explicit value would win over it.
    # A ProxyCommand is run by us.
    arguments: dict[str, Any] = {"host": node.host or node.name, "proxy_command": None}
    if node.user:
        arguments["username"] = node.user
    if node.port:
        arguments["port"] = node.port
    # Always, for not all that takes it reads ~/.ssh/config by default, which () means.
    arguments["config"] = () if options.config_files is None else list(options.config_files)
    return arguments


async def read_configuration(node: Node, options: SshOptions) -> Configured:
    """What ~/.ssh/config says of a node.

    Raises SettingsError for what is wrong in it, OSError if it can't be read.
    """
    # Its keys are our business, and asking for its name only must not load any.
    arguments = connection_arguments(node, options)
    try:
        configured: Configured = await Configured.construct(**arguments, client_keys=None)
    except asyncssh.ConfigParseError as error:
        place = _PLACE.fullmatch(str(error))
        path, line, problem = place.groups() if place else ("~/.ssh/config", "0", str(error))
        hint = "correct it there; ssh -G HOST shows what it comes to"
        raise SettingsError(problem, path=path, line=int(line), hint=hint) from error
    return configured


def identity_files(configured: Configured, key_file: str) -> tuple[list[Path], bool]:
    """The private keys to try, and whether no others of an agent's may be (IdentitiesOnly).

    The inventory's key goes before those of ~/.ssh/config, and those before the usual ones. One
    that isn't there is left out, unless it is the inventory's.
    """
    only = bool(configured.config.get("IdentitiesOnly"))
    if key_file:
        return [Path(key_file).expanduser()], only
    named = configured.config.get("IdentityFile", ())
    names = [str(name) for name in named] if isinstance(named, list | tuple) else [str(named)]
    paths = [Path(name).expanduser() for name in names]
    if not paths:
        paths = [Path.home() / ".ssh" / name for name in _USUAL_KEYS]
    return [path for path in paths if path.exists() or public_half(path).exists()], only


def public_half(path: Path) -> Path:
    """Where the public key of a private one lies, if anywhere."""
    return path.with_name(f"{path.name}.pub")


def parse_jumps(text: str) -> tuple[Node, ...]:
    """The hosts of a ProxyJump, in order. Raises ValueError."""
    hosts: list[Node] = []
    for part in text.split(","):
        found = _JUMP.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"ProxyJump {text!r} can't be read")
        host = found["v6"] or found["host"]
        name = f"[{host}]" if found["v6"] else host
        name = f"{name}:{found['port']}" if found["port"] else name
        hosts.append(Node(name, host, found["user"] or "", int(found["port"] or 0)))
    return tuple(hosts)


async def find_route(node: Node, read: Callable[[Node], Awaitable[Configured]]) -> tuple[Node, ...]:
    """The jump hosts on the way to a node, the nearest to us first; `read` gives its configuration.

    Raises ConnectError if they lead in a circle, ValueError if they can't be read.
    """
    route: tuple[Node, ...] = ()
    first = node
    # What is said of a node alone doesn't lead on from there: a group's jump host may be in the group.
    seen = [] if node.ssh.proxy_jump else [(node.host, node.user, node.port)]
    while jumps := await _jumps(first, read):
        found = parse_jumps(jumps)
        for jump in found:
            if (jump.host, jump.user, jump.port) in seen:
                raise ConnectError(
                    node.name,
                    f"ProxyJump of ~/.ssh/config leads in a circle: to {jump.name} by way of itself",
                    hint=f"add there: Host {jump.host}, and below it: ProxyJump none",
                )
            seen.append((jump.host, jump.user, jump.port))
        route = found + route
        first = found[0]
    return route


async def _jumps(node: Node, read: Callable[[Node], Awaitable[Configured]]) -> str:
    if node.ssh.proxy_command:  # said of this node alone, and none is said in its stead
        return ""
    said = node.ssh.proxy_jump or str((await read(node)).config.get("ProxyJump") or "")
    return "" if said.lower() == "none" else said
