"""Keeping a library from importing what it could use and we don't, where that takes long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder

__all__ = ["hidden"]


@contextmanager
def hidden(module: str) -> Iterator[None]:
    """Let this thread not find a module while the block runs, if it isn't imported already.

    The other threads import what they like.
    """
    thread = threading.get_ident()

    class Finder(MetaPathFinder):
        @staticmethod
        def find_spec(fullname: str, _path: object, _target: object = None) -> None:
            if fullname == module and threading.get_ident() == thread:
                raise ModuleNotFoundError(fullname, name=fullname)

    # Lists of their own, for a thread that walks through one while it changes passes over a finder.
    sys.meta_path = [Finder(), *sys.meta_path]
    try:
        yield
    finally:
        sys.meta_path = [one for one in sys.meta_path if not isinstance(one, Finder)]
