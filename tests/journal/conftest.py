"""A state directory of the test's own, and a run in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncstack.journal import RunDirectory


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees, or writes, the runs of whoever runs it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def run() -> RunDirectory:
    return RunDirectory.create()
