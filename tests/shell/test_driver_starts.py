"""Starts that meet: one driver comes of them, whichever connection was lost over them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from asyncstack.runtime.bootstrap import (
    TAKEN,
    nonce_command,
    start_command,
    stop_command,
)
from asyncstack.runtime.payload import DriverSettings, build_payload

NAMES = ("run", "node")


class Starts:
    """Starts of one run's driver on one node, as connections of their own make them."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "asyncstack/nodes/run/node"
        self.environment = {**os.environ, "XDG_STATE_HOME": str(root), "HOME": str(root)}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.payload = build_payload(DriverSettings(nonce="a-nonce"), {"localrc": (b"", 0o600)})

    def shell(self, command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["sh", "-c", command],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def start(self, token: str, data: bytes) -> subprocess.Popen[bytes]:
        """Start, and send so much of the payload; the rest may come, or never."""
        process = self.shell(start_command(*NAMES, payload_size=len(self.payload), token=token))
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.flush()
        return process

    def wait_until_begun(self) -> None:
        said = self.directory / "starting"
        while not (said.exists() and said.read_bytes()):
            assert self.processes[-1].poll() is None
            os.sched_yield()

    def heard(self, process: subprocess.Popen[bytes]) -> bytes:
        """What it follows, up to the end of the boot."""
        assert process.stdout is not None
        heard = b""
        while b"\x1fdone\x1f0" not in heard:
            line = process.stdout.readline()
            assert line, process.communicate()
            heard += line
        return heard


@pytest.fixture
def starts(tmp_path: Path) -> Iterator[Starts]:
    starts = Starts(tmp_path)
    yield starts
    stopped = starts.shell(stop_command(*NAMES)).wait(60)
    for process in starts.processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert stopped == 0


def test_one_whose_payload_never_comes_makes_room(starts: Starts) -> None:
    """Its connection is frozen, and what it is still to get comes when the other one has begun."""
    frozen = starts.start("token", starts.payload[: len(starts.payload) // 2])
    starts.wait_until_begun()
    second = starts.start("token", starts.payload)
    heard = starts.heard(second)
    assert frozen.wait(30) == -9
    assert heard.count(b"\x1fhello\x1f") == 1
    third = starts.start("token", starts.payload)
    assert starts.heard(third) == heard, "what has begun is followed"


def test_one_of_another_controller_is_left_alone(starts: Starts) -> None:
    first = starts.start("token", starts.payload)
    heard = starts.heard(first)
    second = starts.start("another", b"")
    assert second.wait(30) == TAKEN
    third = starts.start("token", starts.payload)
    assert starts.heard(third) == heard


def test_who_looks_for_a_driver_ends_a_start_that_is_under_way(starts: Starts) -> None:
    """So that what it finds holds."""
    frozen = starts.start("token", starts.payload[: len(starts.payload) // 2])
    starts.wait_until_begun()
    looked = starts.shell(nonce_command(*NAMES))
    assert looked.communicate(timeout=30)[0] == b""
    assert frozen.wait(30) == -9
    starts.heard(starts.start("another", starts.payload))
    assert starts.shell(nonce_command(*NAMES)).communicate(timeout=30)[0] == b"a-nonce\n"
