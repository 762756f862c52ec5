"""~/.ssh/config on the way to a node: patterns, jump hosts, and how little they have to bear."""

from __future__ import annotations

import os
import re
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest

from asyncstack.errors import ConnectError, HostKeyError
from asyncstack.model import Node
from asyncstack.transports.ssh import SshAccess, SshOptions, SshTransport
from asyncstack.transports.sshconfig import parse_jumps
from tests.helpers.sshd import MakeSshd, Sshd

pytestmark = pytest.mark.anyio


def configure(*sections: str) -> Path:
    """Write ~/.ssh/config."""
    path = Path.home() / ".ssh" / "config"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text("\n".join(sections) + "\n")
    return path


def host(name: str, sshd: Sshd, *more: str) -> str:
    lines = (
        f"Host {name}",
        "HostName 127.0.0.1",
        f"Port {sshd.port}",
        f"User {sshd.user}",
        f"IdentityFile {sshd.key}",
        *more,
    )
    return "\n  ".join(lines)


def know(*daemons: Sshd) -> Path:
    path = Path.home() / ".ssh" / "known_hosts"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text("".join(one.host_key_line() for one in daemons))
    return path


def logged(sshd: Sshd, pattern: str) -> int:
    return len(re.findall(pattern, (sshd.root / "sshd.log").read_text()))


def children(sshd: Sshd) -> list[int]:
    text = Path(f"/proc/{sshd.process.pid}/task/{sshd.process.pid}/children").read_text()
    return [int(pid) for pid in text.split()]


async def test_two_dozen_nodes_share_one_login_to_their_jump_host(daemon: MakeSshd) -> None:
    """At sshd's defaults, all at once; and after the jump host has dropped everybody, again."""
    jump, inner = daemon("jump"), daemon("inner")
    know(jump, inner)
    configure(host("jump", jump), host("node-*", inner, "ProxyJump jump"))
    access = SshAccess()
    nodes = [Node(f"node-{number}") for number in range(24)]
    transports = [SshTransport(node, SshOptions(), access) for node in nodes]

    async def all_of_them() -> None:
        async with anyio.create_task_group() as tasks:
            for transport in transports:
                tasks.start_soon(transport.connect)
        for transport in transports:
            assert (await transport.run("echo $HOME")).stdout == f"{inner.home}\n".encode()

    async with AsyncExitStack() as stack:
        await all_of_them()
        for transport in transports:
            await stack.enter_async_context(transport)
        assert logged(jump, "Accepted publickey") == 1
        assert logged(inner, "Accepted publickey") == 24
        (session,) = children(jump)
        os.kill(session, signal.SIGKILL)
        for transport in transports:
            assert (await transport.run("cat")).exit_status is None
        await all_of_them()
        assert logged(jump, "Accepted publickey") == 2
    for sshd in (jump, inner):
        assert logged(sshd, "MaxStartups|drop connection|no more sessions") == 0
        with anyio.fail_after(30):
            while children(sshd):  # noqa: ASYNC110 – the kernel tells only the parent
                await anyio.sleep(0.02)


async def test_a_chain_of_jump_hosts(daemon: MakeSshd) -> None:
    """One named in the other's section, one after a comma; each with its own key and port."""
    first, second, third, inner = (daemon(name) for name in ("first", "second", "third", "inner"))
    know(first, second, third, inner)
    configure(
        host("first", first),
        host("second", second, "ProxyJump first"),
        host("third", third, "ProxyJump none"),
        host("inner", inner, "ProxyJump second,third"),
    )
    async with SshTransport(Node("inner"), SshOptions(), SshAccess()) as transport:
        assert (await transport.run("echo $HOME")).stdout == f"{inner.home}\n".encode()
        assert [logged(one, "Accepted publickey") for one in (first, second, third)] == [1, 1, 1]


async def test_a_jump_host_is_verified_as_any_other(daemon: MakeSshd) -> None:
    """Unknown, it is named; with leave to accept new keys both are written down."""
    jump, inner = daemon("jump"), daemon("inner")
    configure(host("jump", jump), host("inner", inner, "ProxyJump jump"))
    nodes = [Node("inner"), Node("twin", "inner")]
    access = SshAccess()
    for node in nodes:
        with pytest.raises(HostKeyError) as raised:
            await SshTransport(node, SshOptions(), access).connect()
        assert raised.value.node == node.name
        assert f"jump host jump: the host key of [127.0.0.1]:{jump.port}" in raised.value.problem
    options = SshOptions(accept_new_host_keys=True)
    async with SshTransport(Node("inner"), options, SshAccess()) as transport:
        assert (await transport.run("true")).ok
    known = (Path.home() / ".ssh/known_hosts").read_text()
    assert known == jump.host_key_line() + inner.host_key_line()


async def test_jump_hosts_that_lead_in_a_circle_are_told(daemon: MakeSshd) -> None:
    """As `Host *` with a ProxyJump does, which also concerns the jump host itself."""
    configure("Host *\n  ProxyJump bastion")
    with pytest.raises(ConnectError, match="circle") as raised:
        await SshTransport(Node("one"), SshOptions(), SshAccess()).connect()
    assert "ProxyJump none" in raised.value.hint


async def test_the_first_section_that_fits_counts(daemon: MakeSshd) -> None:
    """Patterns and their negation, User and Port from different sections; ours win over them."""
    one, two = daemon("one"), daemon("two")
    know(one, two)
    configure(
        f"Host special !special-not\n  Port {two.port}\n  IdentityFile {two.key}",
        f"Host spec*\n  HostName 127.0.0.1\n  Port {one.port}\n  IdentityFile {one.key}",
        f"Host *\n  User {one.user}\n  Port 1",
    )
    for node, home in (
        (Node("special"), two.home),
        (Node("special-not"), one.home),
        (Node("other", "special-not", "", two.port), None),
    ):
        transport = SshTransport(
            node, SshOptions(key_file=str(two.key) if not home else ""), SshAccess()
        )
        async with transport:
            expected = home or two.home
            assert (await transport.run("echo $HOME")).stdout == f"{expected}\n".encode()


async def test_known_hosts_by_alias_and_elsewhere(daemon: MakeSshd, tmp_path: Path) -> None:
    """HostKeyAlias and UserKnownHostsFile: read there, and written there as OpenSSH would."""
    sshd = daemon("one")
    elsewhere = tmp_path / "elsewhere"
    configure(host("one", sshd, "HostKeyAlias lab.example.org", f"UserKnownHostsFile {elsewhere}"))
    kind, key = sshd.host_key_line().split()[1:]
    with pytest.raises(HostKeyError, match=r"lab\.example\.org is unknown"):
        await SshTransport(Node("one"), SshOptions(), SshAccess()).connect()
    options = SshOptions(accept_new_host_keys=True)
    await (transport := SshTransport(Node("one"), options, SshAccess())).connect()
    await transport.__aexit__(None, None, None)
    assert elsewhere.read_text() == f"lab.example.org {kind} {key}\n"
    async with SshTransport(Node("one"), SshOptions(), SshAccess()) as transport:
        assert (await transport.run("true")).ok


async def test_two_sessions_are_enough(daemon: MakeSshd) -> None:
    """MaxSessions 2, a long-lived command, six short ones at once: they wait for their turn."""
    sshd = daemon("one", "MaxSessions 2")
    know(sshd)
    configure(host("one", sshd))
    answers: list[bytes] = []
    async with SshTransport(Node("one"), SshOptions(), SshAccess()) as transport:

        async def short(number: int) -> None:
            answers.append((await transport.run(f"echo {number}")).stdout)

        async with transport.open_process("cat") as process:
            async with anyio.create_task_group() as tasks:
                for number in range(6):
                    tasks.start_soon(short, number)
            await process.stdin.send(b"still here\n")
            assert await process.stdout.receive() == b"still here\n"
    assert sorted(answers) == [f"{number}\n".encode() for number in range(6)]


async def test_a_key_that_hides_its_public_half_too(daemon: MakeSshd, tmp_path: Path) -> None:
    """An old PEM file: its passphrase is asked for once nothing else has helped, and once only."""
    sshd = daemon("one")
    know(sshd)
    key = tmp_path / "pem"
    words = ["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "open sesame", "-f", str(key)]
    await anyio.run_process(["ssh-keygen", "-q", *words])
    public = key.with_name("pem.pub")
    with (sshd.root / "authorized_keys").open("a") as stream:
        stream.write(public.read_text())
    public.unlink()
    prompts: list[str] = []

    async def ask(prompt: str) -> str:
        prompts.append(prompt)
        return "open sesame"

    access = SshAccess(ask)
    node = Node("one", "127.0.0.1", sshd.user, sshd.port)
    for _ in range(2):
        async with SshTransport(node, SshOptions(key_file=str(key)), access) as transport:
            assert (await transport.run("true")).ok
    assert [str(key) in prompt for prompt in prompts] == [True]


@pytest.mark.parametrize(
    ("text", "jumps"),
    [
        ("bastion", [("bastion", "", 0)]),
        ("me@bastion:2222", [("bastion", "me", 2222)]),
        (
            "ssh://me@bastion:22/,[2001:db8::1]:2222",
            [("bastion", "me", 22), ("2001:db8::1", "", 2222)],
        ),
        ("a, b", [("a", "", 0), ("b", "", 0)]),
    ],
)
def test_how_jump_hosts_are_written(text: str, jumps: list[tuple[str, str, int]]) -> None:
    assert [(jump.host, jump.user, jump.port) for jump in parse_jumps(text)] == jumps


@pytest.mark.parametrize("text", ["", "a,,b", "host:port"])
def test_a_jump_host_that_can_not_be_read(text: str) -> None:
    with pytest.raises(ValueError, match="ProxyJump"):
        parse_jumps(text)
