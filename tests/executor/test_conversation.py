"""What is said to a driver and heard from it, with a real one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from asyncstack.events import ClockCompared, Event
from asyncstack.executor.conversation import Conversation
from asyncstack.localconf import read_local_conf
from asyncstack.model import Node
from asyncstack.runtime.payload import DriverSettings
from asyncstack.runtime.session import new_nonce, start_driver
from asyncstack.transports.local import LocalTransport
from tests.helpers.lab import Lab
from tests.helpers.logs import NoLogs

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_clock_is_read_against_the_command_that_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several that are under way at once; the two clocks here are the same one."""
    lab = Lab(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(lab.state))
    files = read_local_conf(lab.write_conf("")).node_files(dest="")
    heard: list[Event] = []
    async with start_driver(
        LocalTransport(Node("here")),
        "clocks",
        DriverSettings(nonce=new_nonce()),
        files,
        reconnect_s=0,
        on_connection=lambda *_: None,
    ) as session:
        conversation = Conversation(session, heard.append, NoLogs(), attached=False)
        first = await conversation.send("inspect")
        journal = lab.state / "asyncstack/nodes/clocks/here/journal"
        while not (journal.exists() and b"\x1fdone\x1f%d\n" % first in journal.read_bytes()):
            os.sched_yield()
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            os.sched_yield()
        await conversation.ask("inspect")
        await conversation.quit("all")
    offsets = [event for event in heard if isinstance(event, ClockCompared)]
    assert offsets
    for event in offsets:
        assert abs(event.offset_s) <= event.uncertainty_s
