"""Share big immutable files between directories: hard link, else reflink, else copy."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from asyncstack.git.layout import pack_files

__all__ = ["in_words", "share_file", "share_packs"]

#: ioctl of Linux (linux/fs.h): make one file a copy-on-write copy of another.
_FICLONE = 0x40049409
#: How often to look again at a folder of packs that changes while it is read.
_LOOKS = 3


def in_words(error: OSError) -> str:
    """Say what an error of the file system is, and of which file, without its number."""
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror}{where}" if error.strerror else str(error)


def share_file(source: Path, target: Path) -> None:
    """Make `target` hold what `source` holds; one that exists already is the same file to us.

    Raises FileNotFoundError if the source went away, OSError if there is no room.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without (enough) links
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f"{target.name}.new")
    with source.open("rb") as reader, temporary.open("wb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError:
            shutil.copyfileobj(reader, writer, 1 << 20)
    temporary.chmod(0o444)
    temporary.replace(target)


def share_packs(source: Path, target: Path) -> int:
    """Give one repository all packs of another; return their size in bytes.

    Each pack comes before its index, so that a reader never sees an index without its pack.
    """
    folder = target / "objects" / "pack"
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(_LOOKS):
        try:
            return _share(pack_files(source), folder)
        except FileNotFoundError:  # repacked by another process in between: look again
            continue
    return _share(pack_files(source), folder)


def _share(packs: list[Path], folder: Path) -> int:
    total = 0
    for path in packs:
        share_file(path, folder / path.name)
        total += path.stat().st_size
    return total
