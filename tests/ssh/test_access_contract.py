"""The ssh transport meets every demand on a transport, over a real sshd."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asyncstack.model import Node
from asyncstack.transports.ssh import SshAccess, SshOptions, SshTransport
from tests.contracts.transports import DEMANDS
from tests.helpers.sshd import available, start_sshd

pytestmark = pytest.mark.anyio


@pytest.mark.slow
@pytest.mark.parametrize("demand", DEMANDS)
async def test_contract(demand: str, tmp_path: Path) -> None:
    """See the demand's own docstring."""
    if not available():
        pytest.skip("sshd is not installed")
    daemon = start_sshd(tmp_path / "sshd", f"SetEnv CONTRACT={os.getpid()}")
    options = SshOptions(key_file=str(daemon.key), known_hosts=str(daemon.known_hosts))

    def make() -> SshTransport:
        node = Node("node", "127.0.0.1", daemon.user, daemon.port)
        return SshTransport(node, options, SshAccess())

    try:
        await DEMANDS[demand](make)
    finally:
        daemon.stop()
