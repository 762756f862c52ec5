"""What to do with each checkout on this machine, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asyncstack.checkouts import rules
from asyncstack.checkouts.rules import Decision
from asyncstack.checkouts.values import FetchOptions, FetchRequest
from asyncstack.fetcher.inspection import Found
from asyncstack.model import Suspicion

__all__ = ["decide", "in_order", "mismatches"]


def decide(request: FetchRequest, found: Found, options: FetchOptions) -> Decision:
    """Apply the rules."""
    return rules.decide(
        found.state,
        request.directory,
        update=options.updates(request),
        error_on_clone=options.error_on_clone,
        problem=found.problem,
    )


def mismatches(request: FetchRequest, found: Found) -> list[Suspicion]:
    """Compare a checkout that is left as it is with what was asked for."""
    name = _local_name(request.ref, found)
    # An annotated tag that nobody has peeled yet may well be this commit.
    local = found.refs.commit(name) or found.commit if name else ""
    return rules.mismatches(request, found, local)


def _local_name(ref: str, found: Found) -> str:
    """Return what a checkout calls a branch, tag or other ref of its origin; '' if it has none."""
    branch = f"refs/remotes/origin/{ref.removeprefix('refs/heads/')}"
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
