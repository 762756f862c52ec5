"""What everything that claims to be a transport must do: one function a demand.

Each takes a factory of a fresh transport, so that a kit can be run on any implementation.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from anyio import EndOfStream
from anyio.abc import ByteReceiveStream

from asyncstack.transports.base import Transport

__all__ = ["DEMANDS", "Factory"]

Factory = Callable[[], Transport]


async def _read(stream: ByteReceiveStream) -> bytes:
    data = bytearray()
    with suppress(EndOfStream):
        while True:
            data += await stream.receive()
    return bytes(data)


async def _pids(stream: ByteReceiveStream, count: int) -> list[int]:
    text = b""
    while text.count(b"\n") < count:
        text += await stream.receive()
    return [int(pid) for pid in text.split()]


async def _until_gone(pids: list[int]) -> None:
    # A zombie that nobody reaps keeps its number; its pidfd is readable all the same.
    for pid in pids:
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            try:
                with anyio.fail_after(20):
                    await anyio.wait_readable(descriptor)
            finally:
                os.close(descriptor)


async def exit_status(make: Factory) -> None:
    """The status is the command's own; a signal is told by its negative number."""
    async with make() as transport:
        assert (await transport.run("exit 0")).ok
        failed = await transport.run("exit 7")
        assert (failed.exit_status, failed.ok) == (7, False)
        killed = await transport.run("kill -9 $$")
        assert killed.exit_status == -9
        assert not killed.ok


async def both_outputs(make: Factory) -> None:
    """stdout and stderr are told apart."""
    async with make() as transport:
        done = await transport.run("echo out; echo err >&2")
        assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


async def large_output(make: Factory) -> None:
    """16 MB on each of stdout and stderr at once: no deadlock; of stderr the end is kept."""
    async with make() as transport:
        command = "head -c 16000000 /dev/zero >&2 & head -c 16000000 /dev/zero; wait; echo end >&2"
        done = await transport.run(command)
        assert len(done.stdout) == 16_000_000
        assert done.stderr.endswith(b"end\n")
        assert len(done.stderr) <= 64 * 1024


async def binary(make: Factory) -> None:
    """Every byte comes through both ways, NUL and what is no UTF-8 included."""
    data = bytes(range(256)) * 4096
    async with make() as transport:
        assert (await transport.run("cat", stdin=data)).stdout == data


async def both_ways_at_once(make: Factory) -> None:
    """A command that answers as it reads, more than any buffer holds: no deadlock."""
    async with make() as transport:
        with anyio.fail_after(60):
            done = await transport.run("cat; echo end", stdin=bytes(40_000_000))
        assert len(done.stdout) == 40_000_004


async def stdin_need_not_be_read(make: Factory) -> None:
    """A command that ends without reading what it is given is no error."""
    async with make() as transport:
        assert (await transport.run("exit 3", stdin=b"x" * 4_000_000)).exit_status == 3


async def dialogue(make: Factory) -> None:
    """What is sent is answered while the command runs on; closing stdin is its end of file."""
    async with make() as transport, transport.open_process("cat; echo end") as process:
        await process.stdin.send(b"first\n")
        assert await process.stdout.receive() == b"first\n"
        await process.stdin.aclose()
        assert await _read(process.stdout) == b"end\n"
        assert await process.wait() == 0


async def pieces_are_bounded(make: Factory) -> None:
    """No piece of output is larger than 64 KiB."""
    async with make() as transport, transport.open_process("head -c 1000000 /dev/zero") as process:
        sizes = []
        with suppress(EndOfStream):
            while True:
                sizes.append(len(await process.stdout.receive()))
        assert sum(sizes) == 1_000_000
        assert max(sizes) <= 64 * 1024


async def several_at_once(make: Factory) -> None:
    """Commands run at the same time: each waits here for what the other one says."""
    async with (
        make() as transport,
        transport.open_process("echo a; read x; echo got $x") as first,
        transport.open_process("echo b; read x; echo got $x") as second,
    ):
        assert await first.stdout.receive() == b"a\n"
        await first.stdin.send(await second.stdout.receive())
        assert await first.stdout.receive() == b"got b\n"


async def leaving_ends_the_command(make: Factory) -> None:
    """Whoever leaves the context leaves no process behind, children that ignore TERM included."""
    command = "echo $$; sh -c 'trap \"\" TERM HUP; echo $$; sleep 1000; sleep 1000' & wait"
    async with make() as transport:
        async with transport.open_process(command) as process:
            pids = await _pids(process.stdout, 2)
        await _until_gone(pids)


async def cancelling_ends_the_command(make: Factory) -> None:
    """The same when the task that runs it is cancelled."""
    pids: list[int] = []
    async with make() as transport:
        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as scope:
                async with transport.open_process("echo $$; sleep 1000 & echo $!; wait") as process:
                    pids += await _pids(process.stdout, 2)
                    scope.cancel()
                    await process.wait()
            tasks.cancel_scope.cancel()
        assert scope.cancelled_caught
        await _until_gone(pids)


async def a_killed_command_is_noticed(make: Factory) -> None:
    """One that somebody else kills ends its output, and its status is never 0."""
    async with make() as transport, transport.open_process("echo $$; exec sleep 1000") as process:
        (pid,) = await _pids(process.stdout, 1)
        os.kill(pid, 9)
        assert await _read(process.stdout) == b""
        assert await process.wait() == -9


async def waiting_twice(make: Factory) -> None:
    """`wait` may be called again, and says the same."""
    async with make() as transport, transport.open_process("exit 4") as process:
        assert [await process.wait(), await process.wait()] == [4, 4]


async def closing_twice(make: Factory) -> None:
    """Streams may be closed more than once, and before the context ends."""
    async with make() as transport, transport.open_process("cat") as process:
        for _ in range(2):
            await process.stdin.aclose()
            await process.stdout.aclose()


async def use_after_close(make: Factory) -> None:
    """A stream that was closed says that it was we who did it."""
    async with make() as transport, transport.open_process("cat") as process:
        await process.stdin.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await process.stdin.send(b"x")
        await process.stdout.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await process.stdout.receive()


async def daemons_do_not_hold_it(make: Factory) -> None:
    """A grandchild that keeps the pipes open delays neither `wait` nor leaving."""
    async with make() as transport:
        async with transport.open_process("setsid -f sleep 1000; echo done") as process:
            assert await process.stdout.receive() == b"done\n"
            with anyio.fail_after(20):
                assert await process.wait() == 0
            mine = os.getpid()
        for stat in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if stat.read_bytes() == b"sleep\x001000\x00" and int(stat.parent.name) != mine:
                    environ = (stat.parent / "environ").read_bytes()
                    if f"CONTRACT={mine}".encode() in environ:
                        os.kill(int(stat.parent.name), 9)


#: All of them, by name.
DEMANDS: dict[str, Callable[[Factory], Awaitable[None]]] = {
    demand.__name__: demand
    for demand in (
        exit_status,
        both_outputs,
        large_output,
        binary,
        both_ways_at_once,
        stdin_need_not_be_read,
        dialogue,
        pieces_are_bounded,
        several_at_once,
        leaving_ends_the_command,
        cancelling_ends_the_command,
        a_killed_command_is_noticed,
        waiting_twice,
        closing_twice,
        use_after_close,
        daemons_do_not_hold_it,
    )
}
