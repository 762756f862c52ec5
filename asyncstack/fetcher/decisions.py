"""What to do with each checkout: pure functions of what was found and what was asked for."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncstack.fetcher.inspection import Found, State
from asyncstack.fetcher.values import FetchOptions, FetchRequest, FetchWarning
from asyncstack.git.failures import FailureClass
from asyncstack.git.refs import RefKind, check_ref, kind_of_ref
from asyncstack.git.urls import check_name, check_url, parse_url

__all__ = [
    "Action",
    "Decision",
    "decide",
    "in_order",
    "local_name",
    "mismatches",
    "refuse",
    "same_url",
]


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


def refuse(request: FetchRequest) -> str:
    """Say why git may not even see a request; '' if it may."""
    return (
        check_name(Path(request.directory).name)
        or check_url(request.url)
        or check_ref(request.ref)
        or (check_ref(request.commit) if request.commit else "")
    )


_BROKEN = {
    State.NOT_A_DIRECTORY: "is not a directory",
    State.EMPTY: "is an empty directory, not a checkout",
    State.NO_CHECKOUT: "is a directory, but no git checkout",
    State.NO_COMMIT: "is a git checkout without a commit: a clone was cut off there",
    State.NO_FILES: "is a git checkout whose files were never written: a clone was cut off there",
}


def decide(found: Found, options: FetchOptions, *, pinned: bool = False) -> Decision:
    """Follow DevStack's rules, minus its silence: what can't be used is an error.

    A `pinned` checkout is moved even OFFLINE: its commit may be in the cache, and another one won't do.
    """
    match found.state:
        case State.ABSENT if options.error_on_clone:
            return Decision(
                Action.FAIL,
                FailureClass.REFUSED_BY_US,
                "there is no checkout, and ERROR_ON_CLONE=True forbids to make one",
                "put a checkout there, or unset ERROR_ON_CLONE",
            )
        case State.ABSENT:
            return Decision(Action.CLONE)
        case State.UNREADABLE:
            return Decision(Action.FAIL, FailureClass.PERMISSION, found.problem)
        case State.INTERRUPTED:
            return Decision(Action.HEAL)
        case State.CHECKOUT | State.UNKNOWN:
            update = options.update and (pinned or not options.offline)
            return Decision(Action.UPDATE if update else Action.KEEP)
        case broken:
            return Decision(
                Action.FAIL,
                FailureClass.NOT_FOUND,
                f"{found.git_dir.parent} {_BROKEN[broken]}",
                "remove it and fetch again",
            )


def mismatches(request: FetchRequest, found: Found) -> list[FetchWarning]:
    """Compare a checkout that is left as it is with what was asked for."""
    warnings = []
    wanted = parse_url(request.url).url
    if found.origin and not same_url(found.origin, request.url):
        warnings.append(
            FetchWarning(
                "url-mismatch",
                f"{request.directory} was cloned from {parse_url(found.origin).url}, "
                f"not from {wanted}; it is left as it is",
            )
        )
    where = _elsewhere(request, found)
    if where:
        asked = request.commit[:12] or request.ref
        warnings.append(
            FetchWarning(
                "ref-mismatch",
                f"{request.directory} {where}, but {asked!r} was asked for; it is left as it is "
                "(--update brings it there)",
            )
        )
    return warnings


def same_url(one: str, other: str) -> bool:
    """Say whether two URLs mean one repository, as far as their spelling can tell."""

    def plain(url: str) -> str:
        return parse_url(url).url.rstrip("/").removesuffix(".git")

    return plain(one) == plain(other)


def _elsewhere(request: FetchRequest, found: Found) -> str:
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
        return "" if found.branch == _short(request.ref) else f"is on branch {found.branch!r}"
    name = local_name(request.ref, found)
    if not name:
        return f"{at} and knows no such ref"
    commit = found.refs.commit(name)
    return "" if commit in ("", found.commit) else at


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/")


def local_name(ref: str, found: Found) -> str:
    """Return what a checkout calls a branch, tag or other ref of its origin; '' if it has none."""
    branch = f"refs/remotes/origin/{_short(ref)}"
    tag = f"refs/tags/{ref.removeprefix('refs/tags/')}"
    kept = f"refs/asyncstack/named/{ref.removeprefix('refs/')}"
    return next((name for name in (tag, branch, kept) if name in found.refs.names), "")


def in_order(
    requests: Sequence[FetchRequest], sizes: Mapping[str, float]
) -> list[tuple[int, FetchRequest]]:
    """Put what took longest the last time first, unknown ones before that, else as given.

    The end of a batch is its longest repository, so that one must not start last.
    """
    numbered = list(enumerate(requests))
    return sorted(numbered, key=lambda item: -sizes.get(item[1].url, float("inf")))
