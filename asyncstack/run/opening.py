"""Starting the drivers of all nodes, or taking them up, and letting go of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from anyio import CancelScope

from asyncstack.errors import AsyncstackError, TransportError, UnfitNodeError
from asyncstack.events import NodeFinished, Warned
from asyncstack.executor import (
    Launch,
    open_node,
)
from asyncstack.localconf import secret_names
from asyncstack.run.nodes import NodeSpec
from asyncstack.run.stage import (
    Opened,
    Stage,
    at_once,
    errors_in,
    nothing_is_left,
    status_after,
    warn,
)
from asyncstack.runtime.payload import DriverSettings
from asyncstack.runtime.session import has_driver, new_nonce, release_driver

__all__ = ["open_nodes", "release_nodes"]

#: Seconds after which a driver that runs no phase gives its controller up: longer than one tries to
#: have a lost connection back.
_ABANDONED_S = 900.0


@asynccontextmanager
async def open_nodes(stage: Stage, specs: Sequence[NodeSpec]) -> AsyncIterator[list[Opened]]:
    """Start a driver on every node, all at once; in the order of `specs`.

    When the block ends well the drivers quit, otherwise they are stopped, all at once as well.
    A node that can't be had is left out if the run may go on without it (--keep-going, --max-fail);
    otherwise raises TransportError, or InputErrors for several.
    """
    stacks = {spec.name: AsyncExitStack() for spec in specs}
    opened: dict[str, Opened] = {}

    async def open_one(spec: NodeSpec) -> None:
        stack = stacks[spec.name]
        try:
            await stack.enter_async_context(spec.transport)
        finally:
            warn(stage.emit, spec.remarks, spec.name)
        context = open_node(
            spec.transport,
            stage.run_id,
            None if await _is_there(stage, spec) else _launch(stage, spec),
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
            await at_once(open_one, [spec for spec in specs if spec.name not in stage.gone])
        except AsyncstackError as error:
            if stage.attach and not nothing_is_left(error):
                # A run that can't be taken up now may be later.
                for one in opened.values():
                    one.node.leave()
            if not _do_without(stage, error, len(specs)):
                raise
        yield [opened[spec.name] for spec in specs if spec.name in opened]
    except BaseException as error:
        failure = error
        with CancelScope(shield=True), suppress(AsyncstackError):
            await at_once(lambda stack: _close(stack, failure), list(stacks.values()))
        raise
    await at_once(_close, list(stacks.values()))


def _do_without(stage: Stage, error: AsyncstackError, total: int) -> bool:
    """Let a run that may go on without the nodes that can't be had do so; False if it may not."""
    errors = [one for one in errors_in(error) if isinstance(one, TransportError)]
    if stage.looks_only or len(errors) < len(errors_in(error)):
        return False
    if stage.attach and (len(errors) == total or not nothing_is_left(error)):
        return False
    if any(isinstance(one, UnfitNodeError) for one in errors):
        return False  # what it lacks is to be mended first
    if not stage.may_go_on(len(errors), total):
        return False
    for one in errors:
        status = stage.gone[one.node] = status_after(one)
        stage.emit(NodeFinished(node=one.node, status=status, message=one.problem))
        message = f"{one.problem}; the run goes on without it"
        message += f" ({one.hint})" if one.hint else ""
        stage.emit(Warned(code="node-left-out", message=message, node=one.node))
    return True


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


def _launch(stage: Stage, spec: NodeSpec) -> Launch:
    settings = stage.settings
    driver = DriverSettings(
        nonce=new_nonce(),
        errexit=settings.command == "stack",
        trace=settings.trace,
        dest=settings.dest,
        patience_s=0 if stage.keep_top_dir else _ABANDONED_S,
        secrets=secret_names(spec.local_conf.localrc or ""),
    )
    return Launch(driver, spec.local_conf.node_files(dest=settings.dest))
