"""Which of DevStack's core services a plugin calls into, told from its text without running it. Pure.

A name counts where bash would look for a command. What a plugin defines itself is its own, and so
is what another one defines: all share one shell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

__all__ = ["CoreCall", "core_calls", "core_functions"]

_STUBS = Path(__file__).parent / "tree" / "inc" / "core-stubs"

_STUB = re.compile(r"^(\S+)\(\) \{ _asyncstack_stub '?(.*?)'?; \}$", re.MULTILINE)
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_DEFINITION = re.compile(r"^\s*(?:function\s+([\w.:-]+)|([\w.:-]+)\s*\(\s*\))")
# The pattern of a `case` before its commands.
_PATTERN = re.compile(r"^\s*\(?[^()]*\)(?=\s)")
# After the beginning of a line or an operator, and any reserved words there.
_COMMAND = re.compile(
    r"(?:^|[;&|({!`]|\$\()\s*(?:(?:then|do|else|if|elif|while|until|time|!)\s+)*"
    r"([A-Za-z_][\w-]*)(?=[\s;&|)`]|$)"
)


class CoreCall(Struct, frozen=True):
    """A call of `function`, which belongs to DevStack's `library`."""

    plugin: str
    function: str
    library: str
    path: str
    line: int


def core_functions() -> dict[str, str]:
    """The functions of DevStack's core services and the library that each belongs to."""
    return dict(_STUB.findall(_STUBS.read_text("utf-8")))


def core_calls(
    scripts: Mapping[str, Mapping[str, str]], functions: Mapping[str, str]
) -> list[CoreCall]:
    """The calls in `scripts` (plugin → path → text), each function once a file, in order."""
    own = {
        name for files in scripts.values() for text in files.values() for name in _definitions(text)
    }
    return [
        CoreCall(plugin, name, functions[name], path, line)
        for plugin, files in scripts.items()
        for path, text in files.items()
        for name, line in _first_calls(text)
        if name in functions and name not in own
    ]


def _definitions(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if found := _DEFINITION.match(line):
            yield found[1] or found[2]


def _first_calls(text: str) -> Iterable[tuple[str, int]]:
    first: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        code = _PATTERN.sub("", _DEFINITION.sub("", _COMMENT.sub("", line)))
        for found in _COMMAND.finditer(code):
            first.setdefault(found[1], number)
    return first.items()
