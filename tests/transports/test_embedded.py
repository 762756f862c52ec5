"""Embedded nodes meet the demands on a transport that sshd meets, and are there for as long as said."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncstack.errors import AuthenticationError, ConnectError
from asyncstack.model import Node
from asyncstack.transports.embedded import ADDRESS, USER, EmbeddedLab, EmbeddedNode, EmbeddedServer
from asyncstack.transports.ssh import SshAccess, SshOptions, SshTransport
from tests.contracts.transports import DEMANDS

pytestmark = pytest.mark.anyio

# As behind sshd, what ignores the hangup of its connection lives on.
BEHIND_SSH = [name for name in DEMANDS if name != "leaving_ends_the_command"]


def transport(lab: EmbeddedLab, node: EmbeddedNode, key: Path | None = None) -> SshTransport:
    options = SshOptions(
        key_file=str(key or lab.key), known_hosts=str(lab.known_hosts), config_files=()
    )
    return SshTransport(Node(node.name, ADDRESS, USER, node.port), options, SshAccess())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTRACT", str(os.getpid()))
        with EmbeddedServer(tmp_path_factory.mktemp("embedded") / "lab", ("one", "two")) as server:
            server.wait()
            yield server


@pytest.mark.slow
@pytest.mark.parametrize("demand", BEHIND_SSH)
async def test_contract(server: EmbeddedServer, demand: str) -> None:
    """See the demand's own docstring."""
    await DEMANDS[demand](lambda: transport(server.lab, server.lab.nodes[0]))


async def test_each_node_has_a_home_of_its_own(server: EmbeddedServer) -> None:
    """HOME is the node's; nothing tells its programs where this machine's keep their things."""
    for node in server.lab.nodes:
        async with transport(server.lab, node) as there:
            done = await there.run('echo "$HOME:$PWD:${XDG_STATE_HOME-}"')
            assert done.stdout.decode() == f"{node.home}:{node.home}:\n"


async def test_another_key_is_refused(server: EmbeddedServer) -> None:
    """Loopback is everybody's on a machine; only who holds the key may log in."""
    node = server.lab.nodes[0]
    with pytest.raises(AuthenticationError):
        await transport(server.lab, node, server.lab.host_key("one")).connect()


async def test_it_ends_with_its_user_and_can_be_started_again(tmp_path: Path) -> None:
    """Same ports, same keys, same homes: a client can't tell the difference."""
    folder = tmp_path / "lab"
    with EmbeddedServer(folder, ["node"]) as server:
        (node,) = server.wait()
        there = transport(server.lab, node)
        async with there:
            assert (await there.run("touch ~/here")).ok
    with pytest.raises(ConnectError):
        await there.connect()
    with EmbeddedServer(folder) as server:
        assert server.wait() == [node]
        async with there:
            assert (await there.run("cat ~/here")).ok


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """Somebody else may have it by the time that the nodes are started again."""
    folder = tmp_path / "lab"
    with EmbeddedServer(folder, ["node"]) as server:
        (node,) = server.wait()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((ADDRESS, node.port))
        other.listen()
        with (
            EmbeddedServer(folder) as server,
            pytest.raises(ConnectError, match=r"can't be started.*in use"),
        ):
            server.wait()
