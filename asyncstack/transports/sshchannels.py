"""Commands in an ssh connection: a channel each, all of it in bytes."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import anyio
import asyncssh
from anyio import EndOfStream
from anyio.abc import ByteReceiveStream, ByteSendStream

from asyncstack.errors import ConnectionLostError, UnfitNodeError

__all__ = ["Sessions", "SshProcess", "open_process"]

_CHUNK = 64 * 1024
_STDERR_LIMIT = 64 * 1024
#: Bytes in flight: the default of 2 MB halves the speed to a node 20 ms away. Up to twice as much
#: is kept of a channel that we can't keep up with.
_WINDOW = 4 * 1024 * 1024
#: Bytes of output that are kept before asyncssh is told to take no more from the channel.
_KEPT = 512 * 1024
#: Seconds to wait for a session where sshd allows fewer at once (its MaxSessions).
_SESSION_WAIT_S = 30.0
#: Sessions without which no run gets far, and the seconds after which one that is refused is
#: taken for forbidden: one that has just ended counts until sshd has noticed.
_NEEDED = 2
_TOO_FEW_WAIT_S = 3.0
#: Seconds that a command gets to end by itself once its stdin has.
_GRACE_S = 0.5
#: Seconds that killing one that didn't may take.
_KILL_S = 5.0

# The command leads a session and a process group of its own: sshd's doing. Without a terminal sshd
# kills nothing when a channel is closed, and refuses to pass on a signal to a login of root's. So
# the process id comes first on stderr, where whoever wants the output doesn't see it. `exec sh`,
# for not everybody's login shell is one, and all of it in a form that is the same word to each of
# them: to csh a quote ends with its line. A mark on both streams, for what comes before it is the
# login shell's: a greeting in somebody's .bashrc.
_WRAPPED = 'exec /bin/sh -c \'eval "$(printf %b "{}")"\''
#: What csh, fish or sh would see more in, within these quotes, than the character that it is.
_ENCODED = {character: f"\\0{ord(character):03o}" for character in "\n\\'\"$`!"}
_MARK = b"\1asyncstack\2"
_ANNOUNCE = "printf '\\001asyncstack\\002'; printf '\\001asyncstack\\002%s\\n' $$ >&2\n"
_PID = re.compile(re.escape(_MARK) + rb"(\d+)\n")

_KILL = """
kill -s TERM -- -{pid} 2>/dev/null || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -s 0 -- -{pid} 2>/dev/null || exit 0
    sleep 0.05
done
kill -s KILL -- -{pid} 2>/dev/null
"""


class Sessions:
    """How many sessions a connection has open, and how many it ever had at once."""

    def __init__(self) -> None:
        self.open = 0
        #: That one more is refused for good.
        self.refused = False
        self._most = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """While there is one more."""
        self.open += 1
        self._most = max(self._most, self.open)
        try:
            yield
        finally:
            self.open -= 1

    @property
    def too_few(self) -> bool:
        """True if one more is what any run needs, and what there never was."""
        return self.open == self._most < _NEEDED


@asynccontextmanager
async def open_process(
    node: str, connection: asyncssh.SSHClientConnection, command: str, sessions: Sessions
) -> AsyncIterator[SshProcess]:
    """Run a POSIX shell command in a connection to a node.

    Raises ConnectionLostError, or UnfitNodeError where sshd allows fewer sessions than a run needs.
    """
    session = await _create(node, connection, _wrapped(_ANNOUNCE + command), sessions)
    with sessions.one_more():
        async with SshProcess(node, connection, session) as process:
            yield process


def _wrapped(script: str) -> str:
    return _WRAPPED.format("".join(_ENCODED.get(character, character) for character in script))


class _Session(asyncssh.SSHClientProcess[bytes]):
    """A channel that keeps the end of stderr, reads it as it comes, and knows the command's end."""

    def __init__(self) -> None:
        super().__init__()
        self.pid = 0
        self.stderr_tail = bytearray()
        self._before: bytearray | None = bytearray()
        self._output: deque[bytes] = deque()
        self._kept = 0
        self._paused = self._finished = False
        self._news = anyio.Event()
        #: Why the connection was lost, if it was.
        self.lost: Exception | None = None
        #: The command has ended, though a child of its may hold the channel open; or it is lost.
        self.ended = anyio.Event()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype != asyncssh.EXTENDED_DATA_STDERR:
            data = data if self._before is None else self._behind_the_mark(data)
            if data:
                self._keep(data)
            return
        # Kept in the channel it would count for its window: a command that prints much there
        # would wait for ever.
        self.stderr_tail += data
        if not self.pid and (found := _PID.search(self.stderr_tail)):
            self.pid = int(found[1])
            del self.stderr_tail[: found.end()]
        del self.stderr_tail[:-_STDERR_LIMIT]

    def _keep(self, data: bytes) -> None:
        self._output.append(data)
        self._kept += len(data)
        if self._kept >= _KEPT and not self._paused:
            self._paused = True
            self._chan.pause_reading()
        self._news.set()

    def _behind_the_mark(self, data: bytes) -> bytes:
        assert self._before is not None
        self._before += data
        _, mark, rest = self._before.partition(_MARK)
        if mark:
            self._before = None
            return bytes(rest)
        del self._before[:-_STDERR_LIMIT]
        return b""

    def _finish(self) -> None:
        if self._before:  # our command was never come to; this may say why
            self._keep(bytes(self._before))
        self._before = None
        self._finished = True
        self._news.set()

    async def receive(self, max_bytes: int) -> bytes:
        """Output, as soon as there is some; empty at its end."""
        while not self._output:
            if self._finished:
                return b""
            self._news = anyio.Event()
            await self._news.wait()
        taken = [self._output.popleft()]
        size = len(taken[0])
        while self._output and size + len(self._output[0]) <= max_bytes:
            taken.append(self._output.popleft())
            size += len(taken[-1])
        if size > max_bytes:
            self._output.appendleft(taken[0][max_bytes:])
            taken, size = [taken[0][:max_bytes]], max_bytes
        self._kept -= size
        if self._paused and not self._output:
            self._take_the_rest()
        return b"".join(taken) if len(taken) > 1 else taken[0]

    def _take_the_rest(self) -> None:
        # All that the channel has kept meanwhile, at once. With each piece that it hands out it
        # opens its whole window again, however much it still keeps: taken piece by piece, it
        # would keep ever more (asyncssh's own readers do just that).
        self._chan.resume_reading()
        if self._kept >= _KEPT:
            self._chan.pause_reading()
        else:
            self._paused = False

    def eof_received(self) -> bool:
        self._finish()
        return super().eof_received()

    def exit_status_received(self, status: int) -> None:
        super().exit_status_received(status)
        self.ended.set()

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        super().exit_signal_received(signal, core_dumped, msg, lang)
        self.ended.set()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost = exc
        self._finish()
        self.ended.set()


async def _create(
    node: str, connection: asyncssh.SSHClientConnection, command: str, sessions: Sessions
) -> _Session:
    began = anyio.current_time()
    while True:
        try:
            return await _open(connection, command)
        except asyncssh.ChannelOpenError as error:
            # Where MaxSessions is low, one of ours has to end first; sshd tells nobody when.
            waited_s = anyio.current_time() - began
            if connection.is_closed() or waited_s > _SESSION_WAIT_S:
                problem = f"sshd opens no session: {_reason(error)}"
                raise ConnectionLostError(node, problem) from error
            if sessions.too_few and (sessions.refused or waited_s > _TOO_FEW_WAIT_S):
                sessions.refused = True
                raise _too_few(node, sessions.open) from error
            await anyio.sleep(0.05)
        except (asyncssh.Error, OSError) as error:
            raise ConnectionLostError(node, _reason(error)) from error


def _too_few(node: str, allowed: int) -> UnfitNodeError:
    return UnfitNodeError(
        node,
        f"its sshd allows {allowed or 'no'} session{'' if allowed else 's'} in a connection; a run "
        f"needs {_NEEDED}: one that follows the driver, one for files and questions",
        hint=f"write MaxSessions {_NEEDED} or more (10 is usual) into its sshd_config, and have sshd "
        "read it again: systemctl reload ssh (or sshd)",
    )


async def _open(connection: asyncssh.SSHClientConnection, command: str) -> _Session:
    options: dict[str, Any] = {"encoding": None, "window": _WINDOW, "request_pty": False}
    _channel, session = await connection.create_session(_Session, command, **options)
    assert isinstance(session, _Session)
    return session


class SshProcess:
    """A command that runs (`base.Process`)."""

    def __init__(
        self, node: str, connection: asyncssh.SSHClientConnection, session: _Session
    ) -> None:
        self._connection = connection
        self._session = session
        self.stdin: ByteSendStream = _Sender(session.stdin)
        self.stdout: ByteReceiveStream = _Receiver(node, connection, session)

    def stderr_tail(self) -> bytes:
        return bytes(self._session.stderr_tail)

    async def wait(self) -> int | None:
        await self._session.ended.wait()
        return self._session.returncode

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ended = self._session.ended
        with anyio.CancelScope(shield=True):
            if not ended.is_set():
                await self.stdin.aclose()
                with anyio.move_on_after(_GRACE_S):
                    await ended.wait()
            self._session.close()
            if not ended.is_set() and self._session.pid > 0:
                await self._kill(self._session.pid)
            with anyio.move_on_after(2.0):
                await self._session.wait_closed()

    async def _kill(self, pid: int) -> None:
        with anyio.move_on_after(_KILL_S):
            while not self._connection.is_closed():
                try:
                    killer = await _open(self._connection, _wrapped(_KILL.format(pid=pid)))
                    await killer.ended.wait()
                except asyncssh.ChannelOpenError:
                    await anyio.sleep(0.05)  # as in _create
                except (asyncssh.Error, OSError):
                    return
                else:
                    killer.close()
                    return


class _Sender(ByteSendStream):
    def __init__(self, writer: asyncssh.SSHWriter[bytes]) -> None:
        self._writer = writer
        self._closed = False

    async def send(self, item: bytes) -> None:
        if self._closed:
            raise anyio.ClosedResourceError
        try:
            self._writer.write(item)
            await self._writer.drain()
        except (BrokenPipeError, ConnectionError, asyncssh.Error) as error:
            raise anyio.BrokenResourceError from error

    async def aclose(self) -> None:
        self._closed = True
        with suppress(OSError, asyncssh.Error):
            self._writer.write_eof()


class _Receiver(ByteReceiveStream):
    def __init__(
        self, node: str, connection: asyncssh.SSHClientConnection, session: _Session
    ) -> None:
        self._node = node
        self._connection = connection
        self._session = session
        self._closed = False

    async def receive(self, max_bytes: int = _CHUNK) -> bytes:
        if self._closed:
            raise anyio.ClosedResourceError
        data = await self._session.receive(max_bytes)
        if data:
            return data
        if self._session.lost is not None:
            raise ConnectionLostError(self._node, _reason(self._session.lost))
        if self._connection.is_closed():
            # A connection that dies may look like an end of file.
            raise ConnectionLostError(self._node, "the connection was lost")
        raise EndOfStream

    async def aclose(self) -> None:
        """The channel is closed as a whole, by the process."""
        self._closed = True


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
