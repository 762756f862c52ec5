"""`python -m asyncstack.transports.embedded_server FOLDER [NAME …]`: the process behind `embedded`.

Makes the NAMEs' keys and homes, serves all nodes of the folder, says `ready`, and ends when its
standard input does, with everything that its logins have started and not taken out of their
session. As with sshd, what has left that session (a driver) goes on.
"""

from __future__ import annotations

import os
import pwd
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import IO

import anyio
import asyncssh
from anyio import CancelScope

from asyncstack.transports.embedded import ADDRESS, EmbeddedLab, EmbeddedNode

__all__ = ["make_nodes", "serve"]

# Below those that the system hands out by itself, so that a node finds its port free next time.
_PORTS = range(10_000, 32_000)
_CHUNK = 64 * 1024
#: Seconds between SIGHUP and SIGKILL for a command whose channel is gone.
_GRACE_S = 2.0
# A node is another machine: what tells this one's programs where to look isn't known there.
_OURS = ("XDG_", "SSH_", "GIT_", "PYTHON")


def make_nodes(lab: EmbeddedLab, names: Sequence[str]) -> None:
    """Make keys and homes, find a free port for each, and write down what a client has to know."""
    lab.key.parent.mkdir(mode=0o700, parents=True)
    _new_key(lab.key)
    ports: dict[str, int] = {}
    lines = []
    for name in names:
        lab.home(name).mkdir(mode=0o700)
        host_key = _new_key(lab.host_key(name))
        ports[name] = _free_port(set(ports.values()))
        lines.append(f"[{ADDRESS}]:{ports[name]} {host_key}\n")
    lab.known_hosts.write_text("".join(lines))
    lab.remember(ports)


def _new_key(path: Path) -> str:
    """Write a key and its public half; return that."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment="embedded")
    path.touch(mode=0o600)
    key.write_private_key(path)
    key.write_public_key(path.with_name(f"{path.name}.pub"))
    return key.export_public_key().decode().strip()


def _free_port(taken: set[int]) -> int:
    while True:
        port = random.choice(_PORTS)  # noqa: S311 – no secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind((ADDRESS, port))
            if port not in taken:
                return port


async def serve(lab: EmbeddedLab) -> None:
    """Serve all nodes until standard input ends. Raises OSError for a port that is taken."""
    async with AsyncExitStack() as stack:
        for node in lab.nodes:
            commands = _Commands(node)
            server = await asyncssh.listen(
                ADDRESS,
                node.port,
                server_host_keys=[str(lab.host_key(node.name))],
                authorized_client_keys=f"{lab.key}.pub",
                process_factory=commands.run,
                encoding=None,
                allow_scp=False,
                gss_host=None,
            )
            stack.callback(commands.end)
            stack.callback(server.close)
        print("ready", flush=True)  # noqa: T201 – this is what the one who started it waits for
        while True:
            await anyio.wait_readable(sys.stdin)
            if not os.read(sys.stdin.fileno(), _CHUNK):
                return


class _Commands:
    """What the logins of one node run."""

    def __init__(self, node: EmbeddedNode) -> None:
        self._home = node.home
        self._running: set[int] = set()

    def end(self) -> None:
        """End all that is left of them, at once."""
        for pid in self._running:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    async def run(self, channel: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run what a channel asks for, as its session; without a command: a shell."""
        shell = ["/bin/sh", "-c", channel.command] if channel.command else ["/bin/sh"]
        process = subprocess.Popen(  # noqa: ASYNC220 – vfork: a millisecond, no thread
            shell,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=self._home,
            env=self._environment(),
            start_new_session=True,
        )
        self._running.add(process.pid)
        try:
            await _connect(channel, process)
        finally:
            channel.close()
            await _hang_up(process)
            self._running.discard(process.pid)

    def _environment(self) -> dict[str, str]:
        user = pwd.getpwuid(os.getuid()).pw_name
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        return {**kept, "HOME": str(self._home), "USER": user, "LOGNAME": user}


async def _connect(
    channel: asyncssh.SSHServerProcess[bytes], process: subprocess.Popen[bytes]
) -> None:
    """Carry bytes both ways until the process has ended, whoever still holds its pipes."""
    assert process.stdin
    assert process.stdout
    assert process.stderr
    outputs = ((process.stdout, channel.stdout), (process.stderr, channel.stderr))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_end_with_channel, channel, tasks.cancel_scope)
        tasks.start_soon(_feed, channel.stdin, process.stdin)
        async with anyio.create_task_group() as printing:
            for source, target in outputs:
                printing.start_soon(_print, source, target)
            await _ended(process)
            printing.cancel_scope.cancel()
        for source, target in outputs:
            await _copy(source, target)  # what it had printed last
        _exit(channel, process.wait())
        tasks.cancel_scope.cancel()


async def _end_with_channel(channel: asyncssh.SSHServerProcess[bytes], scope: CancelScope) -> None:
    await channel.wait_closed()
    scope.cancel()


async def _feed(source: asyncssh.SSHReader[bytes], target: IO[bytes]) -> None:
    os.set_blocking(target.fileno(), False)
    with suppress(asyncssh.Error, OSError), target:
        while data := await source.read(_CHUNK):
            while data:
                await anyio.wait_writable(target)
                data = data[os.write(target.fileno(), data) :]


async def _print(source: IO[bytes], target: asyncssh.SSHWriter[bytes]) -> None:
    more = True
    while more:
        await anyio.wait_readable(source)
        more = await _copy(source, target)


async def _copy(source: IO[bytes], target: asyncssh.SSHWriter[bytes]) -> bool:
    """Pass on all that there is to be read now; tell whether more may come."""
    os.set_blocking(source.fileno(), False)
    with suppress(BlockingIOError):
        while data := os.read(source.fileno(), _CHUNK):
            with suppress(asyncssh.Error, OSError):  # then `_end_with_channel` ends it all
                target.write(data)
                await target.drain()
        return False
    return True


async def _hang_up(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a command whose channel is gone; nothing to do where nothing is."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        assert pipe
        pipe.close()
    for number in (signal.SIGHUP, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with anyio.move_on_after(_GRACE_S, shield=True):
            await _ended(process)
            process.wait()
            return


async def _ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    descriptor = os.pidfd_open(process.pid)
    try:
        await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)


def _exit(channel: asyncssh.SSHServerProcess[bytes], status: int) -> None:
    with suppress(asyncssh.Error, OSError):
        if status < 0:
            channel.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
        else:
            channel.exit(status)


def main() -> None:
    """Make, serve, end."""
    lab = EmbeddedLab(Path(sys.argv[1]))
    if sys.argv[2:]:
        make_nodes(lab, sys.argv[2:])
    try:
        anyio.run(serve, lab)
    except OSError as error:
        sys.exit(f"the embedded nodes can't be started: {error}")


if __name__ == "__main__":
    main()
