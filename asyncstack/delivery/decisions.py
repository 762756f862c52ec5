"""What a node gets of each parcel: pure functions of what it has. The rules are the fetcher's."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from asyncstack.delivery.survey import Found, State
from asyncstack.delivery.values import DeliveryOptions, Parcel
from asyncstack.git.failures import FailureClass
from asyncstack.git.refs import RefKind, kind_of_ref
from asyncstack.git.urls import parse_url
from asyncstack.model import Suspicion

__all__ = ["Action", "Decision", "decide", "describe_local_work", "same_url", "warnings"]


class Action(enum.Enum):
    """What happens to one parcel; the values are what node scripts are told."""

    NEW = "make_new"
    KEEP = ""
    UPDATE = "update"
    RESUME = "resume keep"
    RESUME_AND_UPDATE = "resume update"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Decision:
    """An action; for FAIL also why, and the way out."""

    action: Action
    failure: FailureClass = FailureClass.OTHER
    problem: str = ""
    hint: str = ""


_REMOVE = "remove it on the node and fetch again"
_BROKEN = {
    State.NOT_A_DIRECTORY: "is not a directory",
    State.EMPTY: "is an empty directory, not a checkout",
    State.NO_CHECKOUT: "is a directory, but no git checkout",
    State.NO_COMMIT: "is a git checkout without a commit: a clone was cut off there",
    State.NO_FILES: "is a git checkout whose files were never written: a clone was cut off there",
}


def decide(parcel: Parcel, found: Found, options: DeliveryOptions) -> Decision:
    """Follow DevStack's rules, minus its silence: what can't be used is an error."""
    match found.state:
        case State.ABSENT if options.error_on_clone:
            return Decision(
                Action.FAIL,
                FailureClass.REFUSED_BY_US,
                "there is no checkout, and ERROR_ON_CLONE=True forbids to make one",
                "put a checkout there, or unset ERROR_ON_CLONE",
            )
        case State.ABSENT:
            return Decision(Action.NEW)
        case State.UNREADABLE:
            problem = f"{parcel.directory} can't be read"
            return Decision(Action.FAIL, FailureClass.PERMISSION, problem)
        case State.INTERRUPTED:
            return Decision(Action.RESUME_AND_UPDATE if options.update else Action.RESUME)
        case State.CHECKOUT | State.UNKNOWN:
            return Decision(Action.UPDATE if _wants_update(parcel, found, options) else Action.KEEP)
        case broken:
            problem = f"{parcel.directory} {_BROKEN[broken]}"
            return Decision(Action.FAIL, FailureClass.NOT_FOUND, problem, _REMOVE)


def _wants_update(parcel: Parcel, found: Found, options: DeliveryOptions) -> bool:
    if not options.update:
        return False
    moved = found.commit != parcel.commit
    return moved or (found.state is State.CHECKOUT and not same_url(found.origin, parcel.url))


def same_url(one: str, other: str) -> bool:
    """Say whether two URLs mean one repository, as far as their spelling can tell."""

    def plain(url: str) -> str:
        return parse_url(url).url.rstrip("/").removesuffix(".git")

    return plain(one) == plain(other)


def warnings(parcel: Parcel, found: Found) -> tuple[Suspicion, ...]:
    """Compare a checkout that is left as it is with what was asked for."""
    warned = []
    directory = parcel.directory
    if found.origin and not same_url(found.origin, parcel.url):
        message = (
            f"{directory} was cloned from {parse_url(found.origin).url}, "
            f"not from {parse_url(parcel.url).url}; it is left as it is"
        )
        warned.append(Suspicion("url-mismatch", message, parcel.plugin))
    where = _elsewhere(parcel, found) if found.state is State.CHECKOUT else ""
    if where:
        asked = parcel.commit[:12] if parcel.pinned else parcel.ref
        message = (
            f"{directory} {where}, but {asked!r} was asked for; it is left as it is "
            "(--update brings it there)"
        )
        warned.append(Suspicion("ref-mismatch", message, parcel.plugin))
    if not found.plugin:
        message = f"{directory} has no devstack/ folder: a plugin with nothing to run"
        warned.append(Suspicion("no-devstack-folder", message, parcel.plugin))
    return tuple(warned)


def _elsewhere(parcel: Parcel, found: Found) -> str:
    """Say where a checkout is if that is not what was asked for; '' if it is, or can't be told."""
    at = f"is at {found.commit[:12]}"
    if found.commit == parcel.commit:
        return ""
    if parcel.pinned or kind_of_ref(parcel.ref) is RefKind.COMMIT:
        return at
    if found.branch:
        same = found.branch == parcel.ref.removeprefix("refs/heads/")
        return "" if same else f"is on branch {found.branch!r}"
    if not found.local:
        return f"{at} and knows no such ref"
    return "" if found.local == found.commit else at


_SHOWN = 10


def describe_local_work(lines: list[str]) -> str:
    """Say what an update would destroy; a line's first letter is what kind of thing it names."""
    parts = [f"a {line[1:]} is unfinished" for line in lines if line.startswith("U")]
    for letter, noun, verb, separator in (
        ("F", "file", " changed", ", "),
        ("C", "local commit", "", "; "),
    ):
        items = [line[1:] for line in lines if line.startswith(letter)]
        if items:
            plural = "" if len(items) == 1 else "s"
            more = [] if len(items) <= _SHOWN else ["…"]
            shown = separator.join(items[:_SHOWN] + more)
            parts.append(f"{len(items)} {noun}{plural}{verb}: {shown}")
    return "; ".join(parts or lines)
