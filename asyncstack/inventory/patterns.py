"""Choosing nodes: Ansible's host patterns for `--limit`, and the batches of `--order`.

A pattern is a list, separated by commas or colons, of names, globs (`compute*`), regular
expressions (`~rack[12]-`), each perhaps with a subscript (`compute[0]`, `compute[1:]`). A regular
expression goes on to the next comma, or to a colon before `&` or `!`. Plain ones add hosts, `&` ones keep only theirs, `!` ones take theirs away, in that order.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from asyncstack.errors import SettingsError
from asyncstack.inventory.values import Copy, Inventory, InventoryHost
from asyncstack.model import Suspicion

__all__ = ["limit", "match", "order_groups", "too_late", "with_files"]

_SUBSCRIPT = re.compile(
    r"(?P<base>.+)\[(?P<first>-?[0-9]+)?(?:(?P<colon>[:-])(?P<last>[0-9]*))?\]\Z"
)
_Groups = Mapping[str, tuple[str, ...]]
_Matches = Callable[[str], re.Match[str] | None]


def limit(inventory: Inventory, pattern: str) -> Inventory:
    """Return the part of an inventory that a pattern means, in the inventory's order.

    Copies follow: targets that are left out get nothing, and a copy whose source is left out
    can't be made, which is a warning. Raises SettingsError if part of the pattern means no host.
    """
    chosen = frozenset(match(inventory.groups, pattern, "--limit"))
    copies = tuple(_limited(copy, chosen) for copy in inventory.copies)
    kept = tuple(copy for copy in copies if copy.targets)
    return msgspec.structs.replace(
        inventory,
        hosts=tuple(host for host in inventory.hosts if host.node.name in chosen),
        groups={
            group: tuple(name for name in names if name in chosen)
            for group, names in inventory.groups.items()
        },
        copies=tuple(copy for copy in kept if copy.sources),
        warnings=(
            *inventory.warnings,
            *_misread(inventory, pattern),
            *(_left_out(copy) for copy in kept if not copy.sources),
        ),
    )


def _misread(inventory: Inventory, pattern: str) -> Iterator[Suspicion]:
    """Subscripts, which count hosts, where a folded name stands for others: our own tables fold."""
    for part in _split(pattern, inventory.names):
        subscript = _SUBSCRIPT.match(part.lstrip("&!"))
        if subscript is None or not (subscript["first"] or "").isdigit():
            continue
        base, first, last = subscript.group("base", "first", "last")
        if subscript["colon"] and not last:
            continue
        numbers = range(int(first), int(last or first) + 1)
        if len(numbers) > len(inventory.names):
            continue
        named = [f"{base}{str(number).zfill(len(first))}" for number in numbers]
        meant = _find(inventory.groups, part.lstrip("&!"), "--limit")
        if {*named} & {*inventory.names} and {*named} != {*meant}:
            yield Suspicion(
                "limit-subscript",
                f"--limit {part!r} counts from 0, as in Ansible: it is {', '.join(meant)}; "
                f"for the others write {','.join(named)}",
            )


def with_files(pattern: str) -> str:
    """The pattern with the lines of a file in place of each `@FILE`, as in Ansible's --limit.

    Raises SettingsError for a file that can't be read, or that names nothing.
    """
    return ",".join(
        _lines(piece.strip()[1:]) if piece.strip().startswith("@") else piece
        for piece in pattern.split(",")
    )


def _lines(path: str) -> str:
    try:
        text = Path(path).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(f"--limit @{path}: can't be read: {reason}") from error
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    if not any(lines):
        raise SettingsError(f"--limit @{path}: names no node")
    return ",".join(filter(None, lines))


def _limited(copy: Copy, chosen: frozenset[str]) -> Copy:
    sources = tuple(name for name in copy.sources if name in chosen)
    there = copy.sources[0] in chosen  # its files, nobody else's
    targets = tuple(name for name in copy.targets if name in chosen)
    return msgspec.structs.replace(copy, sources=sources if there else (), targets=targets)


def _left_out(copy: Copy) -> Suspicion:
    message = (
        f"{', '.join(copy.paths)} won't be copied to {', '.join(copy.targets)}: the node that "
        "has them is left out by --limit"
    )
    return Suspicion("copy-left-out", message, line=copy.line)


def order_groups(inventory: Inventory, order: str) -> tuple[tuple[InventoryHost, ...], ...]:
    """Return batches of hosts for `--order`: each group or host named, then what is left.

    A host belongs to the first batch that has it; empty batches are left out. Raises SettingsError
    for a name that is neither a group nor a host.
    """
    hosts = {host.node.name: host for host in inventory.hosts}
    batches = []
    for name in _split(order, inventory.names):
        members = inventory.groups.get(name) or ((name,) if name in inventory.names else None)
        if members is None and name not in inventory.groups:
            raise _unknown("--order", name, inventory.groups)
        batches.append([hosts.pop(member) for member in members or () if member in hosts])
    return tuple(tuple(batch) for batch in (*batches, list(hosts.values())) if batch)


def too_late(inventory: Inventory, order: str) -> tuple[Suspicion, ...]:
    """Copies to hosts that are through with everything, by `--order`, when their files are made."""
    batches = order_groups(inventory, order)
    turn = {host.node.name: number for number, batch in enumerate(batches) for host in batch}
    found = []
    for copy in inventory.copies:
        made = max(turn[source] for source in copy.sources)
        late = [target for target in copy.targets if turn[target] < made]
        if late:
            message = (
                f"{', '.join(copy.paths)} of {copy.sources[0]} come too late for "
                f"{', '.join(late)}, whose turn is before that by --order"
            )
            found.append(Suspicion("copy-too-late", message, line=copy.line))
    return tuple(found)


def match(groups: _Groups, pattern: str, option: str) -> tuple[str, ...]:
    """Return the hosts that a pattern means, in the order of group `all`.

    Raises SettingsError, about `option`, if it means none, or a part of it none.
    """
    names = groups["all"]
    parts = list(_split(pattern, names))
    plain = [part for part in parts if part[0] not in "&!"]
    chosen = {name for part in plain for name in _find(groups, part, option)}
    if not plain:
        chosen = set(names)
    for part in parts:
        if part[0] == "&":
            chosen &= set(_find(groups, part[1:], option))
    for part in parts:
        if part[0] == "!":
            chosen -= set(_find(groups, part[1:], option))
    if not chosen:
        raise SettingsError(f"{option} {pattern!r} leaves no node")
    return tuple(name for name in names if name in chosen)


def _split(pattern: str, names: Collection[str]) -> Iterator[str]:
    """Split at commas, and at colons that are in no name, no brackets and no regular expression."""
    for piece in pattern.split(","):
        rest = piece.strip()
        while rest:
            part, rest = (rest, "") if rest.lstrip("&!") in names else _next(rest)
            if part.strip("&! "):
                yield part.strip()


def _next(text: str) -> tuple[str, str]:
    if re.match(r"[&!]?~", text):
        # A colon may be its own, as in (?:a|b); one before & or ! is hardly ever.
        end = re.search(r"(?<!\?):(?=[&!])", text)
        return (text[: end.start()], text[end.end() :]) if end else (text, "")
    depth = 0
    for index, character in enumerate(text):
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == ":" and depth == 0:
            return text[:index], text[index + 1 :]
    return text, ""


def _find(groups: _Groups, part: str, option: str) -> Sequence[str]:
    if part in groups["all"]:
        return (part,)
    if part.startswith("~"):
        return _found(groups, part, option)
    subscript = _SUBSCRIPT.match(part)
    if subscript is None or (subscript["first"] is None and subscript["colon"] is None):
        return _found(groups, part, option)
    hosts = _found(groups, subscript["base"], option)
    chosen = _subscripted(hosts, subscript)
    if not chosen:
        raise SettingsError(f"{option} {part!r}: {subscript['base']} has {len(hosts)} hosts")
    return chosen


def _subscripted(hosts: Sequence[str], subscript: re.Match[str]) -> Sequence[str]:
    first = int(subscript["first"] or 0)
    if subscript["colon"] is None:
        return hosts[first:][:1] if -len(hosts) <= first else ()
    last = int(subscript["last"]) if subscript["last"] else len(hosts) - 1
    return hosts[first : last + 1]


def _found(groups: _Groups, part: str, option: str) -> Sequence[str]:
    """Return the hosts of all groups that match, and hosts that match themselves."""
    matches = _matcher(part, option)
    found = dict.fromkeys(name for group in groups if matches(group) for name in groups[group])
    if part not in groups:
        found |= dict.fromkeys(name for name in groups["all"] if matches(name))
    if not found and part not in groups:
        raise _unknown(option, part, groups)
    return tuple(found)


def _matcher(part: str, option: str) -> _Matches:
    if not part.startswith("~"):
        return re.compile(fnmatch.translate(part)).match
    try:
        return re.compile(part[1:]).match
    except re.error as error:
        raise SettingsError(f"{option} {part!r} is no regular expression: {error}") from error


def _unknown(option: str, name: str, groups: _Groups) -> SettingsError:
    known = [*groups, *groups["all"]]
    close = difflib.get_close_matches(name, known, n=3)
    hint = (
        f"did you mean {' or '.join(close)}?" if close else f"groups: {', '.join(sorted(groups))}"
    )
    return SettingsError(f"{option}: there is no node or group {name!r}", hint=hint)
