"""Where a shared library is, without a process: what asyncssh asks while it is imported.

It looks for two that it could use (liboqs, nettle), and `ctypes.util.find_library` runs ldconfig and
then the compiler and the linker for each that isn't there: 30 ms of every start, where gcc is.
"""

from __future__ import annotations

import ctypes.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["look_up_in_cache", "soname_in"]

#: The linker's own cache, see ldconfig(8): names and paths, each ended by a zero byte.
_CACHE = Path("/etc/ld.so.cache")


@contextmanager
def look_up_in_cache() -> Iterator[None]:
    """Have `find_library` look into the linker's cache and nowhere else while the block runs.

    Where there is no such cache (musl, macOS) it is left as it is.
    """
    try:
        cache = _CACHE.read_bytes()
    except OSError:
        yield
        return
    find = ctypes.util.find_library
    ctypes.util.find_library = lambda name: soname_in(cache, name)
    try:
        yield
    finally:
        ctypes.util.find_library = find


def soname_in(cache: bytes, name: str) -> str | None:
    """The file name under which a cache knows library `name`, as the linker takes it."""
    # A name may be the end of a path, whose bytes it shares.
    found = re.search(rb"[\0/](lib" + re.escape(name.encode()) + rb"\.so[^\0/]*)\0", cache)
    return found[1].decode() if found else None
