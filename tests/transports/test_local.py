"""The local transport meets every demand on a transport."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asyncstack.model import Node
from asyncstack.transports.local import LocalTransport
from tests.contracts.transports import DEMANDS

pytestmark = pytest.mark.anyio


def make() -> LocalTransport:
    return LocalTransport(Node("localhost"))


@pytest.mark.slow
@pytest.mark.parametrize("demand", DEMANDS)
async def test_contract(demand: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """See the demand's own docstring."""
    monkeypatch.setenv("CONTRACT", str(os.getpid()))
    await DEMANDS[demand](make)


async def test_each_command_leads_a_session() -> None:
    """So that a command and its children can be ended as a whole, and no Ctrl-C reaches them."""
    async with make() as transport:
        done = await transport.run("read -r stat </proc/self/stat; echo $stat")
        fields = done.stdout.rpartition(b") ")[2].split()
        assert fields[3] != str(os.getsid(0)).encode()


async def test_no_descriptor_is_left_open() -> None:
    """Twenty commands later as many files are open as before."""
    async with make() as transport:
        await transport.run("true")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            await transport.run("true")
        assert len(list(Path("/proc/self/fd").iterdir())) == before
