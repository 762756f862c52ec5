"""`asyncstack_copy`: which files travel from which nodes to which, and after which phase.

    all:
      vars:
        asyncstack_copy:
          - after: install
            from: controller
            to: compute
            paths: [/opt/stack/data/CA, /etc/ceph]
            owner: stack:stack
            mode: "0640"

`from` and `to` are hosts, groups or patterns; `after` is a phase; `owner` and `mode` may be left
out. A path is absolute or begins with `~/`; a directory goes with all that is in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from asyncstack.errors import SettingsError
from asyncstack.inventory.items import Item, Kind
from asyncstack.inventory.patterns import match
from asyncstack.inventory.problems import Problems
from asyncstack.inventory.values import Copy
from asyncstack.model import PHASES, Mode

__all__ = ["COPY", "read_copies"]

COPY = "asyncstack_copy"
_REQUIRED = ("after", "from", "to", "paths")
_OPTIONAL = ("owner", "mode")
_AFTER = (Mode.OVERRIDE_DEFAULTS.value, Mode.SOURCE.value, *PHASES)
_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?(?::[A-Za-z0-9_][A-Za-z0-9_.-]*\$?)?")
_MODE = re.compile(r"[0-7]{3,4}")


def read_copies(
    item: Item | None, groups: Mapping[str, tuple[str, ...]], problems: Problems
) -> tuple[Copy, ...]:
    """Return the list's entries in order; those that can't be used go to `problems`."""
    if item is None or item.kind is Kind.NULL:
        return ()
    if item.kind is not Kind.LIST:
        problems.add(item.line, f"{COPY} must be a list, not {item.kind.value}")
        return ()
    read = [_Entry(element, groups, problems).copy() for element in item.elements]
    return tuple(copy for copy in read if copy is not None)


@dataclass(slots=True)
class _Entry:
    item: Item
    groups: Mapping[str, tuple[str, ...]]
    problems: Problems
    good: bool = True

    def copy(self) -> Copy | None:
        if self.item.kind is not Kind.MAPPING:
            self._add(self.item.line, f"an entry must be a mapping, not {self.item.kind.value}")
            return None
        self._check_keys()
        sources = self._nodes("from")
        targets = tuple(name for name in self._nodes("to") if name not in sources[:1])
        if sources and not targets:
            self._add(self._line("to"), f"'to' names no node besides {sources[0]}")
        copy = Copy(
            after=self._after(),
            sources=sources,
            targets=targets,
            paths=self._paths(),
            owner=self._matching("owner", _OWNER, "owner or owner:group"),
            mode=self._matching("mode", _MODE, 'octal digits in quotes, such as "0640"'),
            line=self.item.line,
        )
        return copy if self.good else None

    def _add(self, line: int, problem: str) -> None:
        self.good = False
        self.problems.add(line, f"{COPY}: {problem}")

    def _line(self, key: str) -> int:
        return self.item.entries[key].line if key in self.item.entries else self.item.line

    def _check_keys(self) -> None:
        for key in self.item.entries:
            if key not in (*_REQUIRED, *_OPTIONAL):
                known = ", ".join((*_REQUIRED, *_OPTIONAL))
                self._add(self._line(key), f"there is no key {key!r} (known: {known})")
        missing = [key for key in _REQUIRED if key not in self.item.entries]
        if missing:
            self._add(self.item.line, f"an entry lacks {' and '.join(map(repr, missing))}")

    def _text(self, key: str, item: Item) -> str:
        if item.kind is not Kind.TEXT:
            self._add(item.line, f"{key!r} must be a text, not {item.kind.value}")
        elif not item.text or "{{" in item.text:
            self._add(item.line, f"{key!r} is {'a template' if item.text else 'empty'}")
        else:
            return item.text
        return ""

    def _value(self, key: str) -> str:
        item = self.item.entries.get(key)
        return "" if item is None else self._text(key, item)

    def _after(self) -> str:
        phase = self._value("after")
        if phase and phase not in _AFTER:
            self._add(self._line("after"), f"there is no phase {phase!r}: {', '.join(_AFTER)}")
        return phase

    def _nodes(self, key: str) -> tuple[str, ...]:
        pattern = self._value(key)
        if not pattern:
            return ()
        try:
            return match(self.groups, pattern, f"{key!r}")
        except SettingsError as error:
            self._add(self._line(key), error.problem)
            return ()

    def _paths(self) -> tuple[str, ...]:
        item = self.item.entries.get("paths")
        if item is None:
            return ()
        elements = item.elements if item.kind is Kind.LIST else (item,)
        if not elements:
            self._add(item.line, "'paths' is empty")
        return tuple(self._path(element) for element in elements)

    def _path(self, item: Item) -> str:
        path = self._text("paths", item)
        parts = path.split("/")
        if not path:
            return ""
        if not path.startswith(("/", "~/")) or ".." in parts or not any(parts[1:]):
            self._add(item.line, f"{path!r} must be absolute or begin with ~/, without ..")
        elif re.search(r"[\x00-\x1f\x7f*?\[\]]", path):
            self._add(item.line, f"{path!r} holds a pattern or a control character")
        return path

    def _matching(self, key: str, pattern: re.Pattern[str], shape: str) -> str:
        item = self.item.entries.get(key)
        if item is None or item.kind is Kind.NULL:
            return ""
        # YAML's 0640 is a number, as written; JSON's 416 is what became of one.
        as_written = item.kind is Kind.NUMBER and item.text.startswith("0")
        if (as_written or item.kind is Kind.TEXT) and pattern.fullmatch(item.text):
            return item.text
        self._add(item.line, f"{key} must be {shape}, not {item.text or item.kind.value}")
        return ""
