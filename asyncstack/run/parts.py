"""How files travel as an archive: the commands that pack it and unpack it on nodes. Pure."""

from __future__ import annotations

import posixpath
import re
import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from msgspec import Struct

__all__ = ["Part", "parts_of"]

_HOME = "~/"

# As root, for that is who owns such files; a node where sudo asks for a password says so.
_AS_ROOT = 'as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }\n'

_UNPACK = Path(__file__).parent / "node/unpack.bash"
#: The begin of the name of what is unpacked, but not where it belongs yet.
_STAGE = ".asyncstack-copy-"


class Part(Struct, frozen=True):
    """Paths below one folder. `folder` and `run` are shell words, `paths` relative to it."""

    folder: str
    run: str
    paths: tuple[str, ...]
    tar: str = ""

    def pack(self) -> str:
        """The command that prints them as an archive."""
        paths = shlex.join(self.paths)
        exclude = shlex.quote(f"--exclude={_STAGE}*")
        return f"{_AS_ROOT}{self.run} tar -C {self.folder} {exclude} -cf - -- {paths}"

    def unpack(self, node: str, owner: str, mode: str, size: int) -> str:
        """The command that puts an archive's files where they belong on a node: see unpack.bash.

        Behind that many bytes it reads a newline.
        It removes what others of its kind have left there that were cut off, but this one has not.
        """
        script = shlex.quote(_UNPACK.read_text("utf-8"))
        name = _STAGE + re.sub(r"[^A-Za-z0-9_-]", "-", node)
        words = [word for path in self.paths for word in _words(path)]
        first = shlex.join(["unpack", str(size), name, secrets.token_hex(4)])
        rest = shlex.join([owner, mode, self.tar, *words])
        return f"{_AS_ROOT}{self.run} bash -c {script} bash {first} {self.folder} {rest}"


def _words(path: str) -> tuple[str, str, str]:
    """Where a path belongs, that for tar to write it, and a regular expression that tar reads."""
    place = f"./{posixpath.normpath(path)}"
    name = path.rstrip("/")
    return (
        place,
        re.sub(r"[\\&,]", r"\\\g<0>", place),
        re.sub(r"[][\\.{}()*+?^$|,]", r"\\\g<0>", name),
    )


def parts_of(paths: Sequence[str]) -> list[Part]:
    """The paths by where they begin: a home is another one on each node, and its login's own."""
    below_root = [path.lstrip("/") for path in paths if not path.startswith(_HOME)]
    below_home = [path.removeprefix(_HOME).lstrip("/") for path in paths if path.startswith(_HOME)]
    parts = [
        Part("/", "as_root", _outermost(below_root)),
        Part('"$HOME"', "command", _outermost(below_home), "--no-same-owner"),
    ]
    return [part for part in parts if part.paths]


def _outermost(paths: Sequence[str]) -> tuple[str, ...]:
    """Those that aren't within another one, which takes them along."""
    pure = {PurePosixPath(path): path for path in paths}
    return tuple(path for one, path in pure.items() if pure.keys().isdisjoint(one.parents))
