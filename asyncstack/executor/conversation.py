"""What we say to one driver and hear from it: questions, answers, and output in between."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal, Protocol

from asyncstack.errors import ConnectionLostError
from asyncstack.events import Emit, Event, StepOutput, Warned
from asyncstack.executor.clock import ClockWatch
from asyncstack.executor.tracker import driver_log
from asyncstack.runtime import messages as m
from asyncstack.runtime.session import Session

__all__ = ["Conversation", "Forget", "Logs"]

#: What goes when a driver has quit: what only the run needed, or TOP_DIR too.
Forget = Literal["some", "all"]

#: Seconds after which a node's output is written at the latest, so that it can be followed.
FLUSH_S = 0.05
#: Bytes that are written without waiting for that. A hop to a thread for each piece of output would
#: cost more than the piece.
FLUSH_BYTES = 1024 * 1024


class Logs(Protocol):
    """Where emitted output is queued."""

    @property
    def pending_bytes(self) -> int:
        """How much is queued, for all nodes together."""

    async def flush(self) -> None:
        """Write the output that was emitted; called often enough to bound what is in memory."""


class Conversation:
    """One driver's session, read message by message. Not for use by two tasks at once.

    `attached`: another controller has begun it. `ended` is set by whoever hears, or sees to it,
    that the driver is no more.
    """

    def __init__(self, session: Session, emit: Emit, logs: Logs, *, attached: bool) -> None:
        self.node = session.node
        self.ended = False
        self._session = session
        self._emit = emit
        self._logs = logs
        self._attached = attached
        self._inbox: deque[m.Message | bytes] = deque()
        self._ahead: dict[str, int] = {}
        self._answered: dict[int, list[m.Message]] = {}
        self._clock = ClockWatch(self.node)
        self._sent: dict[int, float] = {}
        self._received = 0.0

    def tell(self, events: Sequence[Event]) -> None:
        """Pass on what it amounts to."""
        for event in events:
            self._emit(event)

    def print(self, data: bytes) -> None:
        """Pass on output that belongs to no step."""
        if data:
            self._emit(StepOutput(node=self.node, data=data, log=driver_log(self.node)))

    async def flush(self) -> None:
        """Write the output that was passed on."""
        await self._logs.flush()

    @property
    def catching_up_s(self) -> float:
        """Seconds for which silence tells nothing: see `Session`."""
        return self._session.catching_up_s

    async def send(self, verb: str, *arguments: str) -> int:
        """Have the driver do something; what it is told before that comes first."""
        sent = time.time()
        sequence = await self._session.send(verb, *arguments)
        self._sent[sequence] = sent
        return sequence

    async def heard(
        self, patience: Callable[[], float | None] = lambda: None
    ) -> AsyncIterator[m.Message | bytes]:
        """What the driver says, one by one; what isn't taken is there for who asks next.

        The logs are flushed every FLUSH_S seconds, or when much has gathered. Raises TimeoutError
        if nothing comes for `patience()` seconds.
        """
        unwritten, silent, written = True, True, 0.0
        while True:
            while self._inbox:
                item = self._inbox.popleft()
                if not isinstance(item, m.Received):
                    yield item
                # By its number: several may be under way. Attached, it may have had another sender.
                elif (sent := self._sent.pop(item.sequence, None)) and not self._attached:
                    there = m.number(item.time)
                    self.tell(self._clock.compare(sent, there, self._received))
            due = silent or self._received - written >= FLUSH_S
            if unwritten and (due or self._logs.pending_bytes >= FLUSH_BYTES):
                await self._logs.flush()
                unwritten, written = False, self._received
            limit = patience()
            silent = unwritten and (limit is None or limit > FLUSH_S)
            try:
                items = await self._session.receive(FLUSH_S if silent else limit)
            except TimeoutError:
                if not silent:
                    raise
                continue
            unwritten, silent = True, False
            self._received = time.time()
            if not items:
                return
            self._inbox.extend(items)

    async def read_again(self) -> None:
        """Go on reading behind the end that was met: see `Session`."""
        await self._session.read_again()

    async def hang_up(self) -> None:
        """Hear no more; the driver goes on."""
        await self._session.aclose()

    async def ask_ahead(self, *verbs: str) -> None:
        """Say what will be asked before any phase, so that the answers are under way by then."""
        for verb in verbs:
            self._ahead[verb] = await self.send(verb)

    async def ask(self, verb: str) -> list[m.Message]:
        """What the driver answers. Raises ConnectionLostError if it ends over that."""
        sequence = self._ahead.pop(verb, 0) or await self.send(verb)
        if sequence in self._answered:
            return self._answered.pop(sequence)
        answers: list[m.Message] = []
        async for item in self.heard():
            match item:
                case bytes():
                    self.print(item)
                case m.Done(done) if done == sequence:
                    return answers
                case m.Done(done):
                    # Something that was asked ahead, and is wanted later.
                    self._answered[done], answers = answers, []
                case m.Warning_():
                    # At once: the driver may be waiting for what it warns of.
                    self.tell([Warned(code=item.code, message=item.text, node=self.node)])
                case _:
                    answers.append(item)
        self.ended = True
        raise ConnectionLostError(self.node, f"the driver ended while it was asked to {verb}")

    async def quit_ahead(self, forget: Forget) -> None:
        """Have the driver end by itself when it has done what it was told; see `quit`, which follows."""
        self._ahead["quit"] = await self.send("quit", forget)

    async def quit(self, forget: Forget) -> bool:
        """Let the driver end by itself, and read what it still has to say.

        `forget` is what may go then: `some` (what only the run needed) or `all`, TOP_DIR too; True
        if it is gone. Raises ConnectionLostError.
        """
        self.ended = True
        if not self._ahead.pop("quit", 0):
            await self.send("quit", forget)
        # Up to the supervisor's word and no further: a daemon may go on printing for ever.
        async for item in self.heard():
            if isinstance(item, bytes):
                self.print(item)
            elif isinstance(item, m.Exited):
                break
        await self._logs.flush()
        return await self._session.finish()
