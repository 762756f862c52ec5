"""The mirror cache: one bare repository a URL, shared by all labs and runs of a user.

No git ever writes into a mirror. What is fetched is fetched in a private directory that shares the
mirror's packs, and published by links and one rename; so a mirror is good at every moment, whoever
is killed, and the lock below only spares two processes the same download.

    <cache>/<name>-<digest of the URL>/   HEAD config packed-refs objects/pack/… asyncstack.json
    <cache>/.locks/<name>-<digest>        held while it is being brought up to date
    <cache>/.asyncstack-…/                private directories of running fetches
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from asyncstack.fetcher.files import share_packs
from asyncstack.fetcher.locks import only_one
from asyncstack.git.layout import pack_files, read_head, write_packed_refs
from asyncstack.git.refs import RefTable, read_refs
from asyncstack.git.urls import Address

__all__ = ["Cache", "Facts", "Mirror", "default_cache_directory", "read_facts", "sound"]


_HEAD = re.compile(r"ref: refs/\S+|[0-9a-f]{40}|[0-9a-f]{64}")
#: The name of a mirror (`Address.key`), and of one that was set aside.
_MIRROR = re.compile(r"(?!\.).*-[0-9a-f]{16}")
_ASIDE = re.compile(rf"{_MIRROR.pattern}\.corrupt-\d+")
_FACTS = "asyncstack.json"


class Facts(Struct, frozen=True):
    """What is known about a mirror besides its objects. Times are epoch seconds."""

    url: str = ""
    used: float = 0.0
    fetched: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Mirror:
    """A bare repository and the refs that it had when it was opened."""

    path: Path
    refs: RefTable

    @property
    def default_branch(self) -> str:
        """The full name of what HEAD points to; '' if that doesn't exist."""
        name = read_head(self.path).removeprefix("ref: ")
        return name if name in self.refs.names else ""


def default_cache_directory(environ: dict[str, str] | os._Environ[str]) -> str:
    """Return `${XDG_CACHE_HOME:-~/.cache}/asyncstack/git`."""
    base = environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):  # empty, or relative, which the specification tells us to ignore
        base = str(Path("~/.cache").expanduser())
    return str(Path(base) / "asyncstack" / "git")


class Cache:
    """The mirrors below one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, address: Address) -> Path:
        return self.root / address.key

    def prepare(self) -> None:
        """Make the directory. Raises OSError if it can't be made or written."""
        (self.root / ".locks").mkdir(parents=True, exist_ok=True)
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.root))

    def open(self, address: Address) -> Mirror | None:
        """Return the mirror of a URL; None if there is none, or one that can't be right."""
        path = self.path(address)
        if not path.is_dir():
            return None
        if not sound(path):
            return None
        try:
            return Mirror(path, read_refs(path))
        except OSError:
            return None

    def set_aside(self, path: Path) -> Path | None:
        """Move a corrupt mirror out of the way, for `asyncstack cache prune` to remove."""
        target = path.with_name(f"{path.name}.corrupt-{time.time_ns()}")
        try:
            path.rename(target)
        except OSError:  # somebody else was faster
            return None
        return target

    def publish(
        self, fetched: Mirror, address: Address, *, seconds: float, replaced: Collection[str] = ()
    ) -> Mirror:
        """Make what was fetched the mirror of a URL. Raises OSError (disk full).

        `replaced` are the packs whose objects are all in a pack of what was fetched.
        """
        path = self.path(address)
        facts = Facts(address.url, time.time(), time.time(), seconds)
        write_facts(fetched.path, facts)
        try:
            fetched.path.rename(path)
        except OSError:  # there is one: add our packs, then the refs that need them
            if not path.is_dir():
                raise
            share_packs(fetched.path, path)
            write_packed_refs(path, fetched.refs)
            whole = read_facts(path).seconds or seconds
            write_facts(path, msgspec.structs.replace(facts, seconds=whole))
            _remove_packs(path, replaced)
        return Mirror(path, fetched.refs)

    def touch(self, mirror: Mirror) -> None:
        """Note that a mirror was used, for `prune`."""
        facts = read_facts(mirror.path)
        with suppress(OSError):  # somebody else's cache, that may be read
            write_facts(mirror.path, msgspec.structs.replace(facts, used=time.time()))

    def durations(self) -> dict[str, float]:
        """Return how long each URL took the last time it came whole, in seconds."""
        known = (read_facts(path) for path in self.mirrors())
        return {facts.url: facts.seconds for facts in known if facts.seconds}

    def mirrors(self) -> Iterator[Path]:
        """Yield every mirror, corrupt ones that were set aside not included.

        Nothing else that lies there: what this yields is removed, and the directory is the user's word.
        """
        for path in self._named(_MIRROR):
            if (path / _FACTS).is_file():
                yield path

    def set_aside_ones(self) -> Iterator[Path]:
        """Yield every mirror that was set aside."""
        yield from self._named(_ASIDE)

    def _named(self, name: re.Pattern[str]) -> Iterator[Path]:
        if not self.root.is_dir():
            return
        for path in sorted(self.root.iterdir()):
            if name.fullmatch(path.name) and path.is_dir():
                yield path

    @asynccontextmanager
    async def locked(self, address: Address) -> AsyncIterator[None]:
        """Be the only one, in any process, to bring this mirror up to date."""
        lock = self.root / ".locks" / address.key
        async with only_one(lock, os.O_RDWR | os.O_CREAT):
            yield


def _remove_packs(mirror: Path, names: Collection[str]) -> None:
    """Remove packs, each index before its pack; whoever shares them keeps them."""
    for path in reversed(pack_files(mirror)):
        if path.stem in names:
            path.unlink(missing_ok=True)


def write_facts(path: Path, facts: Facts) -> None:
    """Write what is known about a mirror, in one step."""
    temporary = path / f"{_FACTS}.{os.getpid()}"
    temporary.write_bytes(msgspec.json.encode(facts))
    temporary.replace(path / _FACTS)


def read_facts(path: Path) -> Facts:
    """Read what is known about a mirror; empty facts if that is nothing."""
    try:
        return msgspec.json.decode((path / _FACTS).read_bytes(), type=Facts)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return Facts()


def sound(mirror: Path) -> bool:
    """Look whether a mirror can be right: each pack there, whole, and the one its index means.

    An index names its pack's checksum, which is the pack's last bytes: two short reads a pack find
    truncated and mixed-up files. Flipped bits are `asyncstack cache verify`'s business. Of the small
    files, a crash of the machine leaves empty or zeroed ones.
    """
    try:
        config = (mirror / "config").read_bytes()
        if not _HEAD.fullmatch(read_head(mirror)) or b"[core]" not in config or b"\0" in config:
            return False
        if not (mirror / "packed-refs").is_file():
            return False
        indexes = [path for path in pack_files(mirror) if path.suffix == ".idx"]
        return all(_matches(index) for index in indexes)
    except OSError:
        return False


def _matches(index: Path) -> bool:
    size = 32 if len(index.stem) > len("pack-") + 40 else 20
    named = _tail(index, 2 * size)[:size]
    return len(named) == size and named == _tail(index.with_suffix(".pack"), size)


def _tail(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read()
