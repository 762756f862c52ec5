"""Host keys: what to do with one that known_hosts doesn't vouch for."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import anyio
import asyncssh

from asyncstack.errors import HostKeyError

__all__ = ["HostKeys", "KnownHosts"]

#: Files, or (if there is none) no keys.
KnownHosts = list[str] | tuple[list[str], list[str], list[str]]


#: The system's own, which OpenSSH reads after the user's.
_SYSTEM = Path("/etc/ssh/ssh_known_hosts")


class HostKeys:
    """The known hosts of one node's connections. `path` empty: what ~/.ssh/config says."""

    def __init__(self, node: str, path: str = "") -> None:
        self._node = node
        self._path = path

    def trusted(self, options: asyncssh.SSHClientConnectionOptions) -> KnownHosts:
        """What a connection is to be verified by: the files of which there are some."""
        files = [str(path) for path in (*self._paths(options), _SYSTEM) if path.is_file()]
        return files or ([], [], [])

    def _paths(self, options: asyncssh.SSHClientConnectionOptions) -> list[Path]:
        if self._path:
            return [Path(self._path)]
        # UserKnownHostsFile of ~/.ssh/config.
        listed = options.known_hosts if isinstance(options.known_hosts, list) else []
        usual = [str(Path.home() / ".ssh" / "known_hosts")]
        return [Path(str(name)).expanduser() for name in listed or usual]

    async def accept_or_refuse(
        self,
        arguments: dict[str, Any],
        *,
        accept_new: bool,
        timeout_s: float,
        cause: Exception,
    ) -> None:
        """Write an unknown key down if the user allows that; nothing to do for a known one.

        Raises HostKeyError for a key that has changed, and for an unknown one unless `accept_new`.
        """
        try:
            key = await self._offered(arguments, timeout_s)
        except HostKeyError:
            if isinstance(cause, asyncssh.HostKeyNotVerifiable):
                raise
            raise cause from None  # then it hung up for reasons of its own
        options = await asyncssh.SSHClientConnectionOptions.construct(**arguments)
        host, port = options.host_key_alias or options.host, options.port or 22
        name = host if port == 22 else f"[{host}]:{port}"  # noqa: PLR2004 – ssh's own port
        fingerprint = key.get_fingerprint()
        known, _authorities, revoked, *_ = asyncssh.match_known_hosts(
            self.trusted(options), host, "", port
        )
        path = self._paths(options)[0]
        if key in revoked:
            problem = f"the host key of {name} is revoked: {fingerprint}"
            raise HostKeyError(self._node, problem) from cause
        if key in known:
            return
        if known:
            raise HostKeyError(
                self._node,
                f"the host key of {name} has CHANGED (now {fingerprint}); "
                "somebody may be listening in, or the node was installed anew",
                hint=f"if that is so: ssh-keygen -f {path} -R '{name}'",
            ) from cause
        if not accept_new:
            raise HostKeyError(
                self._node,
                f"the host key of {name} is unknown: {fingerprint}",
                hint="compare it, then run again with --accept-new-host-keys",
            ) from cause
        try:
            await anyio.to_thread.run_sync(_append, path, name, key)
        except OSError as error:
            problem = f"its host key can't be written down: {error}"
            raise HostKeyError(self._node, problem) from error

    async def _offered(self, arguments: dict[str, Any], timeout_s: float) -> asyncssh.SSHKey:
        wanted = {k: v for k, v in arguments.items() if k in ("host", "port", "config")}
        try:
            with anyio.fail_after(timeout_s):
                key = await asyncssh.get_server_host_key(**wanted)
        except (OSError, asyncssh.Error) as error:
            reason = str(error) or "no answer in time"
            raise HostKeyError(self._node, f"its host key can't be read: {reason}") from error
        if key is None:
            raise HostKeyError(self._node, "it offers no host key")
        return key


def _append(path: Path, name: str, key: asyncssh.SSHKey) -> None:
    line = f"{name} {key.export_public_key().decode().strip()}\n".encode()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with open(descriptor, "a+b") as stream:  # noqa: PTH123 – open already
        fcntl.flock(stream, fcntl.LOCK_EX)  # many nodes may share an address
        stream.seek(0)
        text = stream.read()
        if line not in text:
            # Somebody may have edited it and left the last line without its end.
            stream.write(b"\n" * (text[-1:] not in (b"", b"\n")) + line)
