"""The slow way to a lab, as far as a test needs it: it counts what goes to the nodes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.helpers.gitserver import Proxy

__all__ = ["Uplink"]


class Uplink(Proxy):
    """A proxy before an sshd; `sent` counts the bytes towards it."""

    sent = 0

    def relay(self, client: socket.socket) -> None:
        """Carry one connection."""
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            for size in _copied(client, server):
                self.sent += size
            back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    for _ in _copied(source, sink):
        pass


def _copied(source: socket.socket, sink: socket.socket) -> Iterator[int]:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
            yield len(data)
        sink.shutdown(socket.SHUT_WR)
