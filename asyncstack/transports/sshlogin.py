"""Logging in to a node: what the user's ssh configuration says about it, and what goes wrong.

`~/.ssh/config` (aliases, ProxyJump, IdentityFile, User, Port), the agent and known_hosts are
honoured by asyncssh itself. What comes back from it as an error is translated here, at the border.
"""

from __future__ import annotations

import random
from typing import Any

import anyio
import asyncssh
from msgspec import Struct

from asyncstack.errors import AuthenticationError, ConnectError, HostKeyError, TransportError
from asyncstack.model import Node
from asyncstack.transports.hostkeys import HostKeys

__all__ = ["SshLogin", "SshOptions"]

_HUNG_UP = (asyncssh.ConnectionLost, ConnectionResetError)
#: Seconds before one that hung up in the handshake is called again.
_HUNG_UP_DELAYS_S = (0.3, 1.0, 2.0)
# Twice the throughput of the default order.
_CIPHERS = "^aes256-gcm@openssh.com,aes128-gcm@openssh.com"


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


class SshLogin:
    """Makes connections to one node."""

    def __init__(self, node: Node, options: SshOptions) -> None:
        self._node = node
        self._options = options
        self._host_keys = HostKeys(node.name, options.known_hosts)

    async def connect(self) -> asyncssh.SSHClientConnection:
        """Connect and log in.

        Raises ConnectError, AuthenticationError or HostKeyError.
        """
        try:
            try:
                return await self._attempt()
            except (asyncssh.HostKeyNotVerifiable, *_HUNG_UP) as error:
                # Hanging up is what a node does to us that has none of the kinds of keys that
                # known_hosts has for it.
                await self._host_keys.accept_or_refuse(
                    self._arguments(),
                    accept_new=self._options.accept_new_host_keys,
                    timeout_s=self._options.login_timeout_s,
                    cause=error,
                )
            return await self._attempt()
        except asyncssh.HostKeyNotVerifiable as error:
            raise HostKeyError(self._node.name, _reason(error)) from error
        except (OSError, asyncssh.Error, ValueError) as error:
            # ValueError: a key, known_hosts or ~/.ssh/config that can't be read.
            raise _translated(self._node, error) from error

    async def _attempt(self) -> asyncssh.SSHClientConnection:
        """Connect; one that hangs up before the login is done, as a busy sshd does, is asked again."""
        for delay in _HUNG_UP_DELAYS_S:
            try:
                return await self._attempt_once()
            except _HUNG_UP:
                await anyio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311
        return await self._attempt_once()

    async def _attempt_once(self) -> asyncssh.SSHClientConnection:
        arguments, options = self._arguments(), self._options
        configured = await asyncssh.SSHClientConnectionOptions.construct(**arguments)
        arguments["known_hosts"] = self._host_keys.trusted(configured)
        if not configured.keepalive_interval:
            arguments["keepalive_interval"] = options.keepalive_s
            arguments["keepalive_count_max"] = options.keepalive_count
        return await asyncssh.connect(
            **arguments,
            encryption_algs=_CIPHERS,
            connect_timeout=options.connect_timeout_s,
            login_timeout=options.login_timeout_s,
        )

    def _arguments(self) -> dict[str, Any]:
        # What isn't given is left to ~/.ssh/config: an explicit value would win over it.
        node, options = self._node, self._options
        arguments: dict[str, Any] = {"host": node.host or node.name}
        if node.user:
            arguments["username"] = node.user
        if node.port:
            arguments["port"] = node.port
        if options.key_file:
            arguments["client_keys"] = [options.key_file]
        # Always, for not all that takes it reads ~/.ssh/config by default, which () means.
        arguments["config"] = () if options.config_files is None else list(options.config_files)
        return arguments


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _translated(node: Node, error: BaseException) -> TransportError:
    where = f"{node.user + '@' if node.user else ''}{node.host or node.name}"
    if node.port:
        where += f":{node.port}"
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
    return ConnectError(node.name, f"{where} can't be reached: {_reason(error)}")
