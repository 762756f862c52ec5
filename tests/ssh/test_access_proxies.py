"""ProxyCommand on the way to a node: of ~/.ssh/config, of an inventory, and none at all."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

from asyncstack.errors import ConnectError, HostKeyError, SettingsError
from asyncstack.model import Node, SshArguments
from asyncstack.transports.ssh import SshAccess, SshOptions, SshTransport
from tests.helpers.lab import alive
from tests.helpers.sshd import MakeSshd, Sshd

pytestmark = pytest.mark.anyio

#: A netcat: whoever has python has it. It tells its process on the way.
_RELAY = """
import os, select, socket, sys
open(sys.argv[3], "w").write(str(os.getpid()))
print("a word on the way", file=sys.stderr)
far = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    for ready, _, _ in [select.select([0, far], [], [])]:
        if 0 in ready:
            far.sendall(os.read(0, 65536) or sys.exit())
        if far in ready:
            data = far.recv(65536) or sys.exit()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            print("and another", file=sys.stderr, flush=True)
"""


@pytest.fixture
def relay(tmp_path: Path) -> str:
    """A ProxyCommand, which writes its process id to tmp_path/pid."""
    program = tmp_path / "relay.py"
    program.write_text(_RELAY)
    return f"{sys.executable} {program} %h %p {tmp_path}/pid"


def configure(*lines: str) -> None:
    """Write ~/.ssh/config."""
    path = Path.home() / ".ssh/config"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def know(*daemons: Sshd) -> None:
    path = Path.home() / ".ssh/known_hosts"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text("".join(one.host_key_line() for one in daemons))


def host(name: str, sshd: Sshd, *more: str) -> list[str]:
    lines = ("HostName 127.0.0.1", f"Port {sshd.port}", f"User {sshd.user}")
    return [f"Host {name}", *lines, f"IdentityFile {sshd.key}", *more]


async def home_of(node: Node, options: SshOptions | None = None) -> str:
    async with SshTransport(node, options or SshOptions(), SshAccess()) as transport:
        done = await transport.run("echo $HOME")
        assert done.ok
        return done.stdout.decode().strip()


async def test_the_shell_runs_it_as_it_does_for_ssh(
    daemon: MakeSshd, relay: str, tmp_path: Path
) -> None:
    """With a redirection, a variable and what is printed on stderr; it ends with the connection."""
    sshd = daemon("one")
    know(sshd)
    for command in (relay, f"env X=${{NOTHING:-x}} {relay} 2>/dev/null", f"={relay}"):
        configure(*host("one", sshd, f"ProxyCommand {command}"))
        async with SshTransport(Node("one"), SshOptions(), SshAccess()) as transport:
            done = await transport.run("head -c 3000000 /dev/zero")
            assert (done.exit_status, len(done.stdout)) == (0, 3000000), command
            pid = (tmp_path / "pid").read_text()
            assert alive(pid)
        assert not alive(pid)


async def test_that_of_an_inventory_goes_before_the_configuration(
    daemon: MakeSshd, relay: str, tmp_path: Path
) -> None:
    sshd = daemon("one")
    know(sshd)
    configure(*host("one", sshd, "ProxyJump nowhere.example.org"))
    assert await home_of(Node("one", ssh=SshArguments(proxy_command=relay))) == str(sshd.home)
    assert (tmp_path / "pid").exists()
    (tmp_path / "pid").unlink()
    assert await home_of(Node("one", ssh=SshArguments(proxy_command="none"))) == str(sshd.home)
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize("first", ["ProxyCommand", "ProxyCommand none", "ProxyJump none"])
async def test_the_first_way_that_the_configuration_names_counts(
    daemon: MakeSshd, relay: str, tmp_path: Path, first: str
) -> None:
    """As with ssh: a later ProxyJump doesn't undo a ProxyCommand, nor the other way round."""
    sshd = daemon("one")
    know(sshd)
    second = "ProxyJump nowhere.example.org"
    if first == "ProxyJump none":
        second = "ProxyCommand false"
    line = f"ProxyCommand {relay}" if first == "ProxyCommand" else first
    configure(*host("one", sshd, line), "Host *", second)
    assert await home_of(Node("one")) == str(sshd.home)
    assert (tmp_path / "pid").exists() == (first == "ProxyCommand")


async def test_host_keys_are_looked_at_through_it(daemon: MakeSshd, relay: str) -> None:
    """Nothing else leads there: an unknown key is refused, and let in only if that is allowed."""
    sshd = daemon("one")
    command = relay.replace("%h", "127.0.0.1")
    know()
    node = Node("far", "far.invalid", sshd.user, sshd.port, ssh=SshArguments(proxy_command=command))
    with pytest.raises(HostKeyError, match=r"far\.invalid.* is unknown"):
        await SshTransport(node, SshOptions(key_file=str(sshd.key)), SshAccess()).connect()
    options = SshOptions(key_file=str(sshd.key), accept_new_host_keys=True)
    assert await home_of(node, options) == str(sshd.home)
    assert "[far.invalid]" in (Path.home() / ".ssh/known_hosts").read_text()


async def test_a_jump_host_behind_one(daemon: MakeSshd, relay: str) -> None:
    jump, inner = daemon("jump"), daemon("inner")
    know(jump, inner)
    configure(*host("jump", jump, f"ProxyCommand {relay}"), *host("inner", inner, "ProxyJump jump"))
    assert await home_of(Node("inner")) == str(inner.home)


async def test_what_it_says_is_told(daemon: MakeSshd) -> None:
    """And what it has started ends, though it doesn't want to."""
    command = "trap '' TERM; echo no route to the lab >&2; false"
    node = Node("one", "127.0.0.1", ssh=SshArguments(proxy_command=f"sh -c '{command}'"))
    with pytest.raises(ConnectError, match="no route to the lab"):
        await SshTransport(node, SshOptions(), SshAccess()).connect()


async def test_no_name_is_a_command(tmp_path: Path) -> None:
    """A name comes from elsewhere than the command it goes into."""
    node = Node("one", "$(touch${IFS}x)", ssh=SshArguments(proxy_command="echo %h"))
    with pytest.raises(ConnectError, match="can't be given the name"):
        await SshTransport(node, SshOptions(), SshAccess()).connect()
    node = Node("one", "host", ssh=SshArguments(proxy_command="echo %z"))
    with pytest.raises(ConnectError, match="there is no token %z"):
        await SshTransport(node, SshOptions(), SshAccess()).connect()


async def test_a_silent_one_is_given_up(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    command = f"sh -c 'echo $$ >{marker}; exec sleep 1000'"
    node = Node("one", "127.0.0.1", ssh=SshArguments(proxy_command=command))
    options = SshOptions(connect_timeout_s=0.3, login_timeout_s=0.3)
    with pytest.raises(ConnectError), anyio.fail_after(20):
        await SshTransport(node, options, SshAccess()).connect()
    assert not alive(marker.read_text().strip())


@pytest.mark.parametrize("name", ["key-%k", "key-%n", "%d/key-%h"])
async def test_tokens_of_an_identity_file(daemon: MakeSshd, tmp_path: Path, name: str) -> None:
    """%k, the HostKeyAlias or else the name, included; those of a RemoteCommand don't matter."""
    sshd = daemon("one")
    know(sshd)
    lines = host("one", sshd, "RemoteCommand tmux %T")
    folder = Path.home()
    values = {"key-%k": "key-one", "key-%n": "key-one", "%d/key-%h": "key-127.0.0.1"}
    (folder / values[name]).write_bytes(sshd.key.read_bytes())
    (folder / values[name]).chmod(0o600)
    written = name if name.startswith("%d") else f"{folder}/{name}"
    configure(*(line for line in lines if "Identity" not in line), f"IdentityFile {written}")
    assert await home_of(Node("one")) == str(sshd.home)


@pytest.mark.parametrize(
    "lines",
    [
        ["ConnectTimeout 1m30s", "ServerAliveInterval 1M"],
        ["ConnectTimeout none"],
        ["CertificateFile ~/.ssh/nothing-cert.pub"],
        ['Match exec "test %n = one -a %p = $PORT"', "IdentityFile $KEY"],
        ["Match originalhost one !exec 'test %h = elsewhere'", "IdentityFile $KEY"],
    ],
)
async def test_what_ssh_takes_is_no_error(daemon: MakeSshd, lines: list[str]) -> None:
    """Times with units, a certificate that isn't there, `=` and tokens in a command of Match."""
    sshd = daemon("one")
    know(sshd)
    before = host("one", sshd)
    values = {"$KEY": str(sshd.key), "$PORT": str(sshd.port)}
    if any("$KEY" in line for line in lines):
        before = [line for line in before if "Identity" not in line]
    for name, value in values.items():
        lines = [line.replace(name, value) for line in lines]
    configure(*before, *lines)
    assert await home_of(Node("one")) == str(sshd.home)


async def test_a_time_that_is_none(daemon: MakeSshd) -> None:
    configure("ConnectTimeout soon")
    with pytest.raises(SettingsError, match="Invalid ConnectTimeout time: soon"):
        await SshTransport(Node("one"), SshOptions(), SshAccess()).connect()
