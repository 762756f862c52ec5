"""What a fetch would warn of or fail for, told beforehand: a look at a node that changes nothing.

Neither a server nor the network is asked, so that nothing is known of where a ref is now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asyncstack.checkouts.rules import Action, State
from asyncstack.checkouts.values import FetchOptions, FetchRequest
from asyncstack.checkouts.wording import about_local_work, about_unusable
from asyncstack.delivery.decisions import decide, warnings
from asyncstack.delivery.replies import read_local_work
from asyncstack.delivery.scripts import command, line, refuse
from asyncstack.delivery.survey import Found, survey
from asyncstack.model import Suspicion
from asyncstack.transports.base import Transport

__all__ = ["foresee"]


async def foresee(
    transport: Transport,
    requests: Sequence[FetchRequest],
    standing: Mapping[str, Found],
    options: FetchOptions,
) -> list[Suspicion]:
    """Return what is remarkable about checkouts that are there, in order.

    `standing` is what is known of them already, by plugin; the node is only asked about others, and
    about those that are to be updated. Raises ConnectionLostError if it is gone.
    """
    askable = [request for request in requests if not refuse(request)]
    unknown = [request for request in askable if request.plugin not in standing]
    seen = await survey(transport, unknown, refs=False, sweeps=False)
    found = {**standing, **{r.plugin: one for r, one in zip(unknown, seen, strict=True) if one}}
    there = [request for request in askable if request.plugin in found]
    moving = [r for r in there if decide(r, found[r.plugin], options).action is Action.UPDATE]
    work = await _local_work(transport, moving if not options.force else [], found)
    told: list[Suspicion] = []
    for request in there:
        told += _judge(request, found[request.plugin], options)
        told += filter(None, [work.get(request.plugin)])
    return told


def _judge(request: FetchRequest, found: Found, options: FetchOptions) -> Sequence[Suspicion]:
    """Return what can be said of a checkout without asking git."""
    decision = decide(request, found, options)
    if decision.action is Action.KEEP:
        return warnings(request, found)
    if decision.action is not Action.FAIL or found.state is State.ABSENT:
        return ()
    words = "; ".join(filter(None, (decision.problem, decision.hint)))
    return [about_unusable(words, request.plugin)]


async def _local_work(
    transport: Transport, requests: Sequence[FetchRequest], found: Mapping[str, Found]
) -> dict[str, Suspicion]:
    """Return, by plugin, what an update would destroy; those where that is nothing left out."""
    if not requests:
        return {}
    question = b"".join(
        line(number, request.directory, found[request.plugin].unfinished)
        for number, request in enumerate(requests)
    )
    answer = await transport.run(command("move", "local_work", force=0), stdin=question)
    said = read_local_work(answer.stdout.decode("utf-8", "replace"))
    work = [(requests[number], words) for number, words in said.items() if words]
    return {r.plugin: about_local_work(r.directory, r.plugin, words) for r, words in work}
