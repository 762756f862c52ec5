"""Talk to smart http servers without a git process, over connections that are kept.

Thirty `git ls-remote` are thirty processes and thirty TLS handshakes; this is one request each over
a few connections. A `git clone` is three processes that hand the pack on to each other; this hands
it to index-pack itself. It does the plain case alone: protocol version 2, no login, no proxy, no
redirect, no configuration of the user's that would change how git connects. For everything else
the answer is None, which means: let git do it. (gitprotocol-http(5).)
"""
# ruff: noqa: PLC0415 - http.client costs 20 ms that most commands needn't pay

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from asyncstack.git.pktline import (
    Advertised,
    PackAnswer,
    ProtocolError,
    parse_refs,
    refs_request,
)
from asyncstack.git.urls import Address

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

__all__ = ["Conversation", "Trouble", "is_plain"]

#: Variables that change how git's curl connects; GIT_SSL_CAINFO is honoured.
_REROUTES = re.compile(r"(?:https?|all)_proxy|GIT_(?:PROXY|HTTP)_\w+", re.IGNORECASE)
_OWN_TLS = re.compile(r"GIT_SSL_(?!CAINFO\Z)\w+")
_BEHIND_A_PATH = re.compile(r"[?#]")
_ANSWER = "application/x-git-upload-pack-result"
#: An answer that is longer than this is no list of refs.
_LONGEST = 64 << 20
_PIECE = 1 << 17
_OK = 200
#: What passes. 501 doesn't: who gives out plain files implements no POST.
_IN_TROUBLE = (429, 500, 502, 503, 504)


def is_plain(address: Address, environ: Mapping[str, str]) -> bool:
    """Say whether an address can be asked without git."""
    if address.scheme not in ("http", "https") or address.credentials is not None:
        return False
    # A query is a part of what names the repository; git's idea of it, as of HTTP://, is git's.
    if not address.url.startswith(f"{address.scheme}://") or _BEHIND_A_PATH.search(address.url):
        return False
    if any(_REROUTES.fullmatch(name) for name in environ):
        return False
    return address.scheme == "http" or not any(_OWN_TLS.fullmatch(name) for name in environ)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there was no answer, in the words that git has for it, and the Retry-After header."""

    words: str
    retry_after: str = ""


class Conversation:
    """One kept connection to one server. Its methods block: call them in a thread."""

    def __init__(self, address: Address, timeout_s: float, ca_file: str = "") -> None:
        self._url = address.url
        self._timeout_s = timeout_s or None
        self._ca_file = ca_file or None
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._talk = threading.Lock()
        self._abandoned = False
        self.connect_s = 0.0
        self.received_bytes = 0

    @property
    def is_over(self) -> bool:
        """Say whether nobody else may ask anything: it was given up, or a thread is still in it."""
        return self._abandoned or self._talk.locked()

    @contextmanager
    def _talking(self) -> Iterator[None]:
        with self._talk:
            try:
                yield
            finally:
                if self._abandoned:
                    self.close()

    def refs(self, url: str, prefixes: Sequence[str] = ()) -> Advertised | Trouble | None:
        """Ask for a repository's refs: branches, tags and HEAD, or those below some prefixes.

        None if git should ask; trouble is what it would meet as well: silence, or a server that is
        in trouble itself.
        """
        request = refs_request(prefixes) if prefixes else refs_request()
        with self._talking():
            response = self._ask(url, request)
            if response is None or isinstance(response, Trouble):
                return response
            try:
                return parse_refs(self._whole(response, _LONGEST))
            except TimeoutError:
                return self._silence()
            except ProtocolError:
                self.close()
                return None

    def pack(
        self,
        request: bytes,
        url: str,
        begin: Callable[[Sequence[str]], None],
        sink: Callable[[memoryview], object],
    ) -> PackAnswer | Trouble | None:
        """Have a pack sent (`pack_request`) and give its bytes to `sink` as they come.

        `begin` is told before that where the history is cut off. An OSError of either goes on.
        None and trouble are as for `refs`, and trouble is also what ends a pack too early.
        """
        with self._talking():
            response = self._ask(url, request)
            if response is None or isinstance(response, Trouble):
                return response
            try:
                return self._receive(response, begin, sink)
            except TimeoutError:
                return self._silence()
            except ProtocolError as error:
                self.close()
                return Trouble(str(error))
            except OSError:
                self.close()
                raise

    def _receive(
        self,
        response: HTTPResponse,
        begin: Callable[[Sequence[str]], None],
        sink: Callable[[memoryview], object],
    ) -> PackAnswer:
        answer, begun = PackAnswer(), False
        for data in self._pieces(response):
            for piece in answer.feed(data):
                if not begun:
                    begin(answer.shallow)
                    begun = True
                sink(piece)
        if not answer.complete:
            raise ProtocolError("fatal: unexpected disconnect while reading sideband packet")
        return answer

    def _ask(self, url: str, request: bytes) -> HTTPResponse | Trouble | None:
        """Send a request and return its answer, of which the head was read."""
        from http.client import HTTPException

        try:
            response = self._post(url, request)
            if _is_answer(response):
                return response
            self._whole(response, _PIECE)
        except TimeoutError:
            return self._silence()
        except (OSError, HTTPException, ValueError, ProtocolError):
            self.close()
            return None
        return _trouble(url, response) if response.status in _IN_TROUBLE else None

    def _whole(self, response: HTTPResponse, most: int) -> bytes:
        """Return an answer's body; '' in place of one that is longer than `most`: we hang up then."""
        body = bytearray()
        for data in self._pieces(response):
            body += data
            if len(body) > most:
                self.close()
                return b""
        return bytes(body)

    def _pieces(self, response: HTTPResponse) -> Iterator[bytes]:
        """Yield an answer's bytes as they come. Raises ProtocolError if the connection fails.

        A TLS library has words of its own for that, the kernel several; what they mean is the same.
        """
        from http.client import HTTPException

        try:
            while data := response.read1(_PIECE):
                self.received_bytes += len(data)
                yield data
        except TimeoutError:
            raise
        except (OSError, HTTPException, ValueError) as error:
            words = f"fatal: unexpected disconnect while reading the pack: {error}"
            raise ProtocolError(words) from error
        response.close()  # of known length, it hasn't noticed its end, and nobody else could ask

    def _silence(self) -> Trouble:
        self.close()
        if self._timeout_s is None:  # the kernel's own limit
            return Trouble("fatal: the connection timed out")
        return Trouble(f"for {self._timeout_s:g} s nothing moved")

    def _post(self, url: str, body: bytes) -> HTTPResponse:
        """Send a request and return the head of its answer.

        A kept connection may have been closed by the server meanwhile: then over a new one.
        """
        path = urlsplit(url).path.rstrip("/") + "/git-upload-pack"
        headers = {
            "Content-Type": "application/x-git-upload-pack-request",
            "Accept": _ANSWER,
            "Git-Protocol": "version=2",
            "User-Agent": "git/asyncstack",
        }
        while True:
            connection, new = self._connect()
            try:
                connection.request("POST", path, body, headers)
                return connection.getresponse()
            except TimeoutError:
                raise
            except OSError:  # TLS has errors of its own for that
                self.close()
                if new:
                    raise

    def _connect(self) -> tuple[HTTPConnection, bool]:
        """Return a connection that is open, and whether it is new."""
        self.connect_s = 0.0
        if self._connection is not None and self._connection.sock is not None:
            return self._connection, False
        from asyncstack.git.connections import open_connection

        if self._abandoned:
            raise ConnectionAbortedError
        started = time.monotonic()
        self._connection = open_connection(self._url, self._timeout_s, self._ca_file)
        self._socket = self._connection.sock
        self.connect_s = time.monotonic() - started
        if self._abandoned:
            raise ConnectionAbortedError
        return self._connection, True

    def abandon(self) -> None:
        """Make what is blocked fail at once, and for good; may be called from another thread."""
        self._abandoned = True
        if not self._talk.locked():
            self.close()
        raw = self._socket
        if raw is not None:
            try:
                socket.socket.shutdown(raw, socket.SHUT_RDWR)  # TLS' own takes more than that away
            except OSError:
                return

    def close(self) -> None:
        """Hang up; the next question connects again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = self._socket = None


def _is_answer(response: HTTPResponse) -> bool:
    plain = response.headers.get("Content-Encoding", "identity") == "identity"
    return plain and response.status == _OK and response.headers.get_content_type() == _ANSWER


def _trouble(url: str, response: HTTPResponse) -> Trouble:
    retry_after = response.headers.get("Retry-After", "")
    words = f"fatal: unable to access '{url}': The requested URL returned error: {response.status}"
    return Trouble(words, retry_after)
