"""The two shapes that an inventory comes in: Ansible's YAML, and what `ansible-inventory --list` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from asyncstack.inventory.items import Item, Kind
from asyncstack.inventory.problems import FLATTEN, Problems
from asyncstack.inventory.ranges import expand_hosts, split_port
from asyncstack.inventory.tree import ALL, Group, Tree

__all__ = ["read_tree"]

_SECTIONS = ("vars", "children", "hosts")
_META = "_meta"


def read_tree(top: Item, problems: Problems) -> Tree:
    """Read a document, whichever of the two it is."""
    tree = Tree()
    if top.kind is not Kind.MAPPING:
        # Names, perhaps with variables behind them, are the other form's beginning.
        hint = FLATTEN if top.kind is Kind.TEXT else ""
        problems.add(top.line, f"must be a mapping of groups, not {top.kind.value}", hint)
    elif "plugin" in top.entries:
        plugin = top.entries["plugin"]
        problems.add(plugin.line, f"is the set-up of inventory plugin {plugin.text!r}", FLATTEN)
    elif _is_listing(top):
        _Listing(tree, problems).read(top)
    else:
        _Yaml(tree, problems).read(top)
    return tree


def _is_listing(top: Item) -> bool:
    """In a listing a group's hosts are a list; in YAML that is a mistake, so a vote must do."""
    hosts = [entry.entries.get("hosts") for entry in top.entries.values()]
    return _META in top.entries or (
        top.line == 0 and any(item is not None and item.kind is Kind.LIST for item in hosts)
    )


class _Yaml:
    def __init__(self, tree: Tree, problems: Problems) -> None:
        self._tree = tree
        self._problems = problems

    def read(self, top: Item) -> None:
        for name, body in top.entries.items():
            self._group(name, body)

    def _group(self, name: str, body: Item) -> None:
        group = self._tree.group(name, body.line)
        if body.kind is Kind.NULL:
            return
        if body.kind is not Kind.MAPPING:
            problem = f"group {name!r} must hold hosts, children or vars, not {body.kind.value}"
            self._problems.add(body.line, problem)
            return
        for key, item in body.entries.items():
            match key:
                case "vars":
                    group.variables.update(self._mapping(item, f"the vars of group {name!r}"))
                case "children":
                    for child, content in self._names(item, f"the children of group {name!r}"):
                        group.children.setdefault(child)
                        self._group(child, content)
                case "hosts":
                    for host, content in self._names(item, f"the hosts of group {name!r}"):
                        self._host(group, host, content)
                case _:
                    message = f"{key!r} in group {name!r} is ignored: {_expected(item)}"
                    self._problems.warn(item.line, "inventory-unknown-key", message)

    def _host(self, group: Group, entry: str, body: Item) -> None:
        pattern, port = split_port(entry)
        try:
            names = expand_hosts(pattern)
        except ValueError as error:
            self._problems.add(body.line, str(error))
            return
        variables = dict(self._mapping(body, f"host {entry!r}"))
        if port:
            variables.setdefault("ansible_port", Item(Kind.NUMBER, body.line, str(port)))
        for name in names:
            self._tree.host(name, body.line).variables.update(variables)
            group.hosts.setdefault(name)

    def _names(self, item: Item, what: str) -> Iterator[tuple[str, Item]]:
        if item.kind is Kind.TEXT and item.text:  # Ansible takes a single name as well
            yield item.text, Item(Kind.NULL, item.line)
            return
        yield from self._mapping(item, what).items()

    def _mapping(self, item: Item, what: str) -> Mapping[str, Item]:
        if item.kind not in (Kind.MAPPING, Kind.NULL):
            hint = "write each name with a colon behind it, without a dash"
            self._problems.add(
                item.line,
                f"{what} must be a mapping, not {item.kind.value}",
                hint if item.kind is Kind.LIST else "",
            )
        return item.entries


def _expected(item: Item) -> str:
    nested = item.kind is Kind.MAPPING and any(key in item.entries for key in _SECTIONS)
    return "a group stands below children" if nested else "a group has vars, children and hosts"


class _Listing:
    def __init__(self, tree: Tree, problems: Problems) -> None:
        self._tree = tree
        self._problems = problems

    def read(self, top: Item) -> None:
        groups = {name: body for name, body in top.entries.items() if name != _META}
        self._walk(groups)
        for name, body in groups.items():
            self._group(name, body)
        meta = top.entries.get(_META, Item(Kind.MAPPING)).entries
        for name, variables in meta.get("hostvars", Item(Kind.MAPPING)).entries.items():
            self._tree.host(name, variables.line).variables.update(variables.entries)

    def _walk(self, groups: Mapping[str, Item]) -> None:
        """Put hosts in the order in which `all` lists its children; the file's keys are sorted."""
        todo, seen = [ALL], set[str]()
        while todo:
            name = todo.pop(0)
            if name in seen or name not in groups:
                continue
            seen.add(name)
            for host in self._strings(groups[name], "hosts"):
                self._tree.host(host, 0)
            todo += self._strings(groups[name], "children")

    def _group(self, name: str, body: Item) -> None:
        group = self._tree.group(name, body.line)
        for host in self._strings(body, "hosts"):
            self._tree.host(host, body.line)
            group.hosts.setdefault(host)
        for child in self._strings(body, "children"):
            self._tree.group(child, body.line)
            group.children.setdefault(child)
        group.variables.update(body.entries.get("vars", Item(Kind.MAPPING)).entries)

    def _strings(self, body: Item, key: str) -> list[str]:
        if body.kind is Kind.LIST:  # an old form: the group is the list of its hosts
            return [item.text for item in body.elements] if key == "hosts" else []
        item = body.entries.get(key, Item(Kind.LIST))
        if item.kind is not Kind.LIST or any(e.kind is not Kind.TEXT for e in item.elements):
            self._problems.add(item.line, f"{key} must be a list of names")
            return []
        return [element.text for element in item.elements]
