"""A ProxyCommand: the program that carries the bytes of a connection, as OpenSSH runs it.

asyncssh can run one, but without a shell, and takes what it prints on stderr for the node's answer.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import IO, Any

import anyio
import asyncssh
from anyio import CancelScope
from anyio.abc import Process

from asyncstack.errors import ConnectError
from asyncstack.model import Node
from asyncstack.transports.sshconfig import Configured
from asyncstack.transports.userconfig import UserConfig

__all__ = ["Proxy", "offered_key", "open_proxy", "proxy_command"]

#: What would be more than a word to the shell. OpenSSH refuses the same.
_UNSAFE = frozenset("'`\"$\\;&<>|(){}\n")
_ADDRESS = ("host", "port", "config", "tunnel", "proxy_command")
_LOGIN = ("host", "port", "config", "username", "proxy_command")
_GRACE_S = 1.0
_TAIL = 500


def proxy_command(node: Node, configured: Configured) -> str:
    """The command line that leads to a node, empty if none does: the inventory's, or the user's.

    Raises ConnectError for a name that could be a command of its own, ValueError for a wrong token.
    """
    said = node.ssh.proxy_command
    if not said and not node.ssh.proxy_jump:
        said = str(configured.config.get("ProxyCommand") or "")
    if not said or said.lower() == "none":
        return ""
    for word in (node.name, configured.host, configured.username):
        if _UNSAFE & set(word) or word.startswith("-"):
            raise ConnectError(node.name, f"ProxyCommand can't be given the name {word!r}")
    assert isinstance(configured.config, UserConfig)
    return configured.config.command(said)


class Proxy:
    """A running one. `socket` is our end of it, and its new owner's to close."""

    def __init__(self, process: Process, end: socket.socket, stderr: IO[bytes]) -> None:
        self.socket = end
        self._process = process
        self._stderr = stderr

    def said(self) -> str:
        """The last line that it wrote to stderr."""
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _TAIL))
        lines = self._stderr.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    async def aclose(self) -> None:
        """End it, and what it has started."""
        self.socket.close()
        with CancelScope(shield=True):
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, number)
                with anyio.move_on_after(_GRACE_S):
                    await self._process.wait()
                    break
        self._stderr.close()


async def open_proxy(command: str) -> Proxy:
    """Start one, in a session of its own: a Ctrl-C is for us, who end it when we are done."""
    ours, theirs = socket.socketpair()
    stderr = tempfile.TemporaryFile()  # noqa: SIM115 – the proxy's, which closes it
    try:
        with theirs:
            shell = os.environ.get("SHELL") or "/bin/sh"
            process = await anyio.open_process(
                [shell, "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=stderr,
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        stderr.close()
        raise
    assert process.stdin is None
    return Proxy(process, ours, stderr)


async def offered_key(
    node: Node, arguments: dict[str, Any], kinds: tuple[str, ...] = ()
) -> asyncssh.SSHKey | None:
    """The host key that a node shows to who asks for one of these kinds; () is for any."""
    wanted = {name: arguments[name] for name in _ADDRESS if name in arguments}
    async with _proxied(node, arguments) as end:
        return await asyncssh.get_server_host_key(
            **wanted, sock=end, server_host_key_algs=list(kinds) or ()
        )


@asynccontextmanager
async def _proxied(node: Node, arguments: dict[str, Any]) -> AsyncIterator[socket.socket | None]:
    command = ""
    if arguments.get("tunnel") is None:
        known = {name: value for name, value in arguments.items() if name in _LOGIN}
        configured = await Configured.construct(**known, client_keys=None)
        command = proxy_command(node, configured)
    if not command:
        yield None
        return
    proxy = await open_proxy(command)
    try:
        yield proxy.socket
    finally:
        await proxy.aclose()
