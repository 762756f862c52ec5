"""One real server and one repository to fetch from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.fetching import Bench
from tests.helpers.gitserver import SmartHttp, make_repository


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or writes, the configuration of whoever runs it."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in os.environ:
        if name.startswith(("XDG_", "GIT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(params=["directly", "by git"])
def way(request: pytest.FixtureRequest, tmp_path: Path, nobody: None) -> str:
    """Clone over http in both ways: a header of the user's is git's business."""
    if request.param == "by git":
        config = tmp_path / "home" / ".gitconfig"
        config.write_text("[http]\n\textraHeader = X-Mine: yes\n")
    way: str = request.param
    return way


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The folder of served repositories, holding one: plugin.git."""
    make_repository(tmp_path / "served" / "plugin.git", commits=4)
    return tmp_path / "served"


@pytest.fixture
def server(served: Path) -> Iterator[SmartHttp]:
    with SmartHttp(served) as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "dest", tmp_path / "cache")
