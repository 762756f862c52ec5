"""Ansible's host ranges: `compute[1:4]`, `compute[01:12:2]`, `rack-[a:c]-[1:2]`, and `host:port`."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

__all__ = ["MOST", "expand_hosts", "split_port"]

#: Hosts that one range may stand for: a typo must not fill the memory.
MOST = 10_000

_RANGE = re.compile(r"\[([0-9]*|[A-Za-z]?):([0-9]+|[A-Za-z])(?::([0-9]+))?\]")
_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^:]*(?:\[[^\]]*\][^:]*)*):(?P<port>[0-9]+)\Z")


def split_port(entry: str) -> tuple[str, int]:
    """Split `host:port`, where host may hold ranges or be IPv6 in brackets; port 0 if there is none."""
    matched = _PORT.match(entry)
    if matched is None or not matched["host"]:
        return entry, 0
    host = matched["host"]
    if _is_bracketed_address(host):
        host = host[1:-1]
    return host, int(matched["port"])


def _is_bracketed_address(host: str) -> bool:
    return host.startswith("[") and host.endswith("]") and not _RANGE.fullmatch(host)


def expand_hosts(pattern: str) -> list[str]:
    """Return the names that a host entry stands for. Raises ValueError for a range that is none."""
    names = [""]
    end = 0
    for matched in _RANGE.finditer(pattern):
        values = list(_values(matched))
        if len(names) * len(values) > MOST:
            raise ValueError(f"{pattern!r} stands for more than {MOST} hosts")
        before = pattern[end : matched.start()]
        names = [f"{name}{before}{value}" for name in names for value in values]
        end = matched.end()
    rest = pattern[end:]
    if "[" in rest or "]" in rest:
        raise ValueError(f"{pattern!r} is no host range (they look like [1:4], [01:12:2], [a:c])")
    return [name + rest for name in names]


def _values(matched: re.Match[str]) -> Iterator[str]:
    first, last, step = matched[1] or "0", matched[2], int(matched[3] or 1)
    if step == 0:
        raise ValueError(f"{matched[0]} has a step of 0")
    if first.isdigit() and last.isdigit():
        yield from _numbers(matched[0], first, last, step)
    elif first.isalpha() and last.isalpha():
        letters = string.ascii_letters
        start, stop = letters.index(first), letters.index(last)
        if start > stop:
            raise ValueError(f"{matched[0]} ends before it begins")
        yield from letters[start : stop + 1 : step]
    else:
        raise ValueError(f"{matched[0]} mixes letters and digits")


def _numbers(text: str, first: str, last: str, step: int) -> Iterator[str]:
    width = len(first) if first.startswith("0") and len(first) > 1 else 0
    if width and len(last) != width:
        raise ValueError(f"{text} must have as many digits at its end as at its beginning")
    if int(first) > int(last):
        raise ValueError(f"{text} ends before it begins")
    if (int(last) - int(first)) // step >= MOST:
        raise ValueError(f"{text} stands for more than {MOST} hosts")
    for number in range(int(first), int(last) + 1, step):
        yield str(number).zfill(width)
