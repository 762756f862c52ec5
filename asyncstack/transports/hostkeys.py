"""Host keys: what to do with one that known_hosts doesn't vouch for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import asyncssh

from asyncstack.errors import HostKeyError

__all__ = ["HostKeys"]


class HostKeys:
    """The known hosts of one node's connections. `path` empty: the user's own file."""

    def __init__(self, node: str, path: str = "") -> None:
        self._node = node
        self._path = Path(path) if path else Path.home() / ".ssh" / "known_hosts"

    async def accept_or_refuse(
        self, arguments: dict[str, Any], *, accept_new: bool, cause: BaseException
    ) -> None:
        """Write an unknown key down if the user allows that.

        Raises HostKeyError for a key that has changed, and for an unknown one unless `accept_new`.
        """
        key = await self._offered(arguments)
        host, port = await self._address(arguments)
        name = host if port == 22 else f"[{host}]:{port}"  # noqa: PLR2004 – ssh's own port
        fingerprint = key.get_fingerprint()
        if self._known(host, port):
            raise HostKeyError(
                self._node,
                f"the host key of {name} has CHANGED (now {fingerprint}); "
                "somebody may be listening in, or the node was installed anew",
                hint=f"if that is so: ssh-keygen -f {self._path} -R '{name}'",
            ) from cause
        if not accept_new:
            raise HostKeyError(
                self._node,
                f"the host key of {name} is unknown: {fingerprint}",
                hint="compare it, then run again with --accept-new-host-keys",
            ) from cause
        await anyio.to_thread.run_sync(self._append, name, key)

    async def _offered(self, arguments: dict[str, Any]) -> asyncssh.SSHKey:
        wanted = {k: v for k, v in arguments.items() if k in ("host", "port", "config")}
        try:
            key = await asyncssh.get_server_host_key(**wanted)
        except (OSError, asyncssh.Error) as error:
            raise HostKeyError(self._node, f"its host key can't be read: {error}") from error
        if key is None:
            raise HostKeyError(self._node, "it offers no host key")
        return key

    async def _address(self, arguments: dict[str, Any]) -> tuple[str, int]:
        options = await asyncssh.SSHClientConnectionOptions.construct(**arguments)
        return options.host, options.port or 22

    def _known(self, host: str, port: int) -> bool:
        try:
            known = asyncssh.read_known_hosts(str(self._path))
        except OSError:
            return False
        host_keys, *_ = known.match(host, "", port)
        return bool(host_keys)

    def _append(self, name: str, key: asyncssh.SSHKey) -> None:
        line = f"{name} {key.export_public_key().decode().strip()}\n"
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self._path, flags, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 – open already
            stream.write(line)
