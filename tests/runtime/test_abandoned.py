"""A driver that runs no phase and whose controller is gone."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from asyncstack.localconf import read_local_conf
from asyncstack.model import Node
from asyncstack.runtime.messages import Done
from asyncstack.runtime.payload import DriverSettings
from asyncstack.runtime.session import new_nonce, start_driver, stop_driver
from asyncstack.transports.local import LocalTransport
from tests.helpers.lab import Lab, alive

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

_PATIENCE_S = 0.5


async def test_it_ends_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while somebody follows it, though nothing is asked for; one with phases waits for ever."""
    lab = Lab(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(lab.state))
    files = read_local_conf(lab.write_conf("")).node_files(dest="")
    node = LocalTransport(Node("here"))
    for run, patience in (("fetch", _PATIENCE_S), ("stack", 0)):
        settings = DriverSettings(nonce=new_nonce(), patience_s=patience)
        async with start_driver(node, run, settings, files) as session:
            asked = await session.send("inspect")
            while not any(
                isinstance(m, Done) and m.sequence == asked for m in await session.receive()
            ):
                pass
            await anyio.sleep(3 * _PATIENCE_S)
            pid = (lab.state / f"asyncstack/nodes/{run}/here/pid").read_text().split()[0]
            assert alive(pid)
        if patience:
            with anyio.fail_after(20):
                while alive(pid):  # noqa: ASYNC110 – it is nobody's child
                    await anyio.sleep(0.02)
            assert not (lab.state / "asyncstack/nodes/fetch").exists()
    await anyio.sleep(3 * _PATIENCE_S)
    assert alive(pid)
    assert await stop_driver(node, "stack") == []
