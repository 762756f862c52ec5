"""Real git servers for tests and benchmarks, on loopback, each a context manager.

`GitDaemon` is `git daemon`; `SmartHttp` is `git http-backend` behind a small threaded server that
can misbehave; `Proxy` stands before either of them and adds distance, silence or a cut. Nothing is
simulated on git's side.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

__all__ = [
    "GitDaemon",
    "Proxy",
    "Reply",
    "SmartHttp",
    "commit_files",
    "free_port",
    "git",
    "make_repository",
    "needs",
    "rev",
]

_IDENTITY = {
    "GIT_AUTHOR_NAME": "A U Thor",
    "GIT_AUTHOR_EMAIL": "author@example.org",
    "GIT_COMMITTER_NAME": "A U Thor",
    "GIT_COMMITTER_EMAIL": "author@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def needs(program: str) -> None:
    """Skip a test that needs a program which isn't here; in CI its absence is a failure."""
    if shutil.which(program) is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")


def git(*arguments: str | Path, cwd: Path | None = None, stdin: bytes = b"") -> str:
    """Run git and return what it printed; raises if it fails."""
    return subprocess.run(
        ["git", *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        env={**os.environ, **_IDENTITY},
        check=True,
        stdout=subprocess.PIPE,
    ).stdout.decode()


def rev(repository: Path, name: str = "HEAD") -> str:
    """Return the commit of a name in a repository."""
    return git("-C", repository, "rev-parse", "--verify", f"{name}^{{commit}}").strip()


def make_repository(
    path: Path,
    *,
    commits: int = 3,
    branches: Sequence[str] = ("stable/2025.1",),
    tags: Sequence[str] = ("1.0.0",),
    refs: Sequence[str] = ("refs/changes/12/3412/5",),
    payload: int = 0,
    object_format: str = "sha1",
) -> Path:
    """Make a bare repository of a plugin: `commits` on master, the names at its middle.

    `payload` is the size in bytes of incompressible content added by each commit.
    """
    kind = [] if object_format == "sha1" else [f"--object-format={object_format}"]
    git("init", "-q", "--bare", "--initial-branch=master", *kind, path)
    stream = bytearray()
    for number in range(commits):
        stream += b"commit refs/heads/master\nmark :%d\n" % (number + 1)
        stream += b"committer A U Thor <author@example.org> %d +0000\n" % (1700000000 + number)
        stream += b"data 2\nc\n"
        files = {"devstack/plugin.sh": b"echo %d\n" % number, "README": b"%d\n" % number}
        if payload:
            files[f"data/{number}"] = os.urandom(payload)
        for name, content in files.items():
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content)
    middle = max(1, commits // 2)
    for branch in branches:
        stream += b"reset refs/heads/%s\nfrom :%d\n\n" % (branch.encode(), middle)
    for tag in tags:
        stream += b"tag %s\nfrom :%d\n" % (tag.encode(), middle)
        stream += b"tagger A U Thor <author@example.org> 1700000000 +0000\ndata 2\nt\n"
    for ref in refs:
        stream += b"reset %s\nfrom :%d\n\n" % (ref.encode(), middle)
    git("-C", path, "fast-import", "--quiet", stdin=bytes(stream))
    git("-C", path, "config", "daemon.receivepack", "true")
    return path


def commit_files(
    repository: Path, files: Mapping[str, str], *, branch: str = "master", parent: str | None = ""
) -> str:
    """Add a commit on top of a bare repository's branch (or of `parent`; None: an orphan)."""
    stream = f"commit refs/heads/{branch}\ncommitter A U Thor <author@example.org> "
    stream += f"{int(time.time())} +0000\ndata 1\nc\n"
    base = f"refs/heads/{branch}^0" if parent == "" else parent
    if base:
        stream += f"from {base}\n"
    for name, content in files.items():
        stream += f"M 100644 inline {name}\ndata {len(content.encode())}\n{content}\n"
    git("-C", repository, "fast-import", "--quiet", "--force", stdin=stream.encode())
    return rev(repository, f"refs/heads/{branch}")


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class GitDaemon:
    """`git daemon` over every repository below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()

    def url(self, name: str) -> str:
        return f"git://127.0.0.1:{self.port}/{name}"

    def __enter__(self) -> Self:
        needs("git")
        arguments = [
            f"--base-path={self.root}",
            "--export-all",
            "--listen=127.0.0.1",
            "--reuseaddr",
        ]
        self._process = subprocess.Popen(
            ["git", "daemon", *arguments, f"--port={self.port}", "--max-connections=256"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return self
            if self._process.poll() is not None:
                raise RuntimeError("git daemon ended")

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.killpg(self._process.pid, 9)
        self._process.wait()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that git http-backend never gave."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    owner: SmartHttp

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients of ours are killed on purpose."""


class SmartHttp:
    """Smart http(s) over every repository below `root`.

    `answer(method, path)` may give a Reply instead of git's; `cut_after` ends the connection after
    that many bytes of a pack; `garbage` replaces the packs' bytes; `think_s` passes before each
    answer; `hangs_up` behind each one, without having said so. `version` is HTTP's, `protocol` the
    newest one of git that is known. `requests` lists what was asked, `connections` counts.
    """

    def __init__(
        self,
        root: Path,
        *,
        think_s: float = 0.0,
        answer: Callable[[str, str], Reply | None] | None = None,
        cut_after: int = 0,
        garbage: bool = False,
        certificate: tuple[Path, Path] | None = None,
        hangs_up: bool = False,
        version: str = "HTTP/1.1",
        protocol: int = 2,
    ) -> None:
        self.root = root
        self.think_s = think_s
        self.answer = answer
        self.cut_after = cut_after
        self.garbage = garbage
        self.certificate = certificate
        self.hangs_up = hangs_up
        self.version = version
        self.protocol = protocol
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, name: str, *, userinfo: str = "") -> str:
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{userinfo}{'@' if userinfo else ''}127.0.0.1:{self.port}/{name}"

    def __enter__(self) -> Self:
        needs("git")
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.owner.connections += 1
        self.protocol_version = self.server.owner.version

    @property
    def chunked(self) -> bool:
        return self.protocol_version == "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(body)

    def _serve(self, body: bytes) -> None:
        owner = self.server.owner
        owner.requests.append(f"{self.command} {self.path}")
        owner.headers.append(dict(self.headers.items()))
        self.close_connection |= owner.hangs_up
        if owner.think_s:
            time.sleep(owner.think_s)
        reply = owner.answer(self.command, self.path) if owner.answer else None
        if reply is not None:
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)
            return
        self._serve_git(body)

    def _environment(self) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        owner = self.server.owner
        return {
            **os.environ,
            "GIT_PROJECT_ROOT": str(owner.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", "") if owner.protocol else "",
            "REMOTE_ADDR": "127.0.0.1",
        }

    def _serve_git(self, body: bytes) -> None:
        backend = subprocess.Popen(
            ["git", "-c", "safe.directory=*", "http-backend"],
            env={**self._environment(), "CONTENT_LENGTH": str(len(body))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,  # the body is read from the descriptor
        )
        assert backend.stdin is not None
        assert backend.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError), backend.stdin:
                backend.stdin.write(body)
            self._relay_headers(backend.stdout.readline)
            output = backend.stdout.fileno()
            self._relay_body(iter(lambda: os.read(output, 65536), b""))
        finally:
            backend.kill()
            backend.stdout.close()
            backend.wait()

    def _relay_headers(self, readline: Callable[[], bytes]) -> None:
        status, headers = 200, []
        while line := readline().strip():
            name, _, value = line.decode().partition(": ")
            if name == "Status":
                status = int(value.split()[0])
            else:
                headers.append((name, value))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _relay_body(self, chunks: Iterator[bytes]) -> None:
        owner, sent = self.server.owner, 0
        is_pack = self.command == "POST"
        for chunk in chunks:
            data = os.urandom(len(chunk)) if owner.garbage and is_pack else chunk
            if owner.cut_after and is_pack and sent + len(data) > owner.cut_after:
                self.wfile.write(b"%x\r\n%s" % (len(data), data[: owner.cut_after - sent]))
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)
            sent += len(data)
        if self.chunked:
            self.wfile.write(b"0\r\n\r\n")


class Proxy:
    """A TCP proxy before a server: `rtt_s` of distance, and what `fate` decides for a connection.

    `bandwidth` is how many bytes/s all connections together get from the server; 0: no limit.

    `fate(number)` gives the number of bytes from the server after which the connection falls
    silent for ever (`("freeze", n)`), behind some zeros (`("spoil", n)`), or is cut (`("cut", n)`);
    None leaves it alone.
    """

    def __init__(
        self,
        port: int,
        *,
        rtt_s: float = 0.0,
        bandwidth: float = 0.0,
        fate: Callable[[int], tuple[str, int] | None] | None = None,
    ) -> None:
        self.target = port
        self.rtt_s = rtt_s
        self.bandwidth = bandwidth
        self._line_free = 0.0
        self.fate = fate
        self.connections = 0
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        owner = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                owner.relay(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 256
            allow_reuse_address = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: cuts are the point."""

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for_line(self, size: int) -> None:
        """Wait until the common line has carried so many bytes."""
        if not self.bandwidth:
            return
        with self._lock:
            self._line_free = max(self._line_free, time.monotonic()) + size / self.bandwidth
            pause = self._line_free - time.monotonic()
        time.sleep(max(0.0, pause))

    def relay(self, client: socket.socket) -> None:
        """Carry one connection."""
        with self._lock:
            number, self.connections = self.connections, self.connections + 1
        fate = self.fate(number) if self.fate else None
        if self.rtt_s:
            time.sleep(self.rtt_s)  # the handshake
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            up = threading.Thread(
                target=_pump, args=(client, server, self.rtt_s / 2, None), daemon=True
            )
            up.start()
            _pump(server, client, self.rtt_s / 2, fate, self.wait_for_line)
            up.join()


def _pump(
    source: socket.socket,
    sink: socket.socket,
    delay_s: float,
    fate: tuple[str, int] | None,
    wait_for_line: Callable[[int], None] = lambda _size: None,
) -> None:
    """Copy one direction, each piece `delay_s` later, in order, with any number of them under way."""
    line: list[tuple[float, bytes]] = []
    ready = threading.Condition()

    def deliver() -> None:
        sent = 0
        while True:
            with ready:
                while not line:
                    ready.wait()
                due, data = line.pop(0)
            pause = due - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            wait_for_line(len(data))
            if fate is not None and sent + len(data) > fate[1]:
                _strike(fate, source, sink, data[: fate[1] - sent])
                return
            with contextlib.suppress(OSError):
                sink.sendall(data) if data else sink.shutdown(socket.SHUT_WR)
            sent += len(data)
            if not data:
                return

    deliverer = threading.Thread(target=deliver, daemon=True)
    deliverer.start()
    data = b"-"
    while data:
        try:
            data = source.recv(65536)
        except OSError:
            data = b""
        with ready:
            line.append((time.monotonic() + delay_s, data))
            ready.notify()
    deliverer.join()


def _strike(fate: tuple[str, int], source: socket.socket, sink: socket.socket, rest: bytes) -> None:
    with contextlib.suppress(OSError):
        sink.sendall(rest + bytes(50_000 if fate[0] == "spoil" else 0))
        if fate[0] == "cut":
            for end in (source, sink):
                end.shutdown(socket.SHUT_RDWR)
        else:
            while sink.recv(65536, socket.MSG_PEEK):  # until the client has had enough
                time.sleep(0.01)
