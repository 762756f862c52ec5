"""What stands on remote nodes already, so that neither they nor any server are asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asyncstack.checkouts.rules import State
from asyncstack.delivery import Found, keep
from asyncstack.events import Emit
from asyncstack.executor import NodeRun
from asyncstack.fetcher import FetchOptions, FetchRequest, FetchResult
from asyncstack.run.remote import Results

__all__ = ["Kept", "keep_standing", "standing", "with_kept"]

#: Per node, and there per plugin, what stays as it is.
Kept = dict[str, dict[str, FetchResult]]


async def standing(node: NodeRun) -> dict[str, Found]:
    """What the driver has found in order and where it was asked to be, by plugin."""
    return {
        name: Found(
            State.CHECKOUT,
            said.commit,
            said.branch,
            said.origin,
            local=said.commit,
            plugin=said.contents,
        )
        for name, said in (await node.standing()).items()
    }


async def keep_standing(
    node: NodeRun, requests: Sequence[FetchRequest], options: FetchOptions, emit: Emit
) -> dict[str, FetchResult]:
    """Settle, by plugin, what the driver has found in order and what is to stay as it is."""
    found = await standing(node)
    kept = {result.plugin: result for result in keep(node.name, requests, found, options, emit)}
    node.has_contents = frozenset(name for name in kept if found[name].plugin)
    return kept


def with_kept(brought: Mapping[str, Sequence[FetchResult]], kept: Kept) -> Results:
    """Both together, as if all of it had been brought; each node's in the order it was kept in."""
    results = {name: list(some) for name, some in brought.items()}
    for name, some in kept.items():
        results[name] = [*some.values(), *results.get(name, ())]
    return results
