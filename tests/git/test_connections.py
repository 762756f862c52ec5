"""Connecting: whichever of a host's addresses answers, without waiting for those that don't."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from asyncstack.git.connections import connect_to_first, in_turns, open_connection
from tests.helpers.gitserver import free_port

Found = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]


def at(port: int, host: str = "127.0.0.1") -> Found:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, socket.SOCK_STREAM, 0, "", (host, port)


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def silent() -> Iterator[int]:
    """A port whose queue is full: connections to it are neither accepted nor refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            yield port


def peer(addresses: list[Found], timeout_s: float | None = 10) -> int:
    with connect_to_first(addresses, timeout_s) as connected:
        port: int = connected.getpeername()[1]
    return port


def test_the_first_that_answers(port: int, silent: int) -> None:
    """Refused, unreachable or silent: the next one has its chance."""
    for before in ([], [at(free_port())], [at(9, "2001:db8::1")], [at(silent)]):
        assert peer([*before, at(port)], None) == port


def test_a_family_that_isnt_there(port: int) -> None:
    """A name server knows IPv6 addresses also where the kernel has no IPv6."""
    unknown = socket.AddressFamily.AF_UNSPEC, socket.SOCK_STREAM, 0, "", ("", 0)
    assert peer([unknown, at(port)]) == port
    with pytest.raises(OSError, match="not supported"):
        peer([unknown])


def test_none_that_answers(silent: int) -> None:
    """All refuse, there is none, or time is up."""
    with pytest.raises(ConnectionRefusedError):
        peer([at(free_port()), at(free_port())])
    with pytest.raises(OSError, match="Cannot assign"):
        peer([])
    with pytest.raises(TimeoutError):
        peer([at(silent)], 0.1)


def test_nothing_is_left_open(port: int, silent: int) -> None:
    """Attempts that were overtaken are closed (an unclosed socket is an error in these tests)."""
    assert peer([at(silent), at(silent), at(port)]) == port


def test_families_take_turns() -> None:
    """The resolver's favourite first, but not all of it before the other."""
    six, four = [at(n, "::1") for n in range(3)], [at(n) for n in range(2)]
    assert in_turns([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]


def test_a_connection_blocks_again(port: int) -> None:
    """With the time that was asked for."""
    connection = open_connection(f"http://127.0.0.1:{port}/x", 7.5, None)
    assert connection.sock is not None
    assert connection.sock.gettimeout() == 7.5
    connection.close()
