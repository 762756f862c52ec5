"""What to do with each checkout: pure functions of what was found and what was asked for."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from asyncstack.checkouts.values import FetchRequest
from asyncstack.git.failures import FailureClass
from asyncstack.git.refs import RefKind, check_ref, kind_of_ref
from asyncstack.git.urls import check_name, check_url, parse_url
from asyncstack.model import Suspicion

__all__ = [
    "Action",
    "Decision",
    "Standing",
    "State",
    "decide",
    "mismatches",
    "refuse",
    "same_url",
    "sources",
]


class State(enum.Enum):
    """What `$DEST/<name>` holds; a node says it in these words."""

    ABSENT = "absent"
    NOT_A_DIRECTORY = "not-a-directory"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    NO_CHECKOUT = "no-checkout"
    NO_COMMIT = "no-commit"
    UNBORN = "unborn"
    NO_FILES = "no-files"
    INTERRUPTED = "interrupted"
    CHECKOUT = "checkout"
    UNKNOWN = "unknown"


class Standing(Protocol):
    """A checkout as it stands; UNKNOWN ones are in a layout that only git can read."""

    @property
    def state(self) -> State:
        """What is there."""

    @property
    def commit(self) -> str:
        """Where HEAD is."""

    @property
    def branch(self) -> str:
        """The branch that HEAD is on, '' if detached."""

    @property
    def origin(self) -> str:
        """Origin's URL."""


class Action(enum.Enum):
    """What happens to one checkout."""

    CLONE = "clone"
    KEEP = "keep"
    UPDATE = "update"
    HEAL = "heal"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Decision:
    """An action; for FAIL also why, and the way out."""

    action: Action
    failure: FailureClass = FailureClass.OTHER
    problem: str = ""
    hint: str = ""


_BROKEN = {
    State.NOT_A_DIRECTORY: "is not a directory",
    State.EMPTY: "is an empty directory, not a checkout",
    State.NO_CHECKOUT: "is a directory, but no git checkout",
    State.NO_COMMIT: "is a git checkout without a commit: a clone was cut off there",
    State.UNBORN: (
        "is a git checkout whose HEAD has no commit, but that holds refs or files: somebody's work, "
        "not a clone that was cut off"
    ),
    State.NO_FILES: "is a git checkout whose files were never written: a clone was cut off there",
}


def refuse(request: FetchRequest) -> str:
    """Say why git may not even see a request; '' if it may."""
    return (
        check_name(Path(request.directory).name)
        or check_url(request.url)
        or check_ref(request.ref)
        or (check_ref(request.commit) if request.commit else "")
    )


def sources(url: str, mirrors: Sequence[tuple[str, str]]) -> list[str]:
    """Return where a repository can be had, in order: rewritten by each prefix that fits, then the URL itself."""
    rewritten = [
        target + url.removeprefix(prefix) for prefix, target in mirrors if url.startswith(prefix)
    ]
    return list(dict.fromkeys([*rewritten, url]))


def decide(
    state: State, directory: str, *, update: bool, error_on_clone: bool, problem: str = ""
) -> Decision:
    """Follow DevStack's rules, minus its silence: what can't be used is an error.

    `update` and `error_on_clone` are its RECLONE and ERROR_ON_CLONE; `problem` is what the system
    says about something UNREADABLE.
    """
    match state:
        case State.ABSENT if error_on_clone:
            return Decision(
                Action.FAIL,
                FailureClass.REFUSED_BY_US,
                "there is no checkout, and ERROR_ON_CLONE=True forbids to make one",
                "put a checkout there, or unset ERROR_ON_CLONE",
            )
        case State.ABSENT:
            return Decision(Action.CLONE)
        case State.UNREADABLE:
            words = problem or f"{directory} can't be read"
            return Decision(Action.FAIL, FailureClass.PERMISSION, words)
        case State.INTERRUPTED:
            return Decision(Action.HEAL)
        case State.CHECKOUT | State.UNKNOWN:
            return Decision(Action.UPDATE if update else Action.KEEP)
        case broken:
            words = f"{directory} {_BROKEN[broken]}"
            hint = "remove it and fetch again"
            if broken is State.UNBORN:
                hint = "commit there or check out a branch that has a commit, or move it away and fetch again"
            return Decision(Action.FAIL, FailureClass.NOT_FOUND, words, hint)


def same_url(one: str, other: str) -> bool:
    """Say whether two URLs mean one repository, as far as their spelling can tell."""

    def plain(url: str) -> str:
        return parse_url(url).url.rstrip("/").removesuffix(".git")

    return plain(one) == plain(other)


def mismatches(request: FetchRequest, found: Standing, local: str) -> list[Suspicion]:
    """Compare a checkout that is left as it is with what was asked for.

    `local` is the commit that the checkout itself takes the ref for, '' if it knows no such ref.
    """
    warnings = []
    directory = request.directory
    if found.origin and not same_url(found.origin, request.url):
        message = (
            f"{directory} was cloned from {parse_url(found.origin).url}, "
            f"not from {parse_url(request.url).url}; it is left as it is"
        )
        warnings.append(Suspicion("url-mismatch", message, request.plugin))
    where = _elsewhere(request, found, local) if found.state is State.CHECKOUT else ""
    if where:
        asked = request.commit[:12] or request.ref
        message = (
            f"{directory} {where}, but {asked!r} was asked for; it is left as it is "
            "(--update brings it there)"
        )
        warnings.append(Suspicion("ref-mismatch", message, request.plugin))
    return warnings


def _elsewhere(request: FetchRequest, found: Standing, local: str) -> str:
    """Say where a checkout is if that is not what was asked for; '' if it is, or can't be told."""
    at = f"is at {found.commit[:12]}"
    if request.commit:
        return "" if found.commit == request.commit else at
    match kind_of_ref(request.ref):
        case RefKind.COMMIT:
            return "" if found.commit == request.ref.lower() else at
        case RefKind.ABBREVIATED if found.commit.startswith(request.ref.lower()):
            return ""
    if found.branch:
        same = found.branch == request.ref.removeprefix("refs/heads/")
        return "" if same else f"is on branch {found.branch!r}"
    if not local:
        return f"{at} and knows no such ref"
    return "" if local == found.commit else at
