"""A YAML or JSON document as plain values that know their line."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from asyncstack.inventory.problems import Problems

__all__ = ["Item", "Kind", "parse"]


class Kind(enum.Enum):
    """What a value is, as messages name it."""

    TEXT = "a text"
    NUMBER = "a number"
    BOOL = "true or false"
    NULL = "nothing"
    LIST = "a list"
    MAPPING = "a mapping"
    VAULT = "encrypted with Ansible Vault"
    FOREIGN = "of a tag that only Ansible knows"


@dataclass(frozen=True, slots=True)
class Item:
    """One value. `line` is that of its key (0: unknown), `text` a scalar as it was written."""

    kind: Kind
    line: int = 0
    text: str = ""
    elements: tuple[Item, ...] = ()
    entries: Mapping[str, Item] = field(default_factory=dict)


_JSON_KINDS = {str: Kind.TEXT, bool: Kind.BOOL, type(None): Kind.NULL}


def parse(text: str, problems: Problems, base: int = 0) -> Item | None:
    """Read a document; None if it is empty, or can't be read (then `problems` says why).

    `base` is added to its lines: see Problems.
    """
    try:
        if text.lstrip().startswith("{"):
            try:
                return _from_json(msgspec.json.decode(text))
            except msgspec.DecodeError:
                pass  # a flow mapping of YAML, or wrong as either: YAML's error knows the line
        from asyncstack.inventory.yaml import parse_yaml  # noqa: PLC0415 – only labs pay for it

        return parse_yaml(text, problems, base)
    except RecursionError:
        problems.add(base, "is nested too deeply")
        return None


def _from_json(value: object) -> Item:
    match value:
        case {"__ansible_vault": _}:
            return Item(Kind.VAULT)
        case {"__ansible_unsafe": text}:
            return Item(Kind.TEXT, text=str(text))
        case dict():
            return Item(Kind.MAPPING, entries={str(k): _from_json(v) for k, v in value.items()})
        case list():
            return Item(Kind.LIST, elements=tuple(map(_from_json, value)))
        case _:
            return Item(_JSON_KINDS.get(type(value), Kind.NUMBER), text=str(value))
