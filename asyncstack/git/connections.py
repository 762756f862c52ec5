"""Open http connections that packs can come over. Imported where one is needed: it costs 20 ms."""

from __future__ import annotations

import errno
import itertools
import os
import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from ssl import create_default_context
from typing import cast
from urllib.parse import urlsplit

__all__ = ["connect_to_first", "in_turns", "open_connection"]

#: Bytes read ahead at once. With the standard library's 8 KB a pack costs three times the calls.
_BUFFER = 1 << 17
#: Seconds that an address gets before the next one is tried beside it (RFC 8305, "Connection
#: Attempt Delay"): where IPv6 leads nowhere, nobody should wait for its end.
_HEAD_START_S = 0.25

_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None) -> None:
        super().__init__(sock, debuglevel, method)
        self.fp.close()
        self.fp = sock.makefile("rb", _BUFFER)  # type: ignore[assignment]


def open_connection(url: str, timeout_s: float | None, ca_file: str | None) -> HTTPConnection:
    """Connect to a URL's server; `ca_file` in place of the system's certificates.

    Raises OSError if that can't be done.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http":
        connection = HTTPConnection(host, parts.port, timeout=timeout_s)
    else:
        context = create_default_context(cafile=ca_file)
        connection = HTTPSConnection(host, parts.port, timeout=timeout_s, context=context)
    connection.response_class = _Response
    # What urllib3 replaces, too: http.client takes one address after the other, for a minute each.
    connection._create_connection = _connect  # type: ignore[attr-defined]  # noqa: SLF001
    connection.connect()
    return connection


def _connect(
    address: tuple[str, int], timeout_s: float | None = None, _source: object = None
) -> socket.socket:
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    connected = connect_to_first(in_turns(found), timeout_s)
    connected.settimeout(timeout_s)
    return connected


def in_turns(addresses: Sequence[_Address]) -> list[_Address]:
    """Order addresses so that the families take turns, beginning with the resolver's favourite."""
    families = dict.fromkeys(address[0] for address in addresses)
    queues = [[one for one in addresses if one[0] is family] for family in families]
    return [one for turn in itertools.zip_longest(*queues) for one in turn if one is not None]


def connect_to_first(addresses: Sequence[_Address], timeout_s: float | None) -> socket.socket:
    """Connect to the first address that answers; each later one gets its chance a little later.

    Raises TimeoutError if none answers in time, the last one's OSError if all refuse.
    """
    end = time.monotonic() + timeout_s if timeout_s else None
    waiting = list(addresses)
    error = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    with selectors.DefaultSelector() as attempts, ExitStack() as opened:
        while waiting or attempts.get_map():
            if waiting:
                family, kind, protocol, _, where = waiting.pop(0)
                try:
                    attempt = opened.enter_context(socket.socket(family, kind, protocol))
                except OSError as unknown:  # a kernel without IPv6
                    error = unknown
                    continue
                attempt.setblocking(False)
                number = attempt.connect_ex(where)
                if number not in (0, errno.EINPROGRESS):
                    error = OSError(number, os.strerror(number))
                    continue
                attempts.register(attempt, selectors.EVENT_WRITE)
            limits = [_HEAD_START_S] if waiting else []
            limits += [end - time.monotonic()] if end else []
            for key, _ in attempts.select(min(limits, default=None)):
                attempt = cast("socket.socket", key.fileobj)
                attempts.unregister(attempt)
                number = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not number:
                    return attempt.dup()
                error = OSError(number, os.strerror(number))
            if end and time.monotonic() >= end:
                raise TimeoutError
    raise error
