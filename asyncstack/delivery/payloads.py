"""What crosses the connection: a mirror's files as they are, or the difference as a bundle.

A payload is a tar archive whose size is known before its first byte is sent; it is read from disk
piece by piece while it goes out.
"""

from __future__ import annotations

import tarfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

import anyio.to_thread

from asyncstack.git.refs import RefTable

__all__ = ["CHUNK", "Content", "Payload", "refs_of_update"]

#: Bytes that are in memory at once for each node.
CHUNK = 512 * 1024
_BLOCK = 512
_ORIGIN = "refs/remotes/origin/"
_END = bytes(2 * _BLOCK)


@dataclass(frozen=True, slots=True)
class Content:
    """One member of an archive: `data`, or the file at `path` from byte `skip`; a directory has neither."""

    name: str
    data: bytes = b""
    path: Path | None = None
    skip: int = 0


@dataclass(slots=True)
class Payload:
    """An archive to be. Its files are open, so that nobody can take them away. Close it."""

    _parts: list[tuple[bytes, IO[bytes] | None]] = field(default_factory=list)
    _files: ExitStack = field(default_factory=ExitStack)
    size: int = len(_END)

    @classmethod
    def open(cls, folder: str, contents: Sequence[Content]) -> Payload:
        """Open all files, which are to lie in `folder`. Raises OSError if one can't be read."""
        payload = cls()
        try:
            for content in (Content(""), *contents):
                payload._add(f"{folder}/{content.name}", content)
        except BaseException:
            payload.close()
            raise
        return payload

    def _add(self, name: str, content: Content) -> None:
        entry = tarfile.TarInfo(name)
        entry.mtime = int(time.time())
        file = None
        if content.path is not None:
            file = self._files.enter_context(content.path.open("rb"))
            entry.size, entry.mode = file.seek(0, 2) - content.skip, 0o444
            file.seek(content.skip)
        elif name.endswith("/"):
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        else:
            entry.size = len(content.data)
        header = entry.tobuf(tarfile.GNU_FORMAT)
        self._parts.append((header + content.data, file))
        self._parts.append((bytes(-entry.size % _BLOCK), None))
        self.size += len(header) + entry.size + -entry.size % _BLOCK

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the archive. Raises OSError if a file shrank meanwhile."""
        for data, file in self._parts:
            if data:
                yield data
            while file is not None and (chunk := await _read(file)):
                yield chunk
        yield _END

    def close(self) -> None:
        """Close the files."""
        self._files.close()


async def _read(file: IO[bytes]) -> bytes:
    return await anyio.to_thread.run_sync(file.read, CHUNK)


def refs_of_update(wanted: RefTable, ref: str, has: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Return what `git update-ref --stdin` is told, first what goes, then what comes.

    That is origin's refs, new tags, and the tag asked for; other tags of the user's are never
    overwritten. What goes are old branches of origin's that stand in the way (a against a/b).
    """
    asked = f"refs/tags/{ref.removeprefix('refs/tags/')}"
    names = wanted.as_origin().names
    changed = {
        name: oid
        for name, oid in names.items()
        if has.get(name) != oid and (name not in has or name == asked or not _is_tag(name))
    }
    folders = {str(parent) for name in changed for parent in PurePosixPath(name).parents}
    gone = [
        name
        for name in has
        if name.startswith(_ORIGIN)
        and name not in names
        and (name in folders or any(str(p) in changed for p in PurePosixPath(name).parents))
    ]
    return _lines(f"delete {name}" for name in gone), _lines(
        f"update {name} {oid}" for name, oid in changed.items()
    )


def _is_tag(name: str) -> bool:
    return name.startswith("refs/tags/")


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
