"""Host keys of nodes, fetched to be compared by the user and then written down.

Jump hosts come first: only through one that is trusted can what lies behind it be seen.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import asyncssh
from anyio import to_thread
from msgspec import Struct

from asyncstack.errors import TransportError
from asyncstack.model import Node
from asyncstack.transports.hostfiles import HostFiles, host_files
from asyncstack.transports.hostkeys import changed, revoked
from asyncstack.transports.knownhosts import HostName, KeyState, add_keys, judge
from asyncstack.transports.openssh import ask_openssh
from asyncstack.transports.proxies import offered_key
from asyncstack.transports.sshaccess import CONNECTS, SshAccess
from asyncstack.transports.sshconfig import (
    SshOptions,
    connection_arguments,
    find_route,
    read_configuration,
)
from asyncstack.transports.sshlogin import reach_jump_host

__all__ = ["Fingerprint", "Offer", "layers", "look", "trust"]

#: What ssh-keyscan asks for as well: one key of each kind that an sshd has.
_KINDS = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)


class Host(Struct, frozen=True):
    """One address behind one route: `names` are the nodes that it is, or the jump host."""

    names: tuple[str, ...]
    node: Node
    route: tuple[Node, ...]
    known_as: HostName
    files: HostFiles


class Fingerprint(Struct, frozen=True):
    """A host key as `ssh-keygen -lf` prints it."""

    bits: int
    fingerprint: str
    kind: str

    def __str__(self) -> str:
        return f"{self.bits} {self.fingerprint} ({self.kind})"


class Offer(Struct, frozen=True):
    """What a host has to show. `problem` is the error that stands against trusting it."""

    host: Host
    state: KeyState | None
    keys: tuple[asyncssh.SSHKey, ...] = ()
    problem: TransportError | None = None

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """Of all its keys."""
        return tuple(
            Fingerprint(_bits(key), key.get_fingerprint(), _kind(key)) for key in self.keys
        )


async def layers(
    nodes: Sequence[Node], options: SshOptions
) -> tuple[list[list[Host]], list[TransportError]]:
    """The hosts on the way to these nodes and they themselves, each once, the nearest first.

    What can't be told of a node for the sake of ~/.ssh/config is an error.
    """
    found: dict[tuple[tuple[Node, ...], str], Host] = {}
    errors: list[TransportError] = []
    for node in nodes:
        try:
            route = await find_route(node, lambda one: read_configuration(one, options))
            for number, jump in enumerate(route):
                await _add(found, f"jump host {jump.name}", jump, route[:number], options)
            await _add(found, node.name, node, route, options)
        except TransportError as error:
            errors.append(error)
        except (OSError, ValueError) as error:
            errors.append(TransportError(node.name, f"~/.ssh/config can't be used: {error}"))
    depth = max((len(host.route) for host in found.values()), default=-1)
    return [
        [host for host in found.values() if len(host.route) == number]
        for number in range(depth + 1)
    ], errors


async def _add(
    found: dict[tuple[tuple[Node, ...], str], Host],
    name: str,
    node: Node,
    route: tuple[Node, ...],
    options: SshOptions,
) -> None:
    configured = await read_configuration(node, options)
    known_as = HostName.of(configured)
    there = found.get((route, known_as.text))
    names = (*(there.names if there else ()), name)
    files = host_files(configured, node.ssh, options.known_hosts)
    found[route, known_as.text] = Host(
        tuple(dict.fromkeys(names)), there.node if there else node, route, known_as, files
    )


async def look(hosts: Sequence[Host], options: SshOptions, access: SshAccess) -> list[Offer]:
    """Ask all of these hosts for their keys, a few at once, in their order."""
    offers: dict[Host, Offer] = {}
    limiter = anyio.CapacityLimiter(CONNECTS)

    async def one(host: Host) -> None:
        async with limiter:
            offers[host] = await _look(host, options, access)

    async with anyio.create_task_group() as tasks:
        for host in hosts:
            tasks.start_soon(one, host)
    return [offers[host] for host in hosts]


async def _look(host: Host, options: SshOptions, access: SshAccess) -> Offer:
    name = host.names[0]
    try:
        async with _tunnel(host, options, access) as tunnel:
            with anyio.fail_after(options.login_timeout_s):
                keys = await _fetch(host, options, tunnel)
    except TransportError as error:
        problem = f"its jump host {error.node}: {error.problem}"
        return Offer(host, None, problem=type(error)(name, problem, hint=error.hint))
    except (OSError, asyncssh.Error, ValueError) as error:
        reason = str(error) or "no answer in time"
        return Offer(host, None, problem=TransportError(name, f"can't be reached: {reason}"))
    if not keys:
        return Offer(host, None, problem=TransportError(name, "it offers no host key"))
    verdict = await to_thread.run_sync(judge, host.files.read, host.known_as, keys)
    if verdict.state is KeyState.UNKNOWN and host.files.write is None:
        return Offer(host, None, tuple(keys), _forgotten(name, host.known_as))
    refusal = {KeyState.CHANGED: changed, KeyState.REVOKED: revoked}.get(verdict.state)
    told = next((key for key in keys if key.get_algorithm() == verdict.kind), keys[0])
    against = refusal(name, host.known_as, told, verdict.place) if refusal else None
    return Offer(host, verdict.state, tuple(keys), against)


def _forgotten(node: str, name: HostName) -> TransportError:
    return TransportError(
        node,
        f"the host key of {name} can't be written down: UserKnownHostsFile of ~/.ssh/config is "
        f"{os.devnull} or none",
        hint="name a file there; or, if that is meant: a run accepts any key where "
        "StrictHostKeyChecking is no or accept-new",
    )


@asynccontextmanager
async def _tunnel(
    host: Host, options: SshOptions, access: SshAccess
) -> AsyncIterator[asyncssh.SSHClientConnection | None]:
    if not host.route:
        yield None
        return
    link = await reach_jump_host(host.route, options, access)
    try:
        yield link.connection
    finally:
        await link.leave()


async def _fetch(
    host: Host, options: SshOptions, tunnel: asyncssh.SSHClientConnection | None
) -> list[asyncssh.SSHKey]:
    arguments = connection_arguments(host.node, options)
    arguments["tunnel"] = tunnel
    keys: list[asyncssh.SSHKey] = []
    failure: asyncssh.Error | OSError | None = None
    for kind in _KINDS:
        try:
            key = await offered_key(host.node, arguments, kind)
        except (
            asyncssh.KeyExchangeFailed,
            asyncssh.ConnectionLost,
            ConnectionResetError,
        ) as error:
            failure = error  # it has none of this kind: sshd says so by hanging up
        else:
            keys += [key] if key is not None else []
    if failure is not None and not keys:
        raise failure
    return keys


async def trust(offers: Sequence[Offer], options: SshOptions) -> None:
    """Write the keys of these hosts down where the user's configuration wants them.

    Raises OSError. Nothing that is there already is changed.
    """
    for offer in offers:
        openssh = await ask_openssh(connection_arguments(offer.host.node, options))
        await to_thread.run_sync(_write, offer, openssh.hash_names)


def _write(offer: Offer, hashed: bool) -> None:
    if offer.host.files.write is not None:
        add_keys(offer.host.files.write, offer.host.known_as, offer.keys, hashed=hashed)


def _bits(key: asyncssh.SSHKey) -> int:
    size = getattr(key.pyca_key, "key_size", None)
    return size if isinstance(size, int) else 256  # ed25519, which has one size only


def _kind(key: asyncssh.SSHKey) -> str:
    algorithm = key.get_algorithm()
    return "ECDSA" if algorithm.startswith("ecdsa-") else algorithm.removeprefix("ssh-").upper()
