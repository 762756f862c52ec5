"""Starting the drivers of all nodes, or taking them up, and letting go of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from anyio import CancelScope

from asyncstack.errors import AsyncstackError, TransportError
from asyncstack.executor import (
    Launch,
    open_node,
)
from asyncstack.localconf import secret_names
from asyncstack.run.nodes import NodeSpec
from asyncstack.run.stage import Opened, Stage, at_once
from asyncstack.runtime.payload import DriverSettings
from asyncstack.runtime.session import has_driver, new_nonce, release_driver
from asyncstack.settings import RunSettings

__all__ = ["open_nodes", "release_nodes"]


@asynccontextmanager
async def open_nodes(stage: Stage, specs: Sequence[NodeSpec]) -> AsyncIterator[list[Opened]]:
    """Start a driver on every node, all at once; in the order of `specs`.

    When the block ends well the drivers quit, otherwise they are stopped, all at once as well.
    Raises TransportError, or InputErrors for several, if a node can't be had.
    """
    stacks = {spec.name: AsyncExitStack() for spec in specs}
    opened: dict[str, Opened] = {}

    async def open_one(spec: NodeSpec) -> None:
        stack = stacks[spec.name]
        await stack.enter_async_context(spec.transport)
        context = open_node(
            spec.transport,
            stage.run_id,
            None if await _is_there(stage, spec) else _launch(stage.settings, spec),
            stage.emit,
            stage.logs,
            keep_top_dir=stage.keep_top_dir,
        )
        node = await stack.enter_async_context(context)
        opened[spec.name] = Opened(node, spec)
        if spec.remote and not stage.looks_only:
            await node.ask_ahead()

    try:
        try:
            await at_once(open_one, specs)
        except AsyncstackError:
            # A run that can't be taken up now may be later.
            for one in opened.values() if stage.attach else ():
                one.node.leave()
            raise
        yield [opened[spec.name] for spec in specs]
    except BaseException as error:
        failure = error
        with CancelScope(shield=True), suppress(AsyncstackError):
            await at_once(lambda stack: _close(stack, failure), list(stacks.values()))
        raise
    await at_once(_close, list(stacks.values()))


async def _close(stack: AsyncExitStack, error: BaseException | None = None) -> None:
    """Leave what `stack` holds as if `error` had come out of its block."""
    if error is None:
        await stack.aclose()
    else:
        await stack.__aexit__(type(error), error, error.__traceback__)


async def release_nodes(batches: Sequence[Sequence[NodeSpec]], run_id: str) -> None:
    """Let the drivers of a run end that is over; a node that can't be had keeps what it has."""

    async def release(spec: NodeSpec) -> None:
        with suppress(TransportError):
            async with spec.transport as transport:
                await release_driver(transport, run_id)

    await at_once(release, [spec for specs in batches for spec in specs])


async def _is_there(stage: Stage, spec: NodeSpec) -> bool:
    """Tell whether the controller that is gone has started this node's driver."""
    if not stage.attach or spec.name in stage.booted:
        return stage.attach
    return await has_driver(spec.transport, stage.run_id)


def _launch(settings: RunSettings, spec: NodeSpec) -> Launch:
    driver = DriverSettings(
        nonce=new_nonce(),
        errexit=settings.command == "stack",
        trace=settings.trace,
        dest=settings.dest,
        secrets=secret_names(spec.local_conf.localrc or ""),
    )
    return Launch(driver, spec.local_conf.node_files(dest=settings.dest))
