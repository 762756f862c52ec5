"""Refs: what kind of thing was asked for, and what a repository on disk calls them.

Reading is done here rather than by git because a process costs three milliseconds and a file
thirty microseconds; thirty checkouts that are already there are looked at on every run.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asyncstack.registry import FORBIDDEN_IN_REF

__all__ = [
    "OBJECT_NAME",
    "RefKind",
    "RefTable",
    "check_ref",
    "extra_refspec",
    "kind_of_ref",
    "parse_ls_remote",
    "read_refs",
    "suggest",
]

#: The whole name of an object, or commit, of either format.
OBJECT_NAME = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_ABBREVIATED = re.compile(r"[0-9a-f]{7,63}\Z")


class RefKind(enum.Enum):
    """How a ref has to be asked for."""

    COMMIT = "a commit"
    ABBREVIATED = "an abbreviated commit, or a branch or tag that looks like one"
    NAMED = "a branch or a tag"
    OTHER = "another ref, by its full name"


def check_ref(ref: str) -> str:
    """Say what is wrong with a ref; '' if git may see it."""
    if not ref:
        return "no ref"
    if ref.startswith("-"):
        return f"the ref {ref!r} starts with '-', which git would take for an option"
    if FORBIDDEN_IN_REF.search(ref):
        return f"{ref!r} is no valid ref"
    return ""


def kind_of_ref(ref: str) -> RefKind:
    """What a ref looks like; hexadecimal of a full length is always a commit, as for git."""
    lowered = ref.lower()
    if OBJECT_NAME.match(lowered):
        return RefKind.COMMIT
    if ref == "HEAD" or (ref.startswith("refs/") and not ref.startswith(_COVERED)):
        return RefKind.OTHER
    if _ABBREVIATED.match(lowered):
        return RefKind.ABBREVIATED
    return RefKind.NAMED


#: The namespaces that every fetch brings anyway.
_COVERED = ("refs/heads/", "refs/tags/")


def extra_refspec(ref: str) -> str:
    """Return the refspec that brings a ref which branches and tags don't; '' if they do.

    A commit is asked for by its name, so that one that no ref reaches comes as well (protocol v2
    serves any commit that it has). It is kept under refs/asyncstack/, out of everybody's way.
    """
    match kind_of_ref(ref):
        case RefKind.COMMIT:
            return f"+{ref.lower()}:refs/asyncstack/commits/{ref.lower()}"
        case RefKind.OTHER:
            name = ref.removeprefix("refs/")
            return f"+{ref}:refs/asyncstack/named/{name}"
        case _:
            return ""


@dataclass(frozen=True, slots=True)
class RefTable:
    """The refs of a repository: `names` maps each to its object, `peeled` tags to their commits."""

    names: Mapping[str, str] = field(default_factory=dict)
    peeled: Mapping[str, str] = field(default_factory=dict)

    def find(self, ref: str) -> str:
        """Find the full name that a short one means, tags first (gitrevisions); '' if none."""
        if kind_of_ref(ref) is RefKind.OTHER:
            kept = f"refs/asyncstack/named/{ref.removeprefix('refs/')}"
            return kept if kept in self.names else ""
        candidates = (ref, f"refs/{ref}", f"refs/tags/{ref}", f"refs/heads/{ref}")
        return next((name for name in candidates if name in self.names), "")

    def commit(self, name: str) -> str:
        """Return the commit of a full name; '' for a tag that may be anything: git knows."""
        oid = self.names.get(name, "")
        peeled = self.peeled.get(name, oid)
        return "" if name.startswith("refs/tags/") and peeled == oid else peeled

    def shown(self) -> dict[str, str]:
        """Return branches and tags only: what `ls-remote` answers."""
        return {name: oid for name, oid in self.names.items() if name.startswith(_COVERED)}

    def as_origin(self) -> RefTable:
        """Return a mirror's refs as a checkout has them: its branches are origin's."""

        def renamed(name: str) -> str:
            return name.replace("refs/heads/", "refs/remotes/origin/", 1)

        return RefTable(
            {renamed(name): oid for name, oid in self.names.items()},
            {renamed(name): oid for name, oid in self.peeled.items()},
        )

    def short_names(self) -> list[str]:
        """Return branches and tags as people write them."""
        return [
            name.removeprefix(prefix)
            for name in self.names
            for prefix in _COVERED
            if name.startswith(prefix)
        ]


def suggest(ref: str, known: Iterable[str]) -> str:
    """Return the way out of a ref that doesn't exist, naming what looks like it."""
    import difflib  # noqa: PLC0415 - only what went wrong needs it

    names = sorted(set(known))
    if ref == "master" and "main" in names:
        return "its default branch may be called 'main'"
    close = difflib.get_close_matches(ref, names, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""


def parse_ls_remote(output: str) -> RefTable:
    """Read `git ls-remote`: a line is an object, a tab, a name; `^{}` marks a peeled tag."""
    names: dict[str, str] = {}
    peeled: dict[str, str] = {}
    for line in output.split("\n"):  # names may hold what else ends a line to Python
        oid, tab, name = line.partition("\t")
        if not tab or not OBJECT_NAME.match(oid):
            continue
        if name.endswith("^{}"):
            peeled[name.removesuffix("^{}")] = oid
        else:
            names[name] = oid
    return RefTable(names, peeled)


def read_refs(git_dir: Path) -> RefTable:
    """Read packed-refs and the loose refs over it. Raises OSError if it can't be read."""
    names: dict[str, str] = {}
    peeled: dict[str, str] = {}
    _read_packed(git_dir / "packed-refs", names, peeled)
    for path in sorted((git_dir / "refs").rglob("*")):
        if path.is_file() and not path.name.endswith(".lock"):
            oid = path.read_text("ascii", "replace").strip()
            name = str(path.relative_to(git_dir))
            if OBJECT_NAME.match(oid) and names.get(name) != oid:
                names[name] = oid
                peeled.pop(name, None)
    return RefTable(names, peeled)


def _read_packed(path: Path, names: dict[str, str], peeled: dict[str, str]) -> None:
    try:
        lines = path.read_text("utf-8", "surrogateescape").split("\n")
    except FileNotFoundError:
        return
    fully_peeled = bool(lines) and lines[0].startswith("#") and "peeled" in lines[0]
    name = ""
    for line in lines:
        if line.startswith("^"):
            peeled[name] = line[1:].strip()
        elif not line.startswith("#"):
            oid, _, name = line.partition(" ")
            if OBJECT_NAME.match(oid):
                names[name] = oid
                if fully_peeled:
                    peeled[name] = oid  # replaced by the ^ line that follows an annotated tag
