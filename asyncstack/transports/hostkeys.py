"""Host keys: what to do with one that known_hosts doesn't vouch for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import asyncssh
from anyio import to_thread

from asyncstack.errors import HostKeyError
from asyncstack.transports.knownhosts import (
    HostName,
    KeyState,
    add_keys,
    judge,
    wants_hashed_names,
)
from asyncstack.transports.sshconfig import Configured

__all__ = ["HostKeys", "KnownHosts", "changed", "revoked"]

#: Files, or (if there is none) no keys.
KnownHosts = list[str] | tuple[list[str], list[str], list[str]]


#: The system's own, which OpenSSH reads after the user's.
_SYSTEM = Path("/etc/ssh/ssh_known_hosts")


class HostKeys:
    """The known hosts of one node's connections. `path` empty: what ~/.ssh/config says."""

    def __init__(self, node: str, path: str = "") -> None:
        self._node = node
        self._path = path

    def trusted(self, configured: Configured) -> KnownHosts:
        """What a connection is to be verified by: the files of which there are some."""
        return [str(path) for path in self.files(configured) if path.is_file()] or ([], [], [])

    def files(self, configured: Configured) -> list[Path]:
        """Where keys are looked up; the first is where new ones go."""
        if self._path:
            return [Path(self._path), _SYSTEM]
        # UserKnownHostsFile of ~/.ssh/config.
        listed = configured.known_hosts if isinstance(configured.known_hosts, list) else []
        usual = [str(Path.home() / ".ssh" / "known_hosts")]
        return [*(Path(str(name)).expanduser() for name in listed or usual), _SYSTEM]

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
        wanted = {k: v for k, v in arguments.items() if k in ("host", "port", "config")}
        configured = await Configured.construct(**wanted, client_keys=None)
        name, files = HostName.of(configured), self.files(configured)
        verdict = judge(files, name, [key])
        if verdict.state is KeyState.KNOWN:
            return
        if verdict.state is KeyState.REVOKED:
            raise revoked(self._node, name, key, verdict.place) from cause
        if verdict.state is KeyState.CHANGED:
            raise changed(self._node, name, key, verdict.place) from cause
        if not accept_new:
            raise HostKeyError(
                self._node,
                f"the host key of {name} is unknown: {key.get_fingerprint()}",
                hint="compare it, then trust it: asyncstack hosts trust with the same -i or -n; "
                "or run again with --accept-new-host-keys",
            ) from cause
        try:
            hashed = await wants_hashed_names(configured.orig_host)
            await to_thread.run_sync(lambda: add_keys(files[0], name, [key], hashed=hashed))
        except OSError as error:
            problem = f"its host key can't be written down: {error}"
            raise HostKeyError(self._node, problem) from error

    async def _offered(self, arguments: dict[str, Any], timeout_s: float) -> asyncssh.SSHKey:
        wanted = {k: v for k, v in arguments.items() if k in ("host", "port", "config", "tunnel")}
        try:
            with anyio.fail_after(timeout_s):
                key = await asyncssh.get_server_host_key(**wanted)
        except (OSError, asyncssh.Error) as error:
            reason = str(error) or "no answer in time"
            raise HostKeyError(self._node, f"its host key can't be read: {reason}") from error
        if key is None:
            raise HostKeyError(self._node, "it offers no host key")
        return key


def changed(node: str, name: HostName, key: asyncssh.SSHKey, place: str) -> HostKeyError:
    """The error for a host that now has another key than the one at `place` (FILE:LINE)."""
    return HostKeyError(
        node,
        f"the host key of {name} has CHANGED (now {key.get_fingerprint()}); {place} has "
        "another one: somebody may be listening in, or the node was installed anew",
        hint=f"if that is so: ssh-keygen -f {place.rpartition(':')[0]} -R '{name}'",
    )


def revoked(node: str, name: HostName, key: asyncssh.SSHKey, place: str) -> HostKeyError:
    """The error for a key that the line at `place` revokes."""
    return HostKeyError(
        node, f"the host key of {name} is revoked: {key.get_fingerprint()} ({place})"
    )
