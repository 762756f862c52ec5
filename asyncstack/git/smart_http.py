"""Ask smart http servers for their refs without a git process, over connections that are kept.

Thirty `git ls-remote` are thirty processes and thirty TLS handshakes; this is one request each over
a few connections. It does the plain case alone: protocol version 2, no login, no proxy, no redirect,
no configuration of the user's that would change how git connects. For everything else the answer is
None, which means: let git do it. (gitprotocol-http(5), gitprotocol-v2(5), "ls-refs".)
"""
# ruff: noqa: PLC0415 - ssl and http.client cost 20 ms that most commands needn't pay

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from asyncstack.git.refs import RefTable
from asyncstack.git.urls import Address

if TYPE_CHECKING:
    from http.client import HTTPConnection

__all__ = ["Conversation", "is_plain", "parse_refs", "refs_request"]

#: Variables that change how git's curl connects; GIT_SSL_CAINFO is honoured.
_REROUTES = re.compile(r"(?:https?|all)_proxy|GIT_(?:PROXY|HTTP)_\w+", re.IGNORECASE)
_OWN_TLS = re.compile(r"GIT_SSL_(?!CAINFO\Z)\w+")
_OBJECT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
#: An answer that is longer than this is no list of refs.
_LONGEST = 64 << 20


def is_plain(address: Address, environ: Mapping[str, str]) -> bool:
    """Say whether an address can be asked without git."""
    if address.scheme not in ("http", "https") or address.credentials is not None:
        return False
    if any(_REROUTES.fullmatch(name) for name in environ):
        return False
    return address.scheme == "http" or not any(_OWN_TLS.fullmatch(name) for name in environ)


def refs_request() -> bytes:
    """Return the body that asks for branches and tags, tags peeled."""
    lines = [b"command=ls-refs\n", b"agent=git/asyncstack"]
    wanted = [b"peel\n", b"ref-prefix refs/heads/\n", b"ref-prefix refs/tags/\n"]
    return b"".join([*map(_packet, lines), b"0001", *map(_packet, wanted), b"0000"])


def _packet(line: bytes) -> bytes:
    return b"%04x%s" % (len(line) + 4, line)


def parse_refs(answer: bytes) -> RefTable | None:
    """Read the answer; None if it isn't one."""
    names: dict[str, str] = {}
    peeled: dict[str, str] = {}
    at = 0
    while (size := _size(answer[at : at + 4])) >= 4:  # noqa: PLR2004 - the length counts itself
        line = answer[at + 4 : at + size].rstrip(b"\n").decode("utf-8", "surrogateescape")
        oid, _, rest = line.partition(" ")
        name, *attributes = rest.split(" ")
        if not _OBJECT.match(oid) or not name.startswith("refs/"):
            return None
        names[name] = oid
        for attribute in attributes:
            key, _, value = attribute.partition(":")
            if key == "peeled":
                peeled[name] = value
        at += size
    complete = size == 0 and at + 4 == len(answer)
    return RefTable(names, peeled) if complete else None


def _size(digits: bytes) -> int:
    try:
        return int(digits, 16)
    except ValueError:
        return -1


class Conversation:
    """One kept connection to one server. Its methods block: call them in a thread."""

    def __init__(self, address: Address, timeout_s: float, ca_file: str = "") -> None:
        self._origin = urlsplit(address.url)
        self._timeout_s = timeout_s or None
        self._ca_file = ca_file or None
        self._connection: HTTPConnection | None = None

    def ask(self, url: str) -> RefTable | None:
        """Ask for a repository's refs; None if git should."""
        from http.client import HTTPException

        try:
            return self._ask(url)
        except (OSError, HTTPException, ValueError):
            self.close()
            return None

    def _ask(self, url: str) -> RefTable | None:
        connection = self._connect()
        path = urlsplit(url).path.rstrip("/") + "/git-upload-pack"
        headers = {
            "Content-Type": "application/x-git-upload-pack-request",
            "Accept": "application/x-git-upload-pack-result",
            "Git-Protocol": "version=2",
            "User-Agent": "git/asyncstack",
        }
        connection.request("POST", path, refs_request(), headers)
        response = connection.getresponse()
        answer = response.read(_LONGEST)
        kind = response.headers.get_content_type()
        if response.status != 200 or kind != "application/x-git-upload-pack-result":  # noqa: PLR2004
            return None
        return parse_refs(answer)

    def _connect(self) -> HTTPConnection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection

        host, port = self._origin.hostname or "", self._origin.port
        if self._origin.scheme == "http":
            return HTTPConnection(host, port, timeout=self._timeout_s)
        from ssl import create_default_context

        context = create_default_context(cafile=self._ca_file)
        return HTTPSConnection(host, port, timeout=self._timeout_s, context=context)

    def interrupt(self) -> None:
        """Make a blocked `ask` fail at once; may be called from another thread."""
        connection = self._connection
        raw = connection.sock if connection is not None else None
        if raw is not None:
            try:
                raw.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def close(self) -> None:
        """Hang up; the next `ask` connects again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
