"""Read an inventory file: from its text to an Inventory, or an error that names all it found."""

from __future__ import annotations

import re
from pathlib import Path

from asyncstack.errors import InventoryError
from asyncstack.inventory.copies import COPY, read_copies
from asyncstack.inventory.folders import Folders
from asyncstack.inventory.hosts import Reader
from asyncstack.inventory.items import Item, parse
from asyncstack.inventory.layouts import read_tree
from asyncstack.inventory.problems import FLATTEN, Problems
from asyncstack.inventory.tree import ALL, Shape, Tree
from asyncstack.inventory.values import Inventory

__all__ = ["read_inventory"]

_INI = re.compile(r"^\[[\w.-]+(?::\w+)?\][ \t]*$", re.MULTILINE)


def read_inventory(path: Path) -> Inventory:
    """Read Ansible's YAML inventory, or the JSON of `ansible-inventory --list`.

    `local_conf` and key files are relative to the file. Raises InventoryError.
    """
    problems = Problems(str(path))
    text = _read(path)
    top = parse(text, problems)
    problems.check()
    if top is None:
        raise InventoryError("is empty", path=str(path), hint="name the nodes under all: hosts:")
    tree = read_tree(top, problems)
    folders = Folders(path.absolute(), problems)
    shape = tree.close(problems, folders)
    problems.check()
    assert shape is not None
    _warn_of_names(tree, problems)
    return _assemble(tree, shape, folders, path.absolute().parent, problems)


def _assemble(
    tree: Tree, shape: Shape, folders: Folders, folder: Path, problems: Problems
) -> Inventory:
    groups = shape.members()
    variables = {name: shape.variables(name) for name in tree.hosts}
    hosts = tuple(
        Reader(name, host.line, variables[name], folder, problems).host(
            tuple(group for group in shape.groups_of(name) if group != ALL)
        )
        for name, host in tree.hosts.items()
    )
    copies = read_copies(_copy_item(tree, folders, problems), groups, problems)
    if not hosts:
        problems.add(0, "names no host", "name the nodes under all: hosts:")
    problems.check()
    warnings = tuple(problems.warnings)
    return Inventory(hosts=hosts, groups=groups, copies=copies, warnings=warnings)


def _read(path: Path) -> str:
    if path.is_dir():
        raise InventoryError("is a directory of inventories", path=str(path), hint=FLATTEN)
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        hint = "hosts without a file: -n HOST -n HOST" if "," in path.name else ""
        raise InventoryError("there is no such inventory", path=str(path), hint=hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InventoryError(f"can't be read: {error}", path=str(path)) from error
    if text.startswith("#!"):
        raise InventoryError("is a program that prints one", path=str(path), hint=FLATTEN)
    if _INI.search(text):
        raise InventoryError("is an inventory in INI form", path=str(path), hint=FLATTEN)
    return text


def _copy_item(tree: Tree, folders: Folders, problems: Problems) -> Item | None:
    """Find the list of copies. A listing has put what all.vars said into every host."""
    groups = {
        name: {**group.variables, **folders.group(name)} for name, group in tree.groups.items()
    }
    for name, variables in groups.items():
        if name != ALL and COPY in variables:
            line = variables[COPY].line
            problems.add(line, f"{COPY} of group {name!r} is not read; it belongs into all: vars:")
    hosts = [{**host.variables, **folders.host(name)} for name, host in tree.hosts.items()]
    listed = [variables[COPY] for variables in hosts if COPY in variables]
    for item in listed:
        if item.line or item != listed[0]:
            problems.add(item.line, f"{COPY} of a host is not read; it belongs into all: vars:")
    return groups[ALL].get(COPY, listed[0] if listed else None)


def _warn_of_names(tree: Tree, problems: Problems) -> None:
    for name in tree.hosts:
        if name in tree.groups:
            message = f"{name!r} is a host and a group; patterns take it for the host"
            problems.warn(tree.hosts[name].line, "inventory-ambiguous-name", message)
