"""Groups, their hosts and their variables, and whose value wins: Ansible's rules, as pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from asyncstack.graph import find_cycle
from asyncstack.inventory.folders import Folders
from asyncstack.inventory.items import Item, Kind
from asyncstack.inventory.problems import Problems

__all__ = ["ALL", "UNGROUPED", "Group", "Host", "Shape", "Tree"]

ALL, UNGROUPED = "all", "ungrouped"
_PRIORITY = "ansible_group_priority"


@dataclass(slots=True)
class Host:
    """A host and the variables that it has of its own."""

    line: int = 0
    variables: dict[str, Item] = field(default_factory=dict)


@dataclass(slots=True)
class Group:
    """A group and what stands directly in it, in order."""

    line: int = 0
    variables: dict[str, Item] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Tree:
    """Everything that a file says, not yet put together. Hosts are in the order of the file."""

    hosts: dict[str, Host] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=lambda: {ALL: Group()})

    def host(self, name: str, line: int) -> Host:
        return self.hosts.setdefault(name, Host(line))

    def group(self, name: str, line: int) -> Group:
        return self.groups.setdefault(name, Group(line))

    def close(self, problems: Problems, folders: Folders) -> Shape | None:
        """Complete the tree as Ansible does (all, ungrouped); None if its groups form a cycle."""
        cycle = find_cycle({name: tuple(group.children) for name, group in self.groups.items()})
        if cycle:
            line = self.groups[cycle[0]].line
            problems.add(line, f"a group contains itself: {' → '.join((*cycle, cycle[0]))}")
            return None
        below = {child for group in self.groups.values() for child in group.children}
        top = self.groups[ALL]
        top.children |= {name: None for name in self.groups if name not in below | {ALL}}
        grouped = {h for name, g in self.groups.items() if name != ALL for h in g.hosts}
        loose = {name: None for name in self.hosts if name not in grouped}
        self.group(UNGROUPED, 0).hosts.update(loose)
        top.children.setdefault(UNGROUPED)
        return Shape(self, problems, folders)


class Shape:
    """A tree without cycles: who is in which group, and what each host's variables are."""

    def __init__(self, tree: Tree, problems: Problems, folders: Folders) -> None:
        self._tree = tree
        self._folders = folders
        self._depths = _depths(tree)
        self._priorities = {
            name: _priority(name, group, problems) for name, group in tree.groups.items()
        }
        self._members = {name: self._collect(name) for name in tree.groups}

    def _collect(self, name: str) -> dict[str, None]:
        if name == ALL:
            return dict.fromkeys(self._tree.hosts)
        found: dict[str, None] = {}
        todo = {name: None}
        while todo:
            groups = [self._tree.groups[each] for each in todo]
            found |= {host: None for group in groups for host in group.hosts}
            todo = {child: None for group in groups for child in group.children}
        return found

    def members(self) -> dict[str, tuple[str, ...]]:
        """Return every group's hosts: its own in order, then its children's, as subscripts count."""
        return {group: tuple(members) for group, members in self._members.items()}

    def groups_of(self, host: str) -> list[str]:
        """Return a host's groups, the one whose variables win last: by depth, priority, name."""
        names = [name for name, members in self._members.items() if host in members]
        return sorted(names, key=lambda n: (self._depths[n], self._priorities[n], n))

    def variables(self, host: str) -> dict[str, Item]:
        """Return what a host's variables come to; mappings named `localrc` add up.

        What a group's own file says goes before what the inventory does, whichever the group.
        """
        merged: dict[str, Item] = {}
        groups = self.groups_of(host)
        for name in groups:
            _merge(merged, self._tree.groups[name].variables)
        for name in groups:
            _merge(merged, self._folders.group(name))
        _merge(merged, self._tree.hosts[host].variables)
        _merge(merged, self._folders.host(host))
        return merged


def _merge(into: dict[str, Item], more: Mapping[str, Item]) -> None:
    before = into.get("localrc")
    into |= more
    after = more.get("localrc")
    if before is None or after is None:
        return
    if before.kind is after.kind is Kind.MAPPING:
        entries = {**before.entries, **after.entries}
        into["localrc"] = Item(Kind.MAPPING, after.line, entries=entries)


def _depths(tree: Tree) -> dict[str, int]:
    """Return how far each group is from `all`, by the longest way."""
    depths = dict.fromkeys(tree.groups, 0)
    changed = True
    while changed:
        changed = False
        for name, group in tree.groups.items():
            for child in group.children:
                if depths[child] <= depths[name]:
                    depths[child] = depths[name] + 1
                    changed = True
    return depths


def _priority(name: str, group: Group, problems: Problems) -> int:
    item = group.variables.get(_PRIORITY)
    if item is None:
        return 1
    try:
        return int(item.text)
    except ValueError:
        problems.add(item.line, f"{_PRIORITY} of group {name!r} must be a whole number")
        return 1
