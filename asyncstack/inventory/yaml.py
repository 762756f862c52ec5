"""YAML into items. Nothing is constructed, so that no tag can do anything.

The only module that imports PyYAML, which costs 15 ms.
"""

from __future__ import annotations

from dataclasses import replace

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from asyncstack.inventory.items import Item, Kind
from asyncstack.inventory.problems import Problems

__all__ = ["parse_yaml"]

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_KINDS = {
    f"{_TAG}bool": Kind.BOOL,
    f"{_TAG}int": Kind.NUMBER,
    f"{_TAG}float": Kind.NUMBER,
    f"{_TAG}null": Kind.NULL,
    f"{_TAG}str": Kind.TEXT,
    f"{_TAG}timestamp": Kind.TEXT,
    f"{_TAG}seq": Kind.LIST,
    f"{_TAG}map": Kind.MAPPING,
    "!unsafe": Kind.TEXT,
    "!vault": Kind.VAULT,
    "!vault-encrypted": Kind.VAULT,
}
_TRUE = frozenset({"yes", "true", "on"})


def parse_yaml(text: str, problems: Problems, base: int) -> Item | None:
    """Read one YAML document, whose lines begin at `base`; None if it is empty or wrong."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        problems.add(base + line, f"is no YAML: {error.problem or error.context}")
        return None
    except yaml.YAMLError as error:
        problems.add(base, f"is no YAML: {' '.join(str(error).split())}")
        return None
    return None if root is None else _Reader(problems, base).read(root)


class _Reader:
    """Turns PyYAML's nodes into items; what an alias repeats is read once."""

    def __init__(self, problems: Problems, base: int) -> None:
        self._problems = problems
        self._base = base
        self._known: dict[int, Item | None] = {}

    def read(self, node: Node) -> Item:
        key = id(node)
        if key not in self._known:
            self._known[key] = None
            self._known[key] = self._convert(node)
        item = self._known[key]
        if item is None:
            self._problems.add(self._line(node), "an alias here holds itself")
            return Item(Kind.NULL, self._line(node))
        return item

    def _convert(self, node: Node) -> Item:
        kind = _KINDS.get(node.tag, Kind.FOREIGN)
        match node:
            case ScalarNode():
                return self._scalar(node, kind)
            case MappingNode() if kind is Kind.MAPPING:
                return Item(kind, self._line(node), entries=self._entries(node))
            case SequenceNode() if kind is Kind.LIST:
                return Item(kind, self._line(node), elements=tuple(map(self.read, node.value)))
            case _:
                return Item(Kind.FOREIGN, self._line(node))

    def _entries(self, node: MappingNode) -> dict[str, Item]:
        entries: dict[str, Item] = {}
        for merged in [value for key, value in node.value if key.tag == _MERGE]:
            for source in reversed(merged.value if merged.id == "sequence" else [merged]):
                entries |= self.read(source).entries
        own: set[str] = set()
        for key, value in node.value:
            if key.tag == _MERGE:
                continue
            if key.id != "scalar":
                self._problems.add(self._line(key), "a key must be a text")
                continue
            if key.value in own:
                message = f"{key.value!r} stands here twice; the last one counts"
                self._problems.warn(self._line(key), "inventory-duplicate-key", message)
            own.add(key.value)
            entries[key.value] = replace(self.read(value), line=self._line(key))
        return entries

    def _line(self, node: Node) -> int:
        return self._base + int(node.start_mark.line) + 1

    def _scalar(self, node: ScalarNode, kind: Kind) -> Item:
        if kind in (Kind.MAPPING, Kind.LIST):  # `!!map text`: no composer minds
            kind = Kind.FOREIGN
        if kind is Kind.BOOL:
            return Item(kind, self._line(node), str(node.value.lower() in _TRUE))
        return Item(kind, self._line(node), node.value)
