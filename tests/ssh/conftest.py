"""Nodes behind real sshd processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.sshd import available
from tests.ssh.lab import SshLab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[SshLab]:
    if not available():
        pytest.skip("sshd is not installed")
    lab = SshLab(tmp_path)
    yield lab
    lab.close()
