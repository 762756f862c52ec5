"""Starting a node's driver, or taking up the one that runs there, and what becomes of it after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import anyio
from anyio import CancelScope
from msgspec import Struct

from asyncstack.errors import AsyncstackError
from asyncstack.events import ConnectionChanged, Emit
from asyncstack.executor.conversation import Conversation, Forget, Logs
from asyncstack.executor.node import STOP_GRACE_S, STOP_TIMEOUT_S, NodeRun
from asyncstack.model import Status
from asyncstack.runtime.payload import DriverSettings
from asyncstack.runtime.session import (
    Session,
    attach_driver,
    forget_driver,
    start_driver,
    stop_driver,
)
from asyncstack.transports.base import Transport

__all__ = ["RECONNECT_S", "Launch", "open_node"]

#: Seconds for which a node is called again after its connection was lost.
RECONNECT_S = 600.0


class Launch(Struct, frozen=True):
    """What a driver is started with; `files` go to its TOP_DIR, as `build_payload` takes them."""

    settings: DriverSettings
    files: dict[str, tuple[bytes, int]]


@asynccontextmanager
async def open_node(
    transport: Transport,
    run_id: str,
    driver: Launch | None,
    emit: Emit,
    logs: Logs,
    *,
    keep_top_dir: bool = True,
) -> AsyncIterator[NodeRun]:
    """Start a node's driver; `driver` None: take up the one that the run has there already.

    When the block ends well the driver quits; otherwise it is stopped. What only the run needed
    is removed from the node, TOP_DIR too unless `keep_top_dir`.
    """
    node: NodeRun | None = None
    forgotten = False
    try:
        async with _channel(transport, run_id, driver, emit) as session:
            conversation = Conversation(session, emit, logs, attached=driver is None)
            forget: Forget = "some" if keep_top_dir else "all"
            node = NodeRun(transport, run_id, conversation, emit, forget=forget)
            try:
                yield node
                forgotten = await node.quit()
            except BaseException:
                await node.stop()
                raise
    except BaseException:
        if node is None and driver is not None:
            # Cut off while it was being started; it may have come to that all the same.
            with _bounded(), suppress(AsyncstackError):
                await stop_driver(transport, run_id, grace_s=STOP_GRACE_S)
        raise
    finally:
        # Not before the channel is closed: a start that was under way must not miss that it was
        # stopped.
        left = driver is None if node is None else node.left or node.status is Status.LOST
        if not left and not forgotten:
            with _bounded(), suppress(AsyncstackError):
                await forget_driver(transport, run_id, all_of_it=not keep_top_dir)


def _channel(
    transport: Transport, run_id: str, driver: Launch | None, emit: Emit
) -> AbstractAsyncContextManager[Session]:
    def on_connection(up: bool, reason: str) -> None:
        emit(ConnectionChanged(node=transport.node.name, up=up, message=reason))

    if driver is None:
        return attach_driver(
            transport, run_id, reconnect_s=RECONNECT_S, on_connection=on_connection
        )
    return start_driver(
        transport,
        run_id,
        driver.settings,
        driver.files,
        reconnect_s=RECONNECT_S,
        on_connection=on_connection,
    )


def _bounded() -> CancelScope:
    return CancelScope(shield=True, deadline=anyio.current_time() + STOP_TIMEOUT_S)
