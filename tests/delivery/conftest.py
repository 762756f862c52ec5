"""A repository, its mirror, and nodes that differ in their DEST."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.delivering import Lab
from tests.helpers.gitserver import make_repository


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or writes, the configuration of whoever runs it."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """The repository that everything comes from."""
    return make_repository(tmp_path / "served" / "plugin.git", commits=6)


@pytest.fixture
def lab(tmp_path: Path, origin: Path) -> Lab:
    lab = Lab(tmp_path)
    lab.mirror(origin)
    return lab
