"""The known_hosts files: what they say of a host's keys, and adding some. Never replaces any."""

from __future__ import annotations

import base64
import enum
import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

import asyncssh
from msgspec import Struct

from asyncstack.transports.sshconfig import Configured

__all__ = ["HostName", "KeyState", "Verdict", "add_keys", "judge"]

_SSH_PORT = 22


class HostName(Struct, frozen=True):
    """What a host is called in known_hosts: [HOST]:PORT where the port isn't ssh's own."""

    text: str

    @classmethod
    def of(cls, configured: Configured) -> HostName:
        """The name of the host that a connection leads to. A HostKeyAlias has no port."""
        port = configured.port or _SSH_PORT
        if configured.host_key_alias:
            return cls(str(configured.host_key_alias))
        return cls(configured.host if port == _SSH_PORT else f"[{configured.host}]:{port}")

    def __str__(self) -> str:
        return self.text

    @property
    def without_port(self) -> str:
        """The host itself, whose lines count where there is none for the port."""
        return self.text[1:].rpartition("]:")[0] if self.text.startswith("[") else self.text


class KeyState(enum.Enum):
    """What known_hosts says of a key that a host has offered."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


class Verdict(Struct, frozen=True):
    """`place` is the FILE:LINE that says so, if one does, and `kind` that of the key there."""

    state: KeyState
    place: str = ""
    kind: str = ""


def judge(files: Sequence[Path], name: HostName, offered: Sequence[asyncssh.SSHKey]) -> Verdict:
    """What the files say of a host that offered these keys.

    One that is known by any key is known, unless it has another one of a kind that is written
    down. Known by none, but of which there are some, it has changed.
    """
    lines = list(_lines(files, name.text)) or list(_lines(files, name.without_port))
    for place, _, bad in lines:
        for key in offered:
            if key in bad:
                return Verdict(KeyState.REVOKED, place, key.get_algorithm())
    known = [(place, key) for place, keys, _ in lines for key in keys]
    agreeing = [(place, key) for place, key in known if key in offered]
    kinds = {key.get_algorithm() for _, key in agreeing}
    contradicting = [
        (place, key)
        for place, key in known
        if key not in offered
        and key.get_algorithm() not in kinds
        and any(key.get_algorithm() == one.get_algorithm() for one in offered)
    ]
    for state, reasons in (
        (KeyState.CHANGED, contradicting),
        (KeyState.KNOWN, agreeing),
        (KeyState.CHANGED, known),
    ):
        if reasons:
            place, key = reasons[0]
            return Verdict(state, place, key.get_algorithm())
    return Verdict(KeyState.UNKNOWN)


def _lines(
    files: Sequence[Path], name: str
) -> Iterator[tuple[str, list[asyncssh.SSHKey], list[asyncssh.SSHKey]]]:
    """FILE:LINE, keys and revoked keys of each line about a host."""
    for path in files:
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            try:
                keys, _, revoked, *_ = asyncssh.import_known_hosts(line).match(name, "", None)
            except ValueError:
                continue
            if keys or revoked:
                yield f"{path}:{number}", list(keys), list(revoked)


def add_keys(
    path: Path, name: HostName, keys: Sequence[asyncssh.SSHKey], *, hashed: bool = False
) -> None:
    """Write a host's keys down, those that aren't there yet. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with open(descriptor, "a+b") as stream:  # noqa: PTH123 – open already
        fcntl.flock(stream, fcntl.LOCK_EX)  # many nodes may share an address
        there = [key for _, found, _ in _lines([path], name.text) for key in found]
        stream.seek(0)
        text = stream.read()
        new = [key for key in keys if key not in there]
        lines = "".join(f"{_name(name.text, hashed)} {_key(key)}\n" for key in new)
        if lines:
            # Somebody may have edited it and left the last line without its end.
            stream.write(b"\n" * (text[-1:] not in (b"", b"\n")) + lines.encode())


def _key(key: asyncssh.SSHKey) -> str:
    # Without a comment, which is none of the host's.
    return " ".join(key.export_public_key().decode().split()[:2])


def _name(name: str, hashed: bool) -> str:
    if not hashed:
        return name
    salt = secrets.token_bytes(20)
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
