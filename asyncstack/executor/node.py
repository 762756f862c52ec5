"""One node of a run: its driver, driven one phase at a time, and stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import anyio
from anyio import CancelScope

from asyncstack.errors import ConnectionLostError, TransportError, UnfitNodeError
from asyncstack.events import Emit, Warned
from asyncstack.executor import questions
from asyncstack.executor.boot import Boot
from asyncstack.executor.booting import hear_boot
from asyncstack.executor.conversation import Conversation, Forget
from asyncstack.executor.tracker import NodeTracker
from asyncstack.model import Declaration, PhaseKey, Plugin, Status
from asyncstack.plan import PlannedPhase
from asyncstack.runtime import messages as m
from asyncstack.runtime.session import stop_driver
from asyncstack.transports.base import Transport

__all__ = ["STOP_GRACE_S", "STOP_TIMEOUT_S", "NodeRun"]

#: Seconds that a node's processes get after TERM; KILL follows.
STOP_GRACE_S = 3.0
#: Seconds after which stopping a node is given up and said to have failed.
STOP_TIMEOUT_S = 15.0


class NodeRun:
    """A node whose driver has been started. Made by `open_node`; one task at a time.

    `forget` is what goes with the driver: see `Conversation.quit`.
    """

    def __init__(
        self,
        transport: Transport,
        run_id: str,
        conversation: Conversation,
        emit: Emit,
        *,
        forget: Forget,
    ) -> None:
        self.name = transport.node.name
        self.status = Status.RUNNING
        self.failed = False
        self.left = False
        #: Phases that it is through with since another run.
        self.left_out: frozenset[PhaseKey] = frozenset()
        #: Plugins that are known to have a devstack folder.
        self.has_contents: frozenset[str] = frozenset()
        self.boot_result: Boot | None = None
        self._transport = transport
        self._run_id = run_id
        self._conversation = conversation
        self._emit = emit
        self._forget: Forget = forget
        self._tracker: NodeTracker | None = None
        self._stopped = False

    async def boot(
        self, localrc_path: Path, on_secret: Callable[[str], None], folder: str = ""
    ) -> Boot:
        """Wait until the driver has evaluated localrc: see `hear_boot`.

        `folder` is what relative paths of repositories begin at; '': they stay as they are.
        """
        booted = await hear_boot(self._conversation, localrc_path, on_secret)
        self.boot_result = booted.seen_from(folder) if folder else booted
        return self.boot_result

    @property
    def booted(self) -> Boot:
        """What the boot reported."""
        assert self.boot_result is not None, "not booted yet"
        return self.boot_result

    async def ask_ahead(self) -> None:
        """Ask what every run asks while the node boots still, so that it costs no time of its own."""
        await self._conversation.ask_ahead(*questions.AHEAD)

    async def prepare(self) -> list[UnfitNodeError]:
        """Make $DEST and $DATA_DIR; what no run can do without, and warnings of what may fail."""
        return await questions.prepare(self._conversation)

    async def standing(self) -> dict[str, m.Standing]:
        """The checkouts that are in order, by plugin; the others want a closer look."""
        return await questions.standing(self._conversation)

    async def inspect(self) -> questions.Inspection:
        """Look at the checkouts without running anything in them."""
        return await questions.inspect(self._conversation)

    async def scripts(self) -> dict[str, dict[str, str]]:
        """The text of each plugin's devstack folder, plugin → path → text; nothing is run."""
        return await questions.scripts(self._transport, self.booted.plugins)

    async def bare_plugins(self) -> list[Plugin]:
        """The plugins whose checkout has no devstack folder, and so nothing of a plugin."""
        if self.has_contents >= {plugin.name for plugin in self.booted.plugins}:
            return []
        return await questions.bare_plugins(self._conversation, self.booted.plugins)

    async def repositories(self) -> questions.Repositories:
        """What the plugins may clone later; complete once their settings are loaded."""
        return await questions.repositories(self._conversation)

    def begin(self, tracker: NodeTracker) -> None:
        """What the phases are to be told to."""
        self._tracker = tracker

    @property
    def declarations(self) -> list[Declaration]:
        """The define_plugin and plugin_requires calls so far."""
        return self._tracker.declarations if self._tracker else []

    async def run_phase(
        self, phase: PlannedPhase, step_timeout_s: float = 0.0, *, last: bool = False
    ) -> None:
        """Run one phase to its end; afterwards `status` says how the node stands.

        `last`: the driver is asked nothing behind it, and may end by itself right away. A failed step, a timeout (0: none) or a lost driver is told by status and events. If this
        is cancelled, the open step is `cancelled`; the driver is stopped by `open_node`.
        """
        tracker, tell = self._tracker, self._conversation.tell
        assert tracker is not None
        if self.status is not Status.RUNNING:
            return
        tell(tracker.start_phase(phase))
        try:
            status = await self._drive(phase, tracker, step_timeout_s, last=last)
        except anyio.get_cancelled_exc_class():
            self.status = Status.CANCELLED
            tell(tracker.close(Status.CANCELLED, "interrupted"))
            tell(tracker.finish_phase(Status.CANCELLED))
            raise
        # First what it printed: who takes a run up asks no more about a node that has finished.
        await self._conversation.flush()
        tell(tracker.finish_phase(status))
        self.failed = self.failed or not status.good
        if self._conversation.ended:
            self.status = status
        if status is Status.LOST:
            # Its shell is gone, or we can't hear it; what it has started may still be there.
            await self.stop()

    def skip_phase(self, phase: PlannedPhase, message: str) -> None:
        """Say that the node won't come to this phase."""
        assert self._tracker is not None
        if phase.key not in self.left_out:
            self._conversation.tell(self._tracker.skip_phase(phase, message))

    async def _drive(
        self, phase: PlannedPhase, tracker: NodeTracker, timeout_s: float, *, last: bool
    ) -> Status:
        """Have the driver do a phase, and pass on what it says until it has."""
        failures = tracker.failures
        conversation = self._conversation
        try:
            sequence = await conversation.send(
                "phase", phase.key.mode, phase.key.phase or "-", *phase.parts
            )
            if last:
                await self._conversation.quit_ahead(self._forget)
            async for item in self._items(tracker, timeout_s):
                if item == m.Done(sequence):
                    return Status.FAILED if tracker.failures > failures else Status.OK
                conversation.tell(tracker.feed(item))
                if isinstance(item, m.Exited):
                    conversation.ended = True
                    return Status.LOST if tracker.lost else Status.FAILED
        except TimeoutError:
            message = f"took longer than {timeout_s:g} s (--step-timeout)"
            conversation.tell(tracker.close(Status.FAILED, message))
            await self.stop()
            return Status.FAILED
        except ConnectionLostError as error:
            conversation.tell(tracker.close(Status.LOST, error.problem))
        else:
            await self._end_orphan(tracker)
            conversation.tell(tracker.close(Status.LOST, "the driver was killed"))
        conversation.ended = True
        return Status.LOST

    async def _end_orphan(self, tracker: NodeTracker) -> None:
        """End a driver whose supervisor was killed, and read what it has said until then."""
        await self.stop()
        with suppress(TransportError):
            await self._conversation.read_again()
            async for item in self._conversation.heard():
                if not isinstance(item, m.Exiting):  # that is how we have ended it
                    self._conversation.tell(tracker.feed(item))

    async def _items(
        self, tracker: NodeTracker, timeout_s: float
    ) -> AsyncIterator[m.Message | bytes]:
        """What the driver says, logs flushed behind it; TimeoutError if a step takes too long."""

        def patience() -> float | None:
            if not timeout_s:
                return None
            return max(0.0, timeout_s - tracker.open_for_s, self._conversation.catching_up_s)

        while True:
            try:
                async for item in self._conversation.heard(patience):
                    yield item
            except TimeoutError:
                if tracker.open_for_s >= timeout_s:
                    raise
            else:
                return

    async def quit(self) -> bool:
        """Let the driver end by itself; True if what it left was removed: see `Conversation`."""
        if not self._conversation.ended:
            with suppress(ConnectionLostError):  # nothing is left to be lost
                return await self._conversation.quit(self._forget)
        return False

    def leave(self) -> None:
        """Let the driver go on after us: it will be neither stopped nor forgotten."""
        self._conversation.ended = self._stopped = self.left = True

    async def stop(self) -> None:
        """End the driver and its whole session, now; what survives is a warning."""
        if self._stopped:
            return
        self._conversation.ended = self._stopped = True
        try:
            await self._stop()
        except TransportError as error:
            self.left = True  # who stops it later has to find it
            self._warn(f"could not be stopped: {error.problem}; when it is back: asyncstack stop")

    async def _stop(self) -> None:
        deadline = anyio.current_time() + STOP_TIMEOUT_S
        with CancelScope(shield=True, deadline=deadline) as scope:
            await self._transport.connect()
            for survivor in await self._stop_driver():
                self.left = True
                self._warn(f"could not be ended: process {survivor}")
            await self._conversation.flush()
        if scope.cancelled_caught:
            self.left = True
            self._warn(f"could not be stopped within {STOP_TIMEOUT_S:g} s; try: asyncstack stop")

    async def _stop_driver(self) -> list[str]:
        try:
            return await stop_driver(self._transport, self._run_id, grace_s=STOP_GRACE_S)
        except UnfitNodeError:
            # It allows one command at a time, and that is what follows the driver.
            await self._conversation.hang_up()
            return await stop_driver(self._transport, self._run_id, grace_s=STOP_GRACE_S)

    def _warn(self, message: str) -> None:
        self._emit(Warned(code="survivor", message=message, node=self.name))
