"""Private keys: each is read once a run, and its passphrase asked for once, if it is needed at all."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import asyncssh
from anyio import to_thread

from asyncstack.transports.base import Ask
from asyncstack.transports.sshconfig import public_half

__all__ = ["KeyRing", "LockedKeyError"]

_TRIES = 3
_MAGIC = b"openssh-key-v1\0"


class LockedKeyError(Exception):
    """A key can't be used for want of its passphrase; says so, without the path."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(problem)
        self.path = path


class KeyRing:
    """The keys of all nodes of a run. An unlocked one stays so, for connections made anew."""

    def __init__(self, ask: Ask | None = None) -> None:
        self._ask = ask
        self._keys: dict[Path, asyncssh.SSHKey] = {}
        self._refused: dict[Path, str] = {}
        self._asking = anyio.Lock()

    async def load(self, paths: Sequence[Path]) -> list[Any]:
        """The keys in these files, as asyncssh takes them; one with a passphrase stays locked.

        Raises OSError or asyncssh.KeyImportError for a file that is no key.
        """
        return await to_thread.run_sync(lambda: [key for p in paths for key in self._load(p)])

    def _load(self, path: Path) -> list[Any]:
        certificate = path.with_name(f"{path.name}-cert.pub")
        if path not in self._keys:
            if not path.exists() and public_half(path).exists():
                return []  # what an agent, or a token, has the other half of
            data = path.read_bytes()
            if _is_public(data):
                return []
            encrypted, public = _look_at(data)
            if encrypted:
                if certificate.exists() or public_half(path).exists():
                    return [str(path)]  # asyncssh looks for these by itself
                return [(str(path), public)] if public else []
            self._keys[path] = asyncssh.import_private_key(data)
        key = self._keys[path]
        return [(key, str(certificate))] if certificate.exists() else [key]

    async def public_keys(self, paths: Sequence[Path]) -> list[Any]:
        """What an agent may be asked for where it is to be asked for these alone."""
        return await to_thread.run_sync(lambda: [k for p in paths for k in self._public(p)])

    def _public(self, path: Path) -> list[Any]:
        for place in (public_half(path), path):
            try:
                return [asyncssh.read_public_key(place)]
            except (OSError, asyncssh.KeyImportError):
                continue
        if path in self._keys:
            return [self._keys[path].convert_to_public()]
        try:
            _, public = _look_at(path.read_bytes())
        except OSError:
            return []
        return [asyncssh.import_public_key(public)] if public else []

    def opaque(self, paths: Sequence[Path]) -> list[Path]:
        """Those of which not even the public half can be told without the passphrase."""
        return [path for path in paths if path not in self._keys and _is_opaque(path)]

    async def unlock(self, path: Path) -> None:
        """Have the user unlock a key. Raises LockedKeyError, the same for everybody who asks."""
        async with self._asking:
            if path in self._keys:
                return
            if path not in self._refused:
                self._refused[path] = await self._try_to_unlock(path)
            if path in self._keys:
                del self._refused[path]
                return
            raise LockedKeyError(path, self._refused[path])

    async def _try_to_unlock(self, path: Path) -> str:
        """Say why it is still locked."""
        data = await to_thread.run_sync(path.read_bytes)
        for number in range(_TRIES):
            again = "wrong passphrase, once more; " if number else ""
            answer = await self._ask(f"{again}passphrase for key {path}: ") if self._ask else None
            if answer is None:
                return "has a passphrase, and there is no terminal to ask for it"
            if not answer:
                return "has a passphrase, which was not given"
            try:
                # In a thread: a passphrase is made slow to try on purpose.
                self._keys[path] = await to_thread.run_sync(
                    asyncssh.import_private_key, data, answer
                )
            except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
                if "bcrypt" in str(error):
                    return f"can't be unlocked here: {error}"
            else:
                return ""
        return f"has another passphrase than the {_TRIES} that were given"


def _is_public(data: bytes) -> bool:
    return data.startswith((b"ssh-", b"ecdsa-", b"sk-", b"---- BEGIN SSH2 PUBLIC"))


def _is_opaque(path: Path) -> bool:
    if public_half(path).exists():
        return False
    try:
        encrypted, public = _look_at(path.read_bytes())
    except OSError:
        return False
    return encrypted and not public


def _look_at(data: bytes) -> tuple[bool, bytes]:
    """Whether a private key is encrypted, and its public half if that can be told all the same."""
    if b"BEGIN OPENSSH PRIVATE KEY" not in data:
        return b"ENCRYPTED" in data, b""
    body = data.partition(b"PRIVATE KEY-----")[2].partition(b"-----END")[0]
    try:
        raw = base64.b64decode(b"".join(body.split()))
        cipher, rest = _string(raw.removeprefix(_MAGIC))
        _kdf, rest = _string(rest)
        _kdf_options, rest = _string(rest)
        public, _ = _string(rest[4:])  # after the number of keys
        kind, _ = _string(public)
    except (binascii.Error, struct.error):
        return False, b""  # then asyncssh says what is wrong with it
    return cipher != b"none", kind + b" " + base64.b64encode(public) + b"\n"


def _string(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from(">I", data)
    return data[4 : 4 + length], data[4 + length :]
