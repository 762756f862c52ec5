"""What a node gets of each parcel: pure functions of what it has."""

from __future__ import annotations

from asyncstack.checkouts import rules
from asyncstack.checkouts.rules import Action, Decision, State, same_url
from asyncstack.checkouts.values import FetchOptions, FetchRequest
from asyncstack.checkouts.wording import about_contents
from asyncstack.delivery.survey import Found
from asyncstack.delivery.values import target_of
from asyncstack.model import Suspicion

__all__ = ["decide", "warnings"]


def decide(request: FetchRequest, found: Found, options: FetchOptions) -> Decision:
    """Apply the rules; what is where it is to be needs no update."""
    decision = rules.decide(
        found.state,
        request.directory,
        update=options.updates(request),
        error_on_clone=options.error_on_clone,
    )
    if decision.action is Action.UPDATE and _is_there(request, found):
        return Decision(Action.KEEP)
    return decision


def _is_there(request: FetchRequest, found: Found) -> bool:
    ours = found.state is State.UNKNOWN or same_url(found.origin, request.url)
    return found.commit == target_of(request) and ours


def warnings(request: FetchRequest, found: Found) -> tuple[Suspicion, ...]:
    """Say what is remarkable about a checkout that is left as it is."""
    local = found.commit if found.commit == target_of(request) else found.local
    contents = [] if found.plugin else ["no-devstack-folder"]
    return (
        *rules.mismatches(request, found, local),
        *about_contents(request.directory, request.plugin, contents),
    )
