"""Protocol version 2 as bytes: what is asked of a server and what it answers, no connection in sight.

(gitprotocol-common(5), "pkt-line"; gitprotocol-v2(5), "ls-refs" and "fetch"; gitprotocol-pack(5),
"Packfile Data".)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from asyncstack.git.refs import OBJECT_NAME, RefTable
from asyncstack.registry import FORBIDDEN_IN_REF

__all__ = [
    "Advertised",
    "PackAnswer",
    "ProtocolError",
    "pack_request",
    "parse_refs",
    "refs_request",
]

_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{4}")
_FLUSH, _DELIMITER = b"0000", b"0001"
_SECTION_ENDS = (0, 1)
_AGENT = b"agent=git/asyncstack"
#: The four digits of a packet's length count themselves.
_DIGITS = 4
#: Commits whose parents are left out; a history has as many at most as branches at that depth.
_MOST_SHALLOW = 1 << 17
_PACK, _PROGRESS, _ERROR = 1, 2, 3
#: Bytes to keep of what a server says besides.
_REMARKS = 2000
#: Everything that a checkout is made from.
_BRANCHES_AND_TAGS = ("HEAD", "refs/heads/", "refs/tags/")


@dataclass(frozen=True, slots=True)
class Advertised:
    """A server's branches and tags, and the full name of the branch that its HEAD points to.

    `head` is '' where that is none of them: detached, or not there.
    """

    refs: RefTable
    head: str = ""


def _packet(line: bytes) -> bytes:
    return b"%04x%s" % (len(line) + _DIGITS, line)


def _command(name: bytes, arguments: Iterable[bytes]) -> bytes:
    start = [_packet(b"command=%s\n" % name), _packet(_AGENT), _DELIMITER]
    return b"".join([*start, *map(_packet, arguments), _FLUSH])


def refs_request(prefixes: Sequence[str] = _BRANCHES_AND_TAGS) -> bytes:
    """Return the body that asks for the refs below some prefixes, tags peeled."""
    wanted = [f"ref-prefix {prefix}\n".encode("utf-8", "surrogateescape") for prefix in prefixes]
    return _command(b"ls-refs", [b"peel\n", b"symrefs\n", *wanted])


def pack_request(wanted: Iterable[str], depth: int = 0) -> bytes:
    """Return the body that asks for objects and all that they need, `depth` commits deep (0: all)."""
    deep = [b"deepen %d\n" % depth] if depth else []
    objects = [f"want {oid}\n".encode("ascii") for oid in sorted(set(wanted))]
    return _command(b"fetch", [b"ofs-delta\n", b"no-progress\n", *deep, *objects, b"done\n"])


def parse_refs(answer: bytes) -> Advertised | None:
    """Read the answer to `refs_request`; None if it isn't one, or names what git would refuse."""
    names: dict[str, str] = {}
    peeled: dict[str, str] = {}
    head = ""
    lines = _split(answer)
    if lines is None:
        return None
    for line in lines:
        oid, _, rest = line.decode("utf-8", "surrogateescape").removesuffix("\n").partition(" ")
        name, *attributes = rest.split(" ")
        known = dict(attribute.partition(":")[::2] for attribute in attributes)
        if not all(map(OBJECT_NAME.match, (oid, known.get("peeled", oid)))):
            return None
        if name == "HEAD":
            head = known.get("symref-target", "")
            continue
        if not name.startswith("refs/") or FORBIDDEN_IN_REF.search(name):
            return None
        names[name] = oid
        if "peeled" in known:
            if name.startswith("refs/heads/"):
                return None  # damaged: a branch is a commit
            peeled[name] = known["peeled"]
    return Advertised(RefTable(names, peeled), head if head in names else "")


def _split(answer: bytes) -> list[bytes] | None:
    """Return the lines of an answer that is one list; None if it is cut, or anything else."""
    lines: list[bytes] = []
    at = 0
    while (size := _size(answer[at : at + _DIGITS])) >= _DIGITS:
        lines.append(answer[at + _DIGITS : at + size])
        at += size
    return lines if size == 0 and at + _DIGITS == len(answer) else None


def _size(digits: bytes | bytearray) -> int:
    """Return the length that a packet gives; -1 if these are no four hexadecimal digits."""
    return int(digits, 16) if _HEXADECIMAL.fullmatch(digits) else -1


class ProtocolError(Exception):
    """A server's answer isn't one, or says that it can't; the text is what git would say."""


class PackAnswer:
    """The answer to `pack_request`, taken apart as it comes.

    `shallow` are the commits where a history that was cut off ends. `complete` is true once the
    answer's end was read; one that stops before that is none.
    """

    def __init__(self) -> None:
        self.shallow: list[str] = []
        self.complete = False
        self._in_pack = False
        self._band = 0
        self._said = b""
        self._rest = 0  # of a packet, behind its band
        self._passing = 0  # of the pack's bytes, until the next packet begins
        self._held = bytearray()
        self._needed = _DIGITS
        self._take: Callable[[bytes], int] = self._take_length

    def feed(self, data: bytes) -> list[memoryview]:
        """Take a piece of the answer; return the parts of it that belong to the pack.

        Raises ProtocolError for a refusal, and for what is no answer.
        """
        pieces: list[memoryview] = []
        view, at = memoryview(data), 0
        while at < len(view):
            if self._passing:
                piece = view[at : at + self._passing]
                self._passing -= len(piece)
                pieces.append(piece)
            else:
                piece = view[at : at + self._needed - len(self._held)]
                self._held += piece
                if len(self._held) == self._needed:
                    held = bytes(self._held)
                    self._held.clear()
                    self._needed = self._take(held)
            at += len(piece)
        return pieces

    # Each takes what was waited for, and returns how many bytes to wait for next.

    def _take_length(self, digits: bytes) -> int:
        size = _size(digits)
        if (size <= _DIGITS and size not in _SECTION_ENDS) or self.complete:
            raise ProtocolError(f"fatal: protocol error: bad line length character: {digits!r}")
        if size < _DIGITS:
            self.complete = size == 0
            return _DIGITS
        self._rest = size - _DIGITS - 1
        self._take = self._take_band if self._in_pack else self._take_line
        return 1 if self._in_pack else size - _DIGITS

    def _take_band(self, band: bytes) -> int:
        self._band = band[0]
        self._take = self._take_length
        if self._band == _PACK:
            self._passing = self._rest
        elif self._rest:
            self._take = self._take_message
            return self._rest
        return _DIGITS

    def _take_message(self, text: bytes) -> int:
        if self._band != _PROGRESS:
            # git's own last words end with a NUL.
            words = text.decode("utf-8", "replace").strip(" \r\n\0")
            known = f"{self._remarks()}fatal: remote error: {words}"
            raise ProtocolError(known if self._band == _ERROR else "fatal: bad band")
        self._said = (self._said + text)[-_REMARKS:]
        self._take = self._take_length
        return _DIGITS

    def _remarks(self) -> str:
        """Return what the server has said besides, as git shows it: often why it gives up."""
        said = self._said.decode("utf-8", "replace").replace("\r", "\n")
        return "".join(f"remote: {line}\n" for line in said.split("\n") if line.strip())

    def _take_line(self, line: bytes) -> int:
        text = line.decode("utf-8", "replace").strip()
        word, _, rest = text.partition(" ")
        if word == "shallow" and OBJECT_NAME.match(rest) and len(self.shallow) < _MOST_SHALLOW:
            self.shallow.append(rest)
        elif word == "ERR":
            raise ProtocolError(f"fatal: remote error: {rest}")
        elif text not in ("packfile", "shallow-info"):
            raise ProtocolError(f"fatal: protocol error: unexpected {text[:80]!r}")
        self._in_pack = text == "packfile"
        self._take = self._take_length
        return _DIGITS
