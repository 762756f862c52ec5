"""Host keys: what to do with one that known_hosts doesn't vouch for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import asyncssh
from anyio import to_thread

from asyncstack.errors import HostKeyError
from asyncstack.model import Node, Suspicion
from asyncstack.transports.hostfiles import host_files
from asyncstack.transports.knownhosts import HostName, KeyState, Verdict, add_keys, judge
from asyncstack.transports.openssh import ask_openssh
from asyncstack.transports.proxies import offered_key
from asyncstack.transports.sshconfig import Configured

__all__ = ["HostKeys", "KnownHosts", "Remark", "changed", "revoked"]

#: Files, or keys: trusted ones, those of authorities, revoked ones.
KnownHosts = list[str] | tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]
_ADDRESS = ("host", "port", "username", "config", "proxy_command")
#: Is told what the user should know, though nothing has failed.
Remark = Callable[[Suspicion], None]


class HostKeys:
    """The known hosts of one node's connections. `path` empty: what ~/.ssh/config says.

    `accepted` gives the keys that were accepted in this run, by the host's name, for those that
    reach it by the same way.
    """

    def __init__(
        self,
        node: Node,
        path: str,
        accepted: Callable[[], dict[str, asyncssh.SSHKey]],
        remark: Remark,
    ) -> None:
        self._node = node.name
        self._whole = node
        self._arguments = node.ssh
        self._path = path
        self._accepted = accepted
        self._remark = remark

    def trusted(self, configured: Configured) -> KnownHosts:
        """What a connection is to be verified by: the files of which there are some."""
        mine = self._accepted().get(HostName.of(configured).text)
        if mine is not None:
            return [mine], [], []
        files = host_files(configured, self._arguments, self._path).read
        return [str(path) for path in files if path.is_file()] or ([], [], [])

    async def accept_or_refuse(
        self,
        arguments: dict[str, Any],
        *,
        accept_new: bool,
        timeout_s: float,
        cause: Exception,
    ) -> None:
        """Accept an unknown key if the user allows that; nothing to do for a known one.

        Raises HostKeyError for a key that has changed, and for an unknown one unless `accept_new`
        or StrictHostKeyChecking of ~/.ssh/config lets it in. SettingsError for what is wrong there.
        """
        try:
            key = await self._offered(arguments, timeout_s)
        except HostKeyError:
            if isinstance(cause, asyncssh.HostKeyNotVerifiable):
                raise
            raise cause from None  # then it hung up for reasons of its own
        wanted = {k: v for k, v in arguments.items() if k in _ADDRESS}
        configured = await Configured.construct(**wanted, client_keys=None)
        name = HostName.of(configured)
        files = host_files(configured, self._arguments, self._path)
        mine = self._accepted().get(name.text)
        if mine is not None and mine != key:
            raise _changed_meanwhile(self._node, name, key, mine) from cause
        if mine is not None or not self._is_new(judge(files.read, name, [key]), name, key, cause):
            return
        openssh = await ask_openssh(wanted, self._arguments.strict_host_key_checking)
        if not (accept_new or openssh.accepts_new):
            raise HostKeyError(
                self._node,
                f"the host key of {name} is unknown: {key.get_fingerprint()}",
                hint="compare it, then trust it: asyncstack hosts trust with the same -i or -n; "
                "or run again with --accept-new-host-keys",
            ) from cause
        await self._write_down(files.write, name, key, hashed=openssh.hash_names)
        self._accepted()[name.text] = key
        why = f"StrictHostKeyChecking {openssh.accepts_new}"
        why = "--accept-new-host-keys" if accept_new else why
        self._remark(_acceptance(name, key, files.write, why))

    def _is_new(
        self, verdict: Verdict, name: HostName, key: asyncssh.SSHKey, cause: Exception
    ) -> bool:
        if verdict.state is KeyState.REVOKED:
            raise revoked(self._node, name, key, verdict.place) from cause
        if verdict.state is KeyState.CHANGED:
            raise changed(self._node, name, key, verdict.place) from cause
        return verdict.state is KeyState.UNKNOWN

    async def _write_down(
        self, path: Path | None, name: HostName, key: asyncssh.SSHKey, *, hashed: bool
    ) -> None:
        if path is None:
            return
        try:
            await to_thread.run_sync(lambda: add_keys(path, name, [key], hashed=hashed))
        except OSError as error:
            problem = f"its host key can't be written down: {error}"
            raise HostKeyError(self._node, problem) from error

    async def _offered(self, arguments: dict[str, Any], timeout_s: float) -> asyncssh.SSHKey:
        try:
            with anyio.fail_after(timeout_s):
                key = await offered_key(self._whole, arguments)
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


def _changed_meanwhile(
    node: str, name: HostName, key: asyncssh.SSHKey, before: asyncssh.SSHKey
) -> HostKeyError:
    """The error for a host that had another key when it was accepted in this run."""
    return HostKeyError(
        node,
        f"the host key of {name} has CHANGED in the middle of the run (now "
        f"{key.get_fingerprint()}, before {before.get_fingerprint()}): somebody may be listening "
        "in, or the node was installed anew",
        hint="if that is so, start a new run",
    )


def _acceptance(name: HostName, key: asyncssh.SSHKey, path: Path | None, why: str) -> Suspicion:
    where = f"written to {path}" if path else "written nowhere, so that any will do the next time"
    return Suspicion(
        "host-key-accepted",
        f"the new host key of {name} is accepted unseen ({why}): {key.get_fingerprint()}, {where}",
    )


def revoked(node: str, name: HostName, key: asyncssh.SSHKey, place: str) -> HostKeyError:
    """The error for a key that the line at `place` revokes."""
    return HostKeyError(
        node, f"the host key of {name} is revoked: {key.get_fingerprint()} ({place})"
    )
