r"""The journal's framing: telling events from plugin output in one stream of bytes.

An event is `RS <nonce> US kind US field … LF`. Everything else is output. RS may stand anywhere,
for a plugin may leave a line unfinished; the nonce is random for each run, so output can't forge
an event. A field's backslash, LF, RS and US are escaped as `\\`, `\n`, `\r`, `\u`.
"""

from __future__ import annotations

import re

from msgspec import Struct

__all__ = ["MAX_EVENT", "Frame", "FrameParser", "render"]

_RS, _US, _LF = b"\x1e", b"\x1f", b"\n"
_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\x1e", "\\u": "\x1f"}
_REVERSE = {value: key for key, value in _ESCAPES.items()}
_ESCAPED = re.compile(r"\\[\\nru]")
_SPECIAL = re.compile("[\\\\\n\x1e\x1f]")

#: Bytes of the longest event. The driver cuts fields far below that, so what exceeds it is output.
MAX_EVENT = 64 * 1024


class Frame(Struct, frozen=True):
    """One event as it came: its kind and its fields, unescaped."""

    kind: str
    fields: tuple[str, ...]


class FrameParser:
    """Splits a byte stream, in pieces of any size, into frames and output."""

    def __init__(self, nonce: str, *, offset: int = 0) -> None:
        self._marker = _RS + nonce.encode() + _US
        self._rest = b""
        self._received = offset

    @property
    def received(self) -> int:
        """Bytes taken in so far, an unfinished event included: where the next one must begin."""
        return self._received

    @property
    def offset(self) -> int:
        """The byte up to which everything has been handed out."""
        return self._received - len(self._rest)

    def feed(self, data: bytes) -> list[Frame | bytes]:
        """What `data` completes, in order; output is handed out as early as possible."""
        self._received += len(data)
        data = self._rest + data
        items: list[Frame | bytes] = []
        position = 0
        while (start := data.find(self._marker, position)) >= 0:
            _append(items, data[position:start])
            end = data.find(_LF, start)
            cut = data.find(self._marker, start + 1, end if end >= 0 else len(data))
            if cut >= 0:
                # The disk was full for a while: what is left of an event is none.
                items.append(data[start:cut])
                position = cut
            elif end >= 0:
                items.append(_decode(data[start + len(self._marker) : end]))
                position = end + 1
            elif len(data) - start > MAX_EVENT:
                position = start + len(self._marker)
                items.append(data[start:position])
            else:
                self._rest = data[start:]
                return items
        self._rest = data[self._take_output(data, position, items) :]
        return items

    def finish(self) -> bytes:
        """What is left when the stream has ended: output, or an event that was cut off."""
        rest, self._rest = self._rest, b""
        return rest

    def _take_output(self, data: bytes, position: int, items: list[Frame | bytes]) -> int:
        # The end may be the beginning of a marker: that part has to wait for more.
        start = data.rfind(_RS, max(position, len(data) - len(self._marker) + 1))
        if start < 0 or not self._marker.startswith(data[start:]):
            start = len(data)
        _append(items, data[position:start])
        return start


def _append(items: list[Frame | bytes], output: bytes) -> None:
    if output:
        items.append(output)


def _decode(body: bytes) -> Frame:
    kind, *fields = body.decode("utf-8", "replace").split("\x1f")
    return Frame(kind, tuple(_unescape(field) for field in fields))


def _unescape(field: str) -> str:
    if "\\" not in field:
        return field
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], field)


def render(nonce: str, kind: str, *fields: str) -> bytes:
    """An event as the driver writes it (for tests, and for the supervisor's last word)."""
    escaped = [_SPECIAL.sub(lambda match: _REVERSE[match[0]], field) for field in fields]
    body = "\x1f".join((nonce, kind, *escaped))
    return f"\x1e{body}\n".encode()
