"""A link to a node that can be delayed, frozen and cut while it is in use."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

__all__ = ["Link"]

_PIECE = 64 * 1024
#: Bytes that wait for a slow end; then its other end is read no further.
_FULL = 1024 * 1024


class _End:
    """One socket of a pair, and what waits to be sent to it: (when it is due, bytes)."""

    def __init__(self, link: socket.socket) -> None:
        self.socket = link
        self.waiting: list[tuple[float, bytes]] = []
        self.waiting_bytes = 0
        self.peer: _End
        self.budget: list[float] = []


class Link:
    """A TCP proxy before a port of this machine.

    `budgets` gives each connection, one after the other, how many bytes it carries, in both
    directions together, before it is cut; those that come after the last one carry all. Frozen, it
    carries nothing and takes no connection, and neither end hears of the other's closing.
    """

    def __init__(
        self, port: int, *, delay_s: float = 0.0, budgets: Iterator[int] | None = None
    ) -> None:
        self.target = port
        self.delay_s = delay_s
        self.connections = 0
        self.cuts = 0
        self.budgets = budgets or iter(())
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._ends: set[_End] = set()
        self._frozen = False
        self._wake, self._woken = socket.socketpair()
        self._orders: list[str] = []
        self._obeyed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._order("end")
        self._thread.join()
        for one in (self._listener, self._wake, self._woken):
            one.close()

    def cut(self) -> None:
        """End every connection that there is now."""
        self._order("cut")

    def freeze(self) -> None:
        """Carry nothing from now on."""
        self._order("freeze")

    def thaw(self) -> None:
        """Carry what has waited, and what comes."""
        self._order("thaw")

    def _order(self, what: str) -> None:
        with self._obeyed:
            self._orders.append(what)
            self._wake.send(b"!")
            self._obeyed.wait_for(lambda: not self._orders, 30)

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            ended = False
            while not ended:
                self._watch(selector)
                for key, _ in selector.select(self._pause()):
                    if key.fileobj is self._woken:
                        ended = self._obey()
                    elif key.fileobj is self._listener:
                        self._accept()
                    elif key.data in self._ends:
                        self._read(key.data)
                self._send()
            self._cut_all()

    def _watch(self, selector: selectors.BaseSelector) -> None:
        wanted: dict[socket.socket, _End | None] = {self._woken: None}
        if not self._frozen:
            wanted[self._listener] = None
            wanted |= {e.socket: e for e in self._ends if e.peer.waiting_bytes < _FULL}
        for key in list(selector.get_map().values()):
            selector.unregister(key.fileobj)
        for link, end in wanted.items():
            if link.fileno() >= 0:
                selector.register(link, selectors.EVENT_READ, end)

    def _pause(self) -> float | None:
        if self._frozen:
            return None
        due = [end.waiting[0][0] for end in self._ends if end.waiting]
        # What an end doesn't take now is offered again soon.
        return max(0.002, min(due) - time.monotonic()) if due else None

    def _obey(self) -> bool:
        self._woken.recv(64)
        ended = False
        with self._obeyed:
            for order in self._orders:
                if order == "cut":
                    self._cut_all()
                self._frozen = {"freeze": True, "thaw": False}.get(order, self._frozen)
                ended = ended or order == "end"
            self._orders.clear()
            self._obeyed.notify_all()
        return ended

    def _accept(self) -> None:
        client = self._listener.accept()[0]
        self.connections += 1
        budget = [float(next(self.budgets, 0)) or float("inf")]
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
        except OSError:
            client.close()
            return
        ends = _End(client), _End(server)
        for end, peer in (ends, ends[::-1]):
            end.socket.setblocking(False)
            end.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.peer, end.budget = peer, budget
            self._ends.add(end)

    def _read(self, end: _End) -> None:
        try:
            data = end.socket.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(end)
            return
        carried, end.budget[0] = data[: int(min(end.budget[0], _PIECE))], end.budget[0] - len(data)
        end.peer.waiting.append((time.monotonic() + self.delay_s, carried))
        end.peer.waiting_bytes += len(carried)
        if end.budget[0] <= 0:
            self._push(end.peer, late=True)
            self.cuts += 1
            self._drop(end)

    def _send(self) -> None:
        if not self._frozen:
            for end in list(self._ends):
                self._push(end)

    def _push(self, end: _End, *, late: bool = False) -> None:
        """Send what is due; `late`: what isn't, as well."""
        while end.waiting and (late or end.waiting[0][0] <= time.monotonic()):
            due, data = end.waiting.pop(0)
            try:
                sent = end.socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._drop(end)
                return
            end.waiting_bytes -= sent
            if sent < len(data):
                end.waiting.insert(0, (due, data[sent:]))
                return

    def _drop(self, end: _End) -> None:
        """Close a pair; what one end has said before it closed still gets to the other."""
        if end in self._ends:
            self._push(end.peer, late=True)
        for one in (end, end.peer):
            self._ends.discard(one)
            with contextlib.suppress(OSError):
                one.socket.shutdown(socket.SHUT_RDWR)
            one.socket.close()

    def _cut_all(self) -> None:
        for end in list(self._ends):
            if end in self._ends:
                self.cuts += 1
                self._drop(end)
