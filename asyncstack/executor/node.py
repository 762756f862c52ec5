"""One node of a run: its driver, driven and listened to, one phase at a time."""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import anyio
from anyio import CancelScope
from msgspec import Struct

from asyncstack.errors import AsyncstackError, ConfigError, ConnectionLostError, TransportError
from asyncstack.events import ConnectionChanged, Emit, Event, NodeBooted, StepOutput, Warned
from asyncstack.executor.boot import Boot, BootCollector
from asyncstack.executor.clock import ClockWatch
from asyncstack.executor.tracker import NodeTracker, driver_log
from asyncstack.model import Declaration, Plugin, Status
from asyncstack.plan import PlannedPhase
from asyncstack.runtime import messages as m
from asyncstack.runtime.payload import DriverSettings, unpack_texts
from asyncstack.runtime.session import (
    Session,
    attach_driver,
    forget_driver,
    start_driver,
    stop_driver,
)
from asyncstack.transports.base import Transport

__all__ = ["Inspection", "Launch", "Logs", "NodeRun", "open_node"]

#: Seconds that a node's processes get after TERM; KILL follows.
STOP_GRACE_S = 3.0
#: Seconds after which stopping a node is given up and said to have failed.
STOP_TIMEOUT_S = 15.0
#: Seconds for which a node is called again after its connection was lost.
RECONNECT_S = 600.0


class Logs(Protocol):
    """Where emitted output is queued."""

    async def flush(self) -> None:
        """Write the output that was emitted; called often enough to bound what is in memory."""


class Launch(Struct, frozen=True):
    """What a driver is started with; `files` go to its TOP_DIR, as `build_payload` takes them."""

    settings: DriverSettings
    files: dict[str, tuple[bytes, int]]


class Inspection(Struct, frozen=True):
    """What lies in a node's checkouts: plugin → (state, commit), and what settings declare."""

    checkouts: dict[str, tuple[str, str]]
    declarations: tuple[Declaration, ...]


class Repositories(Struct, frozen=True):
    """What GITREPO, GITDIR and GITBRANCH name; `libraries` is LIBS_FROM_GIT."""

    repositories: tuple[m.Repository, ...]
    libraries: str


class NodeRun:
    """A node whose driver has been started. Made by `open_node`; one task at a time."""

    def __init__(
        self,
        transport: Transport,
        run_id: str,
        session: Session,
        emit: Emit,
        logs: Logs,
        *,
        attached: bool,
    ) -> None:
        self.name = transport.node.name
        self.status = Status.RUNNING
        self.failed = False
        self.boot_result: Boot | None = None
        self._transport = transport
        self._run_id = run_id
        self._session = session
        self._emit = emit
        self._logs = logs
        self._attached = attached
        self._tracker: NodeTracker | None = None
        self._inbox: deque[m.Message | bytes] = deque()
        self._clock = ClockWatch(self.name)
        self._sent = self._received = 0.0
        self.left = False
        self._ended = False
        self._stopped = False

    async def boot(self, localrc_path: Path, on_secret: Callable[[str], None]) -> Boot:
        """Wait until the driver has evaluated localrc.

        Raises LocalConfError, PluginError, UnfitNodeError for what the boot found wrong, and
        ConnectionLostError if the driver was killed.
        """
        started = time.monotonic()
        collector = BootCollector(self.name, localrc_path)
        known = 0
        # What localrc prints waits until it is known what in it is secret.
        held: list[bytes] = []
        try:
            async for item in self._heard():
                if isinstance(item, bytes):
                    held.append(item)
                    continue
                boot = collector.feed(item)
                for secret in collector.secrets[known:]:
                    on_secret(secret)
                known = len(collector.secrets)
                if boot is not None:
                    return self._booted(boot, time.monotonic() - started)
            self._ended = True
            raise collector.ended()
        finally:
            self._print(b"".join(held))

    async def _heard(
        self, patience: Callable[[], float | None] = lambda: None
    ) -> AsyncIterator[m.Message | bytes]:
        """What the driver says, one by one; what isn't taken is there for who asks next.

        The logs are flushed behind each piece that came in. Raises TimeoutError if none comes for
        `patience()` seconds.
        """
        while True:
            while self._inbox:
                item = self._inbox.popleft()
                if not isinstance(item, m.Received):
                    yield item
                elif not self._attached:  # else it may be what another controller's command met
                    time_there = m.number(item.time)
                    self._tell(self._clock.compare(self._sent, time_there, self._received))
            await self._logs.flush()
            with anyio.fail_after(patience()):
                items = await self._session.receive()
            self._received = time.time()
            if not items:
                return
            self._inbox.extend(items)

    def _booted(self, boot: Boot, duration_s: float) -> Boot:
        self.boot_result = boot
        self._emit(
            NodeBooted(
                node=self.name,
                pid=boot.pid,
                directory=boot.directory,
                duration_s=round(duration_s, 6),
                dest=boot.dest,
                facts=boot.facts,
            )
        )
        return boot

    @property
    def booted(self) -> Boot:
        """What the boot reported."""
        assert self.boot_result is not None, "not booted yet"
        return self.boot_result

    async def prepare(self) -> None:
        """Make $DEST and $DATA_DIR, and warn of what would fail later.

        Raises ConfigError if they can't be made.
        """
        for message in await self._ask("prepare"):
            if isinstance(message, m.Warning_):
                self._emit(Warned(code=message.code, message=message.text, node=self.name))
            if isinstance(message, m.Unprepared):
                raise ConfigError(
                    f"{message.path} {message.problem}",
                    hint="set DEST in localrc or give --dest DIR; or make it writable: "
                    f'sudo mkdir -p {message.path} && sudo chown "$USER" {message.path}',
                )

    async def inspect(self) -> Inspection:
        """Look at the checkouts without running anything in them."""
        checkouts: dict[str, tuple[str, str]] = {}
        declarations: list[Declaration] = []
        for message in await self._ask("inspect"):
            match message:
                case m.Checkout(name, state, commit):
                    checkouts[name] = (state, commit)
                case m.Defines(name, path, line):
                    declarations.append(Declaration(name, "", path, line))
                case m.Requires(name, other, path, line):
                    declarations.append(Declaration(name, other, path, line))
                case _:
                    pass
        return Inspection(checkouts, tuple(declarations))

    async def scripts(self) -> dict[str, dict[str, str]]:
        """The text of each plugin's devstack folder, plugin → path → text; nothing is run."""
        checkouts = {p.name: f"{p.directory}/devstack" for p in self.booted.plugins}
        folders = " ".join(shlex.quote(folder.lstrip("/")) for folder in checkouts.values())
        # Those that are not there yet are simply missing in what comes back.
        answer = await self._transport.run(f"tar -C / -cf - {folders} 2>/dev/null")
        texts = unpack_texts(answer.stdout)
        return {
            name: {path: text for path, text in texts.items() if path.startswith(f"{folder}/")}
            for name, folder in checkouts.items()
        }

    async def bare_plugins(self) -> list[Plugin]:
        """The plugins whose checkout has no devstack folder, and so nothing of a plugin."""
        bare = {answer.name for answer in await self._ask("verify") if isinstance(answer, m.Bare)}
        return [plugin for plugin in self.booted.plugins if plugin.name in bare]

    async def repositories(self) -> Repositories:
        """What the plugins may clone later; complete once their settings are loaded."""
        answers = await self._ask("repositories")
        libraries = [a.value for a in answers if isinstance(a, m.Variable)]
        found = tuple(a for a in answers if isinstance(a, m.Repository))
        return Repositories(found, libraries[0] if libraries else "")

    async def _send(self, verb: str, *arguments: str) -> int:
        self._sent = time.time()
        return await self._session.send(verb, *arguments)

    async def _ask(self, verb: str) -> list[m.Message]:
        sequence = await self._send(verb)
        answers: list[m.Message] = []
        async for item in self._heard():
            if isinstance(item, bytes):
                self._print(item)
            elif item == m.Done(sequence):
                return answers
            else:
                answers.append(item)
        self._ended = True
        raise ConnectionLostError(self.name, f"the driver ended while it was asked to {verb}")

    def begin(self, tracker: NodeTracker) -> None:
        """What the phases are to be told to."""
        self._tracker = tracker

    @property
    def declarations(self) -> list[Declaration]:
        """The define_plugin and plugin_requires calls so far."""
        return self._tracker.declarations if self._tracker else []

    async def run_phase(self, phase: PlannedPhase, step_timeout_s: float = 0.0) -> None:
        """Run one phase to its end; afterwards `status` says how the node stands.

        A failed step, a timeout (0: none) or a lost driver is told by status and events. If this
        is cancelled, the open step is `cancelled`; the driver is stopped by `open_node`.
        """
        tracker = self._tracker
        assert tracker is not None
        if self.status is not Status.RUNNING:
            return
        self._tell(tracker.start_phase(phase))
        try:
            status = await self._drive(phase, tracker, step_timeout_s)
        except anyio.get_cancelled_exc_class():
            self.status = Status.CANCELLED
            self._tell(tracker.close(Status.CANCELLED, "interrupted"))
            self._tell(tracker.finish_phase(Status.CANCELLED))
            raise
        self._tell(tracker.finish_phase(status))
        self.failed = self.failed or not status.good
        if self._ended:
            self.status = status
        if status is Status.LOST:
            # Its shell is gone, or we can't hear it; what it has started may still be there.
            await self.stop()

    def skip_phase(self, phase: PlannedPhase, message: str) -> None:
        """Say that the node won't come to this phase."""
        assert self._tracker is not None
        self._tell(self._tracker.skip_phase(phase, message))

    async def _drive(self, phase: PlannedPhase, tracker: NodeTracker, timeout_s: float) -> Status:
        """Have the driver do a phase, and pass on what it says until it has."""
        failures = tracker.failures
        try:
            sequence = await self._send(
                "phase", phase.key.mode, phase.key.phase or "-", *phase.parts
            )
            async for item in self._items(tracker, timeout_s):
                if item == m.Done(sequence):
                    return Status.FAILED if tracker.failures > failures else Status.OK
                self._tell(tracker.feed(item))
                if isinstance(item, m.Exited):
                    self._ended = True
                    return Status.LOST if tracker.lost else Status.FAILED
        except TimeoutError:
            message = f"took longer than {timeout_s:g} s (--step-timeout)"
            self._tell(tracker.close(Status.FAILED, message))
            await self.stop()
            return Status.FAILED
        except ConnectionLostError as error:
            self._tell(tracker.close(Status.LOST, error.problem))
        else:
            self._tell(tracker.close(Status.LOST, "the driver was killed"))
        self._ended = True
        return Status.LOST

    async def _items(
        self, tracker: NodeTracker, timeout_s: float
    ) -> AsyncIterator[m.Message | bytes]:
        """What the driver says, logs flushed behind it; TimeoutError if a step takes too long."""

        def patience() -> float | None:
            return max(0.0, timeout_s - tracker.open_for_s) if timeout_s else None

        while True:
            try:
                async for item in self._heard(patience):
                    yield item
            except TimeoutError:
                if tracker.open_for_s >= timeout_s:
                    raise
            else:
                return

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            self._emit(event)

    def _print(self, data: bytes) -> None:
        if data:
            self._emit(StepOutput(node=self.name, data=data, log=driver_log(self.name)))

    async def quit(self) -> None:
        """Let the driver end by itself, and read what it still has to say."""
        if self._ended:
            return
        self._ended = True
        with suppress(ConnectionLostError):  # nothing is left to be lost
            await self._send("quit")
            await self._drain()

    async def _drain(self) -> None:
        # Up to the supervisor's word and no further: a daemon may go on printing for ever.
        async for item in self._heard():
            if isinstance(item, bytes):
                self._print(item)
            elif isinstance(item, m.Exited):
                break
        await self._logs.flush()

    def leave(self) -> None:
        """Let the driver go on after us: it will be neither stopped nor forgotten."""
        self._ended = self._stopped = self.left = True

    async def stop(self) -> None:
        """End the driver and its whole session, now; what survives is a warning."""
        if self._stopped:
            return
        self._ended = self._stopped = True
        try:
            await self._stop()
        except TransportError as error:
            message = f"could not be stopped: {error.problem}; when it is back: asyncstack stop"
            self._emit(Warned(code="survivor", message=message, node=self.name))

    async def _stop(self) -> None:
        deadline = anyio.current_time() + STOP_TIMEOUT_S
        with CancelScope(shield=True, deadline=deadline) as scope:
            await self._transport.connect()
            for survivor in await stop_driver(self._transport, self._run_id, grace_s=STOP_GRACE_S):
                message = f"could not be ended: process {survivor}"
                self._emit(Warned(code="survivor", message=message, node=self.name))
            await self._logs.flush()
        if scope.cancelled_caught:
            message = f"could not be stopped within {STOP_TIMEOUT_S:g} s; try: asyncstack stop"
            self._emit(Warned(code="survivor", message=message, node=self.name))


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
    name = transport.node.name

    def on_connection(up: bool, reason: str) -> None:
        emit(ConnectionChanged(node=name, up=up, message=reason))

    if driver is None:
        channel = attach_driver(
            transport, run_id, reconnect_s=RECONNECT_S, on_connection=on_connection
        )
    else:
        channel = start_driver(
            transport,
            run_id,
            driver.settings,
            driver.files,
            reconnect_s=RECONNECT_S,
            on_connection=on_connection,
        )
    node: NodeRun | None = None
    try:
        async with channel as session:
            node = NodeRun(transport, run_id, session, emit, logs, attached=driver is None)
            try:
                yield node
                await node.quit()
            except BaseException:
                await node.stop()
                raise
    except BaseException:
        if node is None and driver is not None:
            # Cut off while it was being started; it may have come to that all the same.
            deadline = anyio.current_time() + STOP_TIMEOUT_S
            with CancelScope(shield=True, deadline=deadline), suppress(AsyncstackError):
                await stop_driver(transport, run_id, grace_s=STOP_GRACE_S)
        raise
    finally:
        # Not before the channel is closed: a start that was under way must not miss that it was
        # stopped.
        left = driver is None if node is None else node.left or node.status is Status.LOST
        if not left:
            deadline = anyio.current_time() + STOP_TIMEOUT_S
            with CancelScope(shield=True, deadline=deadline), suppress(AsyncstackError):
                await forget_driver(transport, run_id, all_of_it=not keep_top_dir)
