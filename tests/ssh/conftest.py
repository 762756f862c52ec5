"""Nodes behind real sshd processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.sshd import MakeSshd, Sshd, available, start_sshd
from tests.ssh.lab import SshLab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[SshLab]:
    if not available():
        pytest.skip("sshd is not installed")
    lab = SshLab(tmp_path)
    yield lab
    lab.close()


@pytest.fixture
def daemon(tmp_path: Path, request: pytest.FixtureRequest) -> MakeSshd:
    """Makes sshd processes, which end with the test."""
    if not available():
        pytest.skip("sshd is not installed")

    def make(name: str, *extra: str) -> Sshd:
        sshd = start_sshd(tmp_path / name, *extra)
        request.addfinalizer(sshd.stop)
        return sshd

    return make
