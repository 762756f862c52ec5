"""What is at a checkout's place already, read from files: about a millisecond, no process."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from asyncstack.checkouts.rules import State
from asyncstack.fetcher.files import in_words
from asyncstack.git.layout import MARKER, head_of, origin_url, unfinished
from asyncstack.git.refs import RefTable, read_refs

__all__ = ["Found", "inspect"]


@dataclass(frozen=True, slots=True)
class Found:
    """A checkout as it stands. `problem` is set for UNREADABLE only."""

    state: State
    git_dir: Path
    commit: str = ""
    branch: str = ""
    origin: str = ""
    unfinished: str = ""
    refs: RefTable = field(default_factory=RefTable)
    problem: str = ""


def inspect(directory: Path) -> Found:
    """Look at a place; raises nothing."""
    git_dir = directory / ".git"
    try:
        state = _outside(directory, git_dir)
        return _inside(directory, git_dir) if state is State.CHECKOUT else Found(state, git_dir)
    except OSError as error:
        return Found(State.UNREADABLE, git_dir, problem=in_words(error))


def _outside(directory: Path, git_dir: Path) -> State:
    if directory.is_symlink() and not directory.exists():
        return State.NOT_A_DIRECTORY
    if not directory.exists():
        return State.ABSENT
    if not directory.is_dir():
        return State.NOT_A_DIRECTORY
    if git_dir.is_file():
        return State.UNKNOWN
    if not git_dir.is_dir():
        return State.NO_CHECKOUT if any(directory.iterdir()) else State.EMPTY
    return State.CHECKOUT


def _inside(directory: Path, git_dir: Path) -> Found:
    refs = read_refs(git_dir)
    head = head_of(git_dir, refs)
    if head.unknown:
        return Found(State.UNKNOWN, git_dir)
    if not head.commit:
        in_use = refs.names or _is_in_use(directory, git_dir)
        return Found(State.UNBORN if in_use else State.NO_COMMIT, git_dir)
    state = State.CHECKOUT
    if not (git_dir / "index").exists():
        state = State.NO_FILES
    elif (git_dir / MARKER).exists():
        state = State.INTERRUPTED
    return Found(
        state,
        git_dir,
        commit=head.commit,
        branch=head.branch,
        origin=origin_url(git_dir),
        unfinished=unfinished(git_dir),
        refs=refs,
    )


def _is_in_use(directory: Path, git_dir: Path) -> bool:
    """Say whether somebody has worked there: a clone makes these files once HEAD has its commit."""
    made_later = (git_dir / "index", git_dir / "logs" / "HEAD")
    beside = any(path.name != git_dir.name for path in directory.iterdir())
    return beside or any(path.exists() for path in made_later)
