"""Hiding secrets by value, in text, in events, and in streams of output.

Where two secrets overlap in the text, what is hidden is the union of both: hiding only the first
would show the end of the second. That, and holding back nothing but a possible beginning of a
secret, makes the result the same however a stream is cut into chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import msgspec

from asyncstack.events import Event, RunStarted

__all__ = ["MASK", "MIN_SECRET_LENGTH", "Redactor", "StreamRedactor"]

MASK = b"***"

#: Shorter ones are left alone: they are part of ordinary words and numbers, so that hiding them
#: would make output unreadable and, by the pattern of the holes, tell what they are.
MIN_SECRET_LENGTH = 4

#: Names and places by which events are joined and logs are found. A password may well be `stack`
#: or `nova`; hiding that in `/opt/stack` or in a plugin's name would break every report.
IDENTITIES = frozenset(
    {
        *("run_id", "timestamp", "node", "nodes", "mode", "phase", "phases", "plugin", "status"),
        *("code", "commit", "version", "held_by", "launcher"),
        *("local_conf", "directory", "dest", "path", "log", "location", "stack"),
    }
)


class Redactor:
    """The secrets of a run. Streams made before a secret is added know it from then on."""

    def __init__(self) -> None:
        self._secrets: tuple[bytes, ...] = ()

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """What is being hidden, as bytes."""
        return self._secrets

    def add(self, secret: str) -> None:
        """Hide `secret` from now on, also in the form it takes in a URL.

        Ignored if it is shorter than MIN_SECRET_LENGTH.
        """
        if len(secret) < MIN_SECRET_LENGTH:
            return
        raw = secret.encode("utf-8", "surrogateescape")
        forms = {*self._secrets, raw, quote(raw, safe="").encode()}
        self._secrets = tuple(sorted(forms))

    def text(self, text: str) -> str:
        """`text` with every secret replaced by `***`."""
        if not self._secrets or not text:
            return text
        return self.data(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def data(self, data: bytes) -> bytes:
        """`data`, which is complete, with every secret replaced by `***`."""
        stream = self.stream()
        return stream.feed(data) + stream.flush()

    def event(self, event: Event) -> Event:
        """The event with its free text redacted; names and places stay as they are."""
        if not self._secrets or isinstance(event, RunStarted):
            return event
        changes = {}
        for name in event.__struct_fields__:
            value = getattr(event, name)
            redacted = value if name in IDENTITIES else self._value(value)
            if redacted is not value:
                changes[name] = redacted
        return msgspec.structs.replace(event, **changes) if changes else event

    def _value(self, value: object) -> object:
        if isinstance(value, str):
            redacted = self.text(value)
            return value if redacted == value else redacted
        if isinstance(value, bytes):
            return self.data(value)
        if isinstance(value, dict):
            return {key: self._value(item) for key, item in value.items()}
        return value

    def stream(self) -> StreamRedactor:
        """A redactor for one stream of output."""
        return StreamRedactor(self)


class StreamRedactor:
    """Redacts one stream, chunk by chunk."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""
        self._hidden = 0  # so many bytes at the start of `_held` belong to a mask that is out

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk; give what is certain by now. Holds back less than the longest secret."""
        data = self._held + chunk if self._held else chunk
        return self._release(data, _safe_length(data, self._redactor.secrets))

    def flush(self) -> bytes:
        """The stream has ended: give what was held back."""
        return self._release(self._held, len(self._held))

    def _release(self, data: bytes, upto: int) -> bytes:
        out: list[bytes] = []
        position = min(self._hidden, upto)
        hidden = self._hidden
        for start, end in _spans(data, self._redactor.secrets):
            if start >= upto:
                break
            if start >= hidden:
                out += (data[position:start], MASK)
            hidden = max(hidden, end)
            position = min(hidden, upto)
        self._held = data[upto:]
        self._hidden = max(0, hidden - upto)
        if not out and position == 0:
            return data if upto == len(data) else data[:upto]
        return b"".join((*out, data[position:upto]))


def _spans(data: bytes, secrets: tuple[bytes, ...]) -> list[tuple[int, int]]:
    """Where secrets are, overlapping ones included, by their start."""
    return sorted(span for secret in secrets for span in _occurrences(data, secret))


def _occurrences(data: bytes, secret: bytes) -> Iterator[tuple[int, int]]:
    start = data.find(secret)
    while start >= 0:
        yield start, start + len(secret)
        start = data.find(secret, start + 1)


def _safe_length(data: bytes, secrets: tuple[bytes, ...]) -> int:
    """How much of `data` can't be the beginning of a secret that the next chunk ends."""
    safe = len(data)
    for secret in secrets:
        start = data.find(secret[0], max(0, len(data) - len(secret) + 1))
        while 0 <= start < safe:
            if secret.startswith(data[start:]):
                safe = start
            start = data.find(secret[0], start + 1)
    return safe
