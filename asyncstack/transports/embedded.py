"""Nodes that need no sshd: asyncssh's own server on loopback, each with a home of its own.

For the demo, for benchmarks with more nodes than a machine could have daemons for, and for tests.
The server is a process of its own, so that it costs the controller nothing and meets it over a
real connection. What a node runs, though, are processes of this machine and of this user.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from asyncstack.errors import ConnectError

__all__ = ["ADDRESS", "USER", "EmbeddedLab", "EmbeddedNode", "EmbeddedServer"]

ADDRESS = "127.0.0.1"
#: Any name would do: who holds the key is let in.
USER = "demo"

_END_S = 10.0


class EmbeddedNode(Struct, frozen=True):
    """A node: where it listens, and what its logins find as HOME."""

    name: str
    port: int
    home: Path


class EmbeddedLab(Struct, frozen=True):
    """The folder that holds all there is of some embedded nodes: keys, ports and homes."""

    folder: Path

    @property
    def key(self) -> Path:
        """The private key that opens all of them."""
        return self.folder / "keys" / "login"

    @property
    def known_hosts(self) -> Path:
        """Their host keys, in ssh's format."""
        return self.folder / "keys" / "known_hosts"

    def host_key(self, name: str) -> Path:
        """The private key that a node proves itself with."""
        return self.folder / "keys" / name

    def home(self, name: str) -> Path:
        """What its logins find as HOME."""
        return self.folder / name

    @property
    def nodes(self) -> list[EmbeddedNode]:
        """Those that were made here. Raises OSError or msgspec.DecodeError if that can't be read."""
        ports = msgspec.json.decode(self._ports.read_bytes(), type=dict[str, int])
        return [EmbeddedNode(name, port, self.home(name)) for name, port in ports.items()]

    def remember(self, ports: dict[str, int]) -> None:
        """Note where each node is to listen from now on."""
        self._ports.write_bytes(msgspec.json.encode(ports) + b"\n")

    @property
    def _ports(self) -> Path:
        return self.folder / "keys" / "ports.json"


class EmbeddedServer:
    """Serves the nodes in a folder for as long as it is entered; `names` are made first.

    Entering only starts it; `wait` says when the nodes can be reached. It ends when nobody holds
    the other end of its standard input any more: with this process, however that ends, or with the
    last one that was forked off it.
    """

    def __init__(self, folder: Path, names: Sequence[str] = ()) -> None:
        self.lab = EmbeddedLab(folder)
        self._names = names
        self._process: subprocess.Popen[bytes] | None = None
        self._problems = tempfile.TemporaryFile()  # noqa: SIM115 – no pipe, which could fill up

    def start(self) -> None:
        """Start it without ever waiting for its end."""
        module = "asyncstack.transports.embedded_server"
        # This very package, wherever it was found.
        path = (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(self.lab.folder), *self._names],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._problems,
            start_new_session=True,  # a Ctrl-C is the controller's; the nodes must not vanish
        )

    def wait(self) -> list[EmbeddedNode]:
        """Wait until all nodes listen. Raises ConnectError if they can't."""
        assert self._process is not None
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            self._process.wait()
            self._problems.seek(0)
            text = self._problems.read().decode(errors="replace").strip()
            raise ConnectError("embedded nodes", text.splitlines()[-1] if text else "did not start")
        return self.lab.nodes

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with self._problems:
            try:
                process.communicate(timeout=_END_S)  # closes its stdin
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
