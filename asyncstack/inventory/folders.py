"""group_vars and host_vars beside an inventory, which files of them count, and for whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from asyncstack.inventory.items import Item, Kind, parse
from asyncstack.inventory.problems import FLATTEN, Problems

__all__ = ["Folders"]

#: In Ansible's order; of files that differ in this alone the first counts.
_ENDINGS = ("", ".yml", ".yaml", ".json")
_VAULT = "$ANSIBLE_VAULT;"


class Folders:
    """The variables that stand in files of their own. A file is read when it is asked for."""

    def __init__(self, beside: Path, problems: Problems) -> None:
        self._beside = beside.parent
        self._problems = problems
        self._known: dict[tuple[str, str], Mapping[str, Item]] = {}

    def group(self, name: str) -> Mapping[str, Item]:
        """Those of a group."""
        return self._variables("group_vars", name)

    def host(self, name: str) -> Mapping[str, Item]:
        """Those of a host."""
        return self._variables("host_vars", name)

    def _variables(self, folder: str, name: str) -> Mapping[str, Item]:
        key = folder, name
        if key not in self._known:
            found: dict[str, Item] = {}
            try:
                for path in _files(self._beside / folder, name):
                    found |= self._read(path)
            except OSError as error:
                self._problems.add(0, f"{folder} of {name!r} can't be read: {error}")
            self._known[key] = found
        return self._known[key]

    def _read(self, path: Path) -> Mapping[str, Item]:
        base = self._problems.begin_file(str(path))
        try:
            text = path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self._problems.add(base, f"can't be read: {error}")
            return {}
        if text.startswith(_VAULT):
            message = f"is encrypted with Ansible Vault and not read; {FLATTEN}"
            self._problems.warn(base, "inventory-vault", message)
            return {}
        top = parse(text, self._problems, base)
        if top is None or top.kind is Kind.NULL:
            return {}
        if top.kind is not Kind.MAPPING:
            self._problems.add(
                top.line or base, f"must be a mapping of variables, not {top.kind.value}"
            )
        return top.entries


def _files(folder: Path, name: str) -> Iterator[Path]:
    """Those of one group or host: one file, or all that a folder of its name holds."""
    if "/" in name or name in (".", ".."):
        return
    for ending in _ENDINGS:
        path = folder / f"{name}{ending}"
        if path.is_dir():
            yield from _below(path)
            return
        if path.exists():
            yield path
            return


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.is_dir():
            if not path.suffix:
                yield from _below(path)
        elif path.suffix in _ENDINGS:
            yield path
