"""asyncstack.lock: the exact commits of a lab, so that it can be made again next year.

TOML, written beside local.conf, one table a plugin in registration order, meant to be committed.
A plugin that nodes enable at different URLs or refs has a table for each:

    version = 1

    [[plugin]]
    name = "heat"
    url = "https://opendev.org/openstack/heat"
    ref = "master"
    commit = "8d2b5a…"
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from asyncstack.errors import LockFileError

__all__ = ["LOCK_NAME", "Key", "Lock", "LockedPlugin", "pin", "read_lock", "refresh", "write_lock"]

#: A plugin's name, its URL without credentials, its ref.
Key = tuple[str, str, str]

#: The file's name beside local.conf.
LOCK_NAME = "asyncstack.lock"

_VERSION = 1
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_HEADER = "# Made by asyncstack; commit it. `asyncstack fetch --update` refreshes it.\n"
_ANEW = "repair it, or remove it and write it anew with: asyncstack fetch --write-lock"


class LockedPlugin(Struct, frozen=True, forbid_unknown_fields=False):
    """What one plugin was: `url` without credentials, `commit` in full."""

    name: str
    url: str
    ref: str
    commit: str

    @property
    def key(self) -> Key:
        """What it was asked for by."""
        return self.name, self.url, self.ref


class Lock(Struct, frozen=True):
    """The contents of a lock file."""

    plugins: tuple[LockedPlugin, ...] = ()
    path: str = ""

    def find(self, key: Key) -> LockedPlugin | None:
        """Return the entry of a plugin, or else one of its name."""
        named = [plugin for plugin in self.plugins if plugin.name == key[0]]
        return next((plugin for plugin in named if plugin.key == key), named[0] if named else None)


class _File(Struct):
    version: int
    plugin: list[LockedPlugin] = []


def read_lock(path: Path) -> Lock:
    """Read a lock file. Raises LockFileError if it is missing, or isn't one."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        file = msgspec.convert(data, _File)
    except FileNotFoundError as error:
        hint = "write one with: asyncstack fetch --write-lock"
        raise LockFileError("there is no lock file", path=str(path), hint=hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LockFileError(f"can't be read: {error}", path=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        number = int(line[1]) if line else 0
        problem = f"is no TOML: {error}"
        raise LockFileError(problem, path=str(path), line=number, hint=_ANEW) from error
    except msgspec.ValidationError as error:
        raise LockFileError(f"is no lock file: {error}", path=str(path), hint=_ANEW) from error
    return _checked(file, path)


def _checked(file: _File, path: Path) -> Lock:
    if file.version != _VERSION:
        hint = "it was written by another version of asyncstack; write it again"
        problem = f"has version {file.version}; this asyncstack reads version {_VERSION}"
        raise LockFileError(problem, path=str(path), hint=hint)
    seen: set[Key] = set()
    for plugin in file.plugin:
        if plugin.key in seen:
            problem = f"names plugin {plugin.name!r} twice"
            raise LockFileError(problem, path=str(path), hint=_ANEW)
        if not _COMMIT.match(plugin.commit):
            problem = f"plugin {plugin.name!r}: {plugin.commit!r} is no full commit"
            raise LockFileError(problem, path=str(path), hint=_ANEW)
        seen.add(plugin.key)
    return Lock(tuple(file.plugin), str(path))


def render_lock(lock: Lock) -> str:
    """Return the text of a lock file."""
    tables = [
        "\n[[plugin]]\n"
        + "".join(
            f"{key} = {_string(value)}\n" for key, value in msgspec.to_builtins(entry).items()
        )
        for entry in lock.plugins
    ]
    return f"{_HEADER}version = {_VERSION}\n{''.join(tables)}"


def _string(value: str) -> str:
    """Return a TOML basic string: JSON's escapes, and DEL, which JSON lets through."""
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def write_lock(path: Path, lock: Lock) -> None:
    """Write a lock file in one step. Raises LockFileError if that can't be."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(render_lock(lock), "utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        problem = f"can't be written: {error.strerror}"
        hint = "it lies beside local.conf, whose folder has to be writable"
        raise LockFileError(problem, path=str(path), hint=hint) from error


def pin(lock: Lock, wanted: Sequence[Key], *, complete: bool = True) -> dict[Key, str]:
    """Return the commit of each that is `wanted`; `complete`: nothing else may be locked.

    Raises LockFileError, naming everything that local.conf and the lock disagree about: a locked
    run either is exactly what was locked, or isn't one.
    """
    differences = [_difference(lock.find(key), *key) for key in dict.fromkeys(wanted)]
    names = {name for name, _, _ in wanted}
    extra = [entry.name for entry in lock.plugins if entry.name not in names] if complete else []
    differences += [
        f"plugin {name!r} is locked, but local.conf doesn't enable it" for name in extra
    ]
    found = [difference for difference in differences if difference]
    if found:
        raise LockFileError(
            "disagrees with local.conf:\n    " + "\n    ".join(found),
            path=lock.path,
            hint="bring it up to date with: asyncstack fetch --write-lock",
        )
    return {entry.key: entry.commit for entry in lock.plugins}


def _difference(entry: LockedPlugin | None, name: str, url: str, ref: str) -> str:
    if entry is None:
        return f"plugin {name!r} is not locked"
    if entry.url != url:
        return f"plugin {name!r}: locked from {entry.url}, enabled from {url}"
    if entry.ref != ref:
        return f"plugin {name!r}: locked at ref {entry.ref!r}, enabled at {ref!r}"
    return ""


def refresh(
    lock: Lock,
    fetched: Iterable[LockedPlugin],
    names: Collection[str] | None = None,
    *,
    complete: bool = True,
) -> Lock:
    """Return a lock that holds what was fetched on whichever node, in that order.

    With `names`, only those take their new commit; the others keep what is locked, as long as URL and
    ref are the same. Plugins that weren't fetched go, unless it was not `complete`. Raises
    LockFileError if nodes have a plugin at different commits.
    """
    locked = {entry.key: entry for entry in lock.plugins}
    chosen: dict[Key, LockedPlugin] = {}
    for entry in fetched:
        keep = names is not None and entry.name not in names
        new = locked.get(entry.key, entry) if keep else entry
        same = chosen.setdefault(new.key, new)
        if same.commit != new.commit:
            raise LockFileError(
                f"can't lock plugin {new.name!r}: one node has {same.commit[:12]}, another one has "
                f"{new.commit[:12]}",
                path=lock.path,
                hint="bring all nodes to one commit with: asyncstack fetch --update --write-lock",
            )
    fetched_names = {name for name, _, _ in chosen}
    others = [] if complete else [old for old in lock.plugins if old.name not in fetched_names]
    return msgspec.structs.replace(lock, plugins=(*chosen.values(), *others))
