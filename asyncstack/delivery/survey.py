"""Ask a node, once, what it has of everything that it is to get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asyncstack.checkouts.rules import State
from asyncstack.checkouts.values import FetchRequest
from asyncstack.delivery.scripts import US, command, line
from asyncstack.delivery.values import target_of
from asyncstack.errors import ConnectionLostError
from asyncstack.transports.base import Transport

__all__ = ["Found", "survey"]


@dataclass(frozen=True, slots=True)
class Found:
    """A checkout as it stands on a node.

    `local` is the commit that it thinks the ref means; `reduced` a shallow or partial clone; `refs`
    are only asked for where an update may need them.
    """

    state: State
    commit: str = ""
    branch: str = ""
    origin: str = ""
    unfinished: str = ""
    local: str = ""
    reduced: bool = False
    plugin: bool = False
    refs: Mapping[str, str] = field(default_factory=dict)


async def survey(
    transport: Transport, requests: Sequence[FetchRequest], *, refs: bool, sweeps: bool = True
) -> list[Found | None]:
    """Return what a node has at each request's place, in order; None if it didn't say.

    `sweeps`: what killed runs have left beside those places is removed on the way.
    Raises ConnectionLostError if the node is gone, or has no shell and git to answer with.
    """
    if not requests:
        return []
    question = b"".join(
        line(number, request.directory, target_of(request), request.ref)
        for number, request in enumerate(requests)
    )
    answer = await transport.run(
        command("survey", refs=int(refs), sweeps=int(sweeps)), stdin=question
    )
    if not answer.ok:
        words = answer.stderr.decode("utf-8", "replace").strip()
        ended = "was lost" if answer.exit_status is None else f"ended with {answer.exit_status}"
        raise ConnectionLostError(
            transport.node.name, f"the look at its checkouts {ended}: {words}"
        )
    return _read(answer.stdout.decode("utf-8", "surrogateescape"), len(requests))


def _read(text: str, count: int) -> list[Found | None]:
    found: list[Found | None] = [None] * count
    refs: dict[str, str] = {}
    for each in text.split("\n"):
        if each.startswith("\t"):
            oid, _, name = each[1:].partition(" ")
            refs[name] = oid
        elif each:
            number, state, *fields = each.split(US)
            refs = {}
            found[int(number)] = _found(State(state), fields, refs)
    return found


def _found(state: State, fields: Sequence[str], refs: dict[str, str]) -> Found:
    commit, branch, origin, unfinished, local, reduced, plugin = fields[:7]
    return Found(
        state,
        commit,
        branch,
        origin.strip('"'),
        unfinished,
        local,
        bool(reduced),
        bool(plugin),
        refs,
    )
