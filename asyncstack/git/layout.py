"""A repository's files, as far as they are read or written without git.

Written: the skeleton of a checkout made from a mirror. Read: where HEAD is, whether something is
unfinished, what origin is called. Only the plain layout is read here; a linked work tree, a
reftable or a config with includes is left to git (`Head.unknown`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from asyncstack.git.refs import OBJECT_NAME, RefTable, read_refs

__all__ = [
    "MARKER",
    "Head",
    "has_single_objects",
    "head_of",
    "is_partial",
    "origin_url",
    "pack_files",
    "read_head",
    "unfinished",
    "write_bare",
    "write_config",
    "write_packed_refs",
]

#: In `.git` while a checkout is being moved from one commit to another: "old new\n".
MARKER = "asyncstack-update"

_UNFINISHED = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase or am",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
    "sequencer": "cherry-pick",  # of several commits, or a revert, between two of them
}


@dataclass(frozen=True, slots=True)
class Head:
    """Where HEAD is: `commit` '' if unborn, `branch` '' if detached; `unknown`: ask git."""

    commit: str = ""
    branch: str = ""
    unknown: bool = False


def read_head(git_dir: Path) -> str:
    """Return HEAD's text, '' if there is none."""
    try:
        return (git_dir / "HEAD").read_text("utf-8", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def head_of(git_dir: Path, refs: RefTable | None = None) -> Head:
    """Resolve HEAD by reading files. Raises OSError if they can't be read."""
    text = read_head(git_dir)
    if OBJECT_NAME.match(text):
        return Head(commit=text)
    target = text.removeprefix("ref: ")
    if target in (text, "refs/heads/.invalid"):  # the reftable's placeholder
        return Head(unknown=bool(text))
    table = refs if refs is not None else read_refs(git_dir)
    return Head(commit=table.names.get(target, ""), branch=target.removeprefix("refs/heads/"))


def unfinished(git_dir: Path) -> str:
    """Name what the user has begun and not ended (`rebase`, `merge`, …); '' if nothing."""
    return next((what for name, what in _UNFINISHED.items() if (git_dir / name).exists()), "")


def origin_url(git_dir: Path) -> str:
    """Return origin's URL as the config has it; '' if it has none or can't be read simply."""
    try:
        lines = (git_dir / "config").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    section, url = "", ""
    for line in map(str.strip, lines):
        if line.startswith("["):
            section = line.replace(" ", "").lower()
        elif section == '[remote"origin"]' and line.lower().startswith("url"):
            key, equals, value = line.partition("=")
            if equals and key.strip().lower() == "url":
                url = _unquote(value.strip())
    return url


def is_partial(git_dir: Path) -> bool:
    """Say whether a repository lacks objects that its origin has promised."""
    try:
        return "promisor" in (git_dir / "config").read_text("utf-8", "replace")
    except OSError:
        return False


def _unquote(value: str) -> str:
    if value.startswith('"') and value.endswith('"') and len(value) > 1:
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


def write_config(git_dir: Path, url: str, *, sha256: bool = False) -> None:
    """Write the config of a fresh checkout whose origin is `url` (which holds no secret)."""
    escaped = url.replace("\\", "\\\\").replace('"', '\\"')
    version = 1 if sha256 else 0
    extension = "[extensions]\n\tobjectformat = sha256\n" if sha256 else ""
    (git_dir / "config").write_text(
        f"[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = false\n"
        f"\tlogallrefupdates = true\n{extension}"
        f'[remote "origin"]\n\turl = "{escaped}"\n'
        "\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
        "utf-8",
        "surrogateescape",
    )


def write_bare(git_dir: Path, head: str) -> None:
    """Write an empty bare repository whose HEAD is the branch of a full name."""
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
        (git_dir / folder).mkdir(parents=True)
    (git_dir / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n", "ascii"
    )
    (git_dir / "HEAD").write_text(f"ref: {head}\n", "utf-8", "surrogateescape")


def write_packed_refs(git_dir: Path, refs: RefTable) -> None:
    """Write refs as packed-refs, replacing the file in one step."""
    peeled = all(name in refs.peeled for name in refs.names if name.startswith("refs/tags/"))
    lines = [f"# pack-refs with: {'peeled ' if peeled else ''}sorted \n"]
    for name, oid in sorted(
        refs.names.items(), key=lambda item: item[0].encode("utf-8", "surrogateescape")
    ):
        lines.append(f"{oid} {name}\n")
        target = refs.peeled.get(name, oid)
        if target != oid:
            lines.append(f"^{target}\n")
    temporary = git_dir / "packed-refs.new"
    temporary.write_text("".join(lines), "utf-8", "surrogateescape")
    temporary.replace(git_dir / "packed-refs")


def pack_files(git_dir: Path) -> list[Path]:
    """Return the files of a repository's packs, each pack before its index, as git wants them to appear."""
    folder = git_dir / "objects" / "pack"
    if not folder.is_dir():
        return []
    kept = [
        path for path in folder.iterdir() if path.suffix in (".pack", ".rev", ".idx", ".promisor")
    ]
    return sorted(kept, key=lambda path: (path.suffix == ".idx", path.name))


def has_single_objects(git_dir: Path) -> bool:
    """Say whether some objects are in no pack: each of them is a file below two of its digits."""
    return any(len(path.name) == 2 for path in (git_dir / "objects").iterdir())  # noqa: PLR2004
