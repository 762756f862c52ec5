"""Logging in to a node: what the user's ssh configuration says about it, and what goes wrong.

`~/.ssh/config` (aliases, IdentityFile, User, Port), the agent and known_hosts are honoured by
asyncssh; jump hosts and keys with a passphrase, which the nodes of a run share, are seen to here.
What comes back from asyncssh as an error is translated here, at the border.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Any

import anyio
import asyncssh
from anyio import CancelScope

from asyncstack.errors import AuthenticationError, ConnectError, HostKeyError, TransportError
from asyncstack.model import Node
from asyncstack.transports.hostkeys import HostKeys, Remark
from asyncstack.transports.proxies import Proxy, open_proxy, proxy_command
from asyncstack.transports.sshaccess import Link, SharedLink, SshAccess
from asyncstack.transports.sshconfig import (
    SshOptions,
    connection_arguments,
    find_route,
    identity_files,
    read_configuration,
)
from asyncstack.transports.sshkeys import LockedKeyError

__all__ = ["SshLogin", "reach_jump_host"]

_HUNG_UP = (asyncssh.ConnectionLost, ConnectionResetError)
#: Seconds before one that hung up in the handshake is called again.
_HUNG_UP_DELAYS_S = (0.3, 1.0, 2.0)
# Twice the throughput of the default order.
_CIPHERS = "^aes256-gcm@openssh.com,aes128-gcm@openssh.com"


class SshLogin:
    """Makes connections to one node.

    `route`: the jump hosts to go through; None: those that ~/.ssh/config names. `remark` is told
    of a host key that was accepted.
    """

    def __init__(
        self,
        node: Node,
        options: SshOptions,
        access: SshAccess,
        route: tuple[Node, ...] | None = None,
        remark: Remark = lambda _: None,
    ) -> None:
        self._node = node
        self._options = options
        self._access = access
        self._route = route
        self._remark = remark
        self._proxy: Proxy | None = None
        self._said = ""
        self._host_keys = HostKeys(
            node, options.known_hosts, lambda: access.accepted(self._route or ()), remark
        )

    async def connect(self) -> Link:
        """Connect and log in.

        Raises ConnectError, AuthenticationError or HostKeyError.
        """
        try:
            if self._route is None:
                self._route = await find_route(
                    self._node, lambda node: read_configuration(node, self._options)
                )
            through = await self._through(self._route)
            try:
                connection = await self._login(through)
                proxy, self._proxy = self._proxy, None
                return Link(connection, through, proxy)
            except BaseException:
                await self._end_proxy()
                if through is not None:
                    with CancelScope(shield=True):
                        await through.leave()
                raise
        except asyncssh.HostKeyNotVerifiable as error:
            raise HostKeyError(self._node.name, _reason(error)) from error
        except LockedKeyError as error:
            raise AuthenticationError(
                self._node.name,
                f"the key {error.path} {error}",
                hint=f"give it to the agent: ssh-add {error.path}",
            ) from error
        except (OSError, asyncssh.Error, ValueError) as error:
            # ValueError: a key, known_hosts or ~/.ssh/config that can't be read.
            raise _translated(self._node, error, self._route or (), self._said) from error

    async def _through(self, route: tuple[Node, ...]) -> SharedLink | None:
        if not route:
            return None
        try:
            return await reach_jump_host(route, self._options, self._access, self._remark)
        except TransportError as error:
            problem = f"its jump host {error.node}: {error.problem}"
            raise type(error)(self._node.name, problem, hint=error.hint) from error

    async def _login(self, through: SharedLink | None) -> asyncssh.SSHClientConnection:
        arguments = connection_arguments(self._node, self._options)
        # None, if there is none: left out it would be what ~/.ssh/config says, and the inventory may
        # say otherwise.
        arguments["tunnel"] = through.connection if through is not None else None
        try:
            return await self._with_keys(arguments)
        except (asyncssh.HostKeyNotVerifiable, *_HUNG_UP) as error:
            # Hanging up is what a node does to us that has none of the kinds of keys that
            # known_hosts has for it.
            await self._host_keys.accept_or_refuse(
                arguments,
                accept_new=self._options.accept_new_host_keys,
                timeout_s=self._options.login_timeout_s,
                cause=error,
            )
        return await self._with_keys(arguments)

    async def _with_keys(self, arguments: dict[str, Any]) -> asyncssh.SSHClientConnection:
        """Log in; with keys that have a passphrase only if the node wants them.

        It is asked for while no node waits for our answer: sshd's patience is short.
        """
        configured = await read_configuration(self._node, self._options)
        files, agent_only_these = identity_files(configured, self._options.key_file)
        while True:
            wanted: list[Path] = []

            def locked(name: str, wanted: list[Path] = wanted) -> str:
                wanted.append(Path(name))
                raise asyncssh.KeyEncryptionError("still locked")

            try:
                arguments["client_keys"] = await self._access.keys.load(files)
            except OSError as error:
                raise AuthenticationError(
                    self._node.name,
                    f"the key {error.filename} can't be read: {error.strerror}",
                    hint="check ansible_ssh_private_key_file, or IdentityFile in ~/.ssh/config",
                ) from error
            if agent_only_these:
                mine = await self._access.keys.public_keys(files)
                # An empty list would mean all that the agent has.
                arguments |= {"agent_identities": mine} if mine else {"agent_path": None}
            try:
                return await self._attempt({**arguments, "passphrase": locked})
            except asyncssh.PermissionDenied:
                wanted = wanted or self._access.keys.opaque(files)
                if not wanted:
                    raise
            await self._access.keys.unlock(wanted[0])

    async def _attempt(self, arguments: dict[str, Any]) -> asyncssh.SSHClientConnection:
        """Connect; one that hangs up before the login is done, as a busy sshd does, is asked again."""
        for delay in _HUNG_UP_DELAYS_S:
            try:
                return await self._attempt_once(arguments)
            except _HUNG_UP:
                await anyio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311
        return await self._attempt_once(arguments)

    async def _attempt_once(self, arguments: dict[str, Any]) -> asyncssh.SSHClientConnection:
        options = self._options
        configured = await read_configuration(self._node, options)
        arguments = {**arguments, "known_hosts": self._host_keys.trusted(configured)}
        if not configured.keepalive_interval:
            arguments["keepalive_interval"] = options.keepalive_s
            arguments["keepalive_count_max"] = options.keepalive_count
        await self._end_proxy()
        command = "" if self._route else proxy_command(self._node, configured)
        if command:
            self._proxy = await open_proxy(command)
            arguments["sock"] = self._proxy.socket
        return await asyncssh.connect(
            **arguments,
            encryption_algs=_CIPHERS,
            connect_timeout=options.connect_timeout_s,
            login_timeout=options.login_timeout_s,
        )

    async def _end_proxy(self) -> None:
        proxy, self._proxy = self._proxy, None
        if proxy is not None:
            self._said = proxy.said()
            await proxy.aclose()


async def reach_jump_host(
    route: tuple[Node, ...],
    options: SshOptions,
    access: SshAccess,
    remark: Remark = lambda _: None,
) -> SharedLink:
    """A connection to the last host of `route`, shared with whoever goes the same way."""
    # The inventory's key is the node's.
    mine = SshOptions(
        config_files=options.config_files,
        known_hosts=options.known_hosts,
        accept_new_host_keys=options.accept_new_host_keys,
        connect_timeout_s=options.connect_timeout_s,
        login_timeout_s=options.login_timeout_s,
        keepalive_s=options.keepalive_s,
        keepalive_count=options.keepalive_count,
    )
    login = SshLogin(route[-1], mine, access, route[:-1], remark)
    return await access.jumps.reach(route, login.connect)


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _translated(
    node: Node, error: BaseException, route: tuple[Node, ...], said: str = ""
) -> TransportError:
    where = f"{node.user + '@' if node.user else ''}{node.host or node.name}"
    if node.port:
        where += f":{node.port}"
    if route:
        where += f" (through {route[-1].name})"
    if said:
        where += f" (whose ProxyCommand says: {said})"
    if isinstance(error, asyncssh.KeyEncryptionError | asyncssh.KeyImportError):
        return AuthenticationError(
            node.name,
            f"the key for {where} can't be used: {_reason(error)}",
            hint="if it has a passphrase, give it to the agent: ssh-add KEY",
        )
    if isinstance(error, asyncssh.PermissionDenied):
        return AuthenticationError(
            node.name,
            f"{where} refused the login: {_reason(error)}",
            hint="check the user and the key (ansible_user, ansible_ssh_private_key_file, "
            "~/.ssh/config, ssh-add -l)",
        )
    if isinstance(error, TimeoutError):
        return ConnectError(node.name, f"{where} did not answer in time", hint="is it up?")
    if isinstance(error, asyncssh.ConnectionLost | asyncssh.DisconnectError):
        return ConnectError(node.name, f"{where} hung up: {_reason(error)}")
    return _unreachable(node, f"{where} can't be reached", error)


def _unreachable(node: Node, problem: str, error: BaseException) -> ConnectError:
    if isinstance(error, socket.gaierror):
        hint = "check its address (-n, ansible_host, HostName in ~/.ssh/config)"
        return ConnectError(node.name, f"{problem}: {error.strerror}", hint=hint)
    if isinstance(error, ConnectionRefusedError):
        hint = "is sshd running there, and on that port?"
        return ConnectError(node.name, f"{problem}: nothing listens there", hint=hint)
    return ConnectError(node.name, f"{problem}: {_reason(error)}")
