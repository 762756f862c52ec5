"""Finish an update that was killed while files were being written.

The marker says from which commit to which. A file that the update touches must hold what one of
the two has, or the beginning of the new one; anything else is work of the user's, done since, and
is named instead of overwritten. Who has moved HEAD somewhere else since has taken over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from asyncstack.checkouts.telling import warn
from asyncstack.checkouts.wording import about_saved
from asyncstack.fetcher.attempts import Job, failed
from asyncstack.fetcher.inspection import Found
from asyncstack.fetcher.local_work import save_local_work
from asyncstack.git.commands import Git
from asyncstack.git.failures import FailureClass
from asyncstack.git.layout import MARKER
from asyncstack.git.process import Ended

__all__ = ["heal"]


@dataclass(frozen=True, slots=True)
class _Change:
    """One path that differs between the two commits; an object name of zeros: not there."""

    path: str
    old: str
    new: str
    submodule: bool

    @property
    def gone(self) -> bool:
        return set(self.new) == {"0"}


async def heal(job: Job, found: Found, work: Path) -> str | Ended:
    """Complete the update that the marker tells of; return the commit, or why it can't be.

    Under `force` what the user has done since is saved first, through `work`. Returns '' if there is nothing to complete; the marker is gone then. Raises OSError.
    """
    tree = found.git_dir.parent
    here = job.git.at(found.git_dir, tree)
    old, new = _read_marker(found.git_dir)
    if found.commit not in (old, new):
        (found.git_dir / MARKER).unlink()
        return ""
    ended = await here.run("diff-tree", "-r", "-z", "--no-abbrev", "--no-renames", old, new)
    if not ended.ok:
        return ended
    changes = _parse(ended.stdout)
    foreign = await _foreign(here, tree, changes)
    if foreign and not job.options.force:
        words = f"its update was interrupted, and these files were changed since: {foreign}"
        return failed(FailureClass.LOCAL_CHANGES, words)
    if foreign:
        saved = await save_local_work(job.git, found, work)
        if isinstance(saved, Ended):
            return saved
        request = job.request
        saving = about_saved(request.directory, request.plugin, foreign, saved)
        warn(saving, job.options.node, job.emit)
    on_its_branch = found.branch == job.request.ref.removeprefix("refs/heads/")
    finished = await _finish(here, found.git_dir, changes, new, along=on_its_branch)
    return new if finished.ok else finished


def _read_marker(git_dir: Path) -> tuple[str, str]:
    """Return both commits; two '' for a marker that is cut: nothing had been written by then."""
    words = (git_dir / MARKER).read_text("ascii", "replace").split()
    whole = len(words) == 2 and len(words[0]) == len(words[1])  # noqa: PLR2004 - from, to
    return (words[0], words[1]) if whole else ("", "")


def _parse(output: str) -> list[_Change]:
    """Read `diff-tree -z`: `:mode mode old new status`, NUL, path, NUL."""
    fields = output.split("\0")
    pairs = zip(fields[::2], fields[1::2], strict=False)
    return [_change(path, *meta.split()[:4]) for meta, path in pairs if meta]


def _change(path: str, old_mode: str, new_mode: str, old: str, new: str) -> _Change:
    return _Change(path, old, new, submodule="160000" in (old_mode.lstrip(":"), new_mode))


async def _foreign(here: Git, tree: Path, changes: Sequence[_Change]) -> str:
    """Name the files that hold neither version, and those in a folder where one is to be."""
    names = []
    gone = {change.path for change in changes if change.gone}
    for change in changes:
        path = tree / change.path
        if path.is_dir() and not (path.is_symlink() or change.submodule or change.gone):
            names += sorted(_files_below(path, tree) - gone)
        if path.is_file() and not path.is_symlink():
            ended = await here.run("hash-object", f"--path={change.path}", "--", str(path))
            known = ended.stdout.strip() in (change.old, change.new)
            if not known and not await _half_written(here, path, change):
                names.append(change.path)
    return ", ".join(names)


def _files_below(folder: Path, tree: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return {str(path.relative_to(tree)) for path in found}


async def _half_written(here: Git, path: Path, change: _Change) -> bool:
    """Say whether a file is the beginning of what the update was writing when it was killed."""
    if change.gone:
        return False
    ended = await here.run("cat-file", "--filters", f"--path={change.path}", change.new)
    written = await anyio.Path(path).read_bytes()
    return ended.ok and ended.stdout.encode("utf-8", "surrogateescape").startswith(written)


async def _finish(
    here: Git, git_dir: Path, changes: list[_Change], new: str, *, along: bool
) -> Ended:
    """Write index, files and HEAD, in that order; the marker goes last."""
    (git_dir / "index.lock").unlink(missing_ok=True)
    ended = await here.run("read-tree", new)
    if not ended.ok:
        return ended
    for change in changes:
        if change.gone and not change.submodule:
            (git_dir.parent / change.path).unlink(missing_ok=True)
    paths = [change.path for change in changes if not change.gone]
    for start in range(0, len(paths), 500):
        ended = await here.run("checkout-index", "--force", "--", *paths[start : start + 500])
        if not ended.ok:
            return ended
    await here.run("update-index", "-q", "--refresh")
    ended = await _move_head(here, git_dir, new, along=along)
    if ended.ok:
        (git_dir / MARKER).unlink()
    return ended


async def _move_head(here: Git, git_dir: Path, new: str, *, along: bool) -> Ended:
    """Put HEAD there; the branch that it is on comes `along`, any other one stays where it is."""
    (git_dir / "HEAD.lock").unlink(missing_ok=True)
    detach = [] if along else ["--no-deref"]
    reason = "asyncstack: finish an interrupted update"
    return await here.run("update-ref", *detach, "-m", reason, "HEAD", new)
