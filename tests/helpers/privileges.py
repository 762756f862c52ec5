"""Running something as if by an ordinary user, and on a file system that is full."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["ordinary_user", "small_disk"]


def ordinary_user() -> list[str]:
    """A wrapper for whom permissions count, even where the tests run as root."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    return ["setpriv", "--bounding-set=-all", "--"]


def small_disk(mount_point: Path, size: str) -> list[str]:
    """A wrapper that sees a file system of `size` at `mount_point`, which nobody else does."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    mount = f'mount -t tmpfs -o size={size} none {mount_point} && exec "$@"'
    wrapper = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine permits no mounts in a user namespace")
    return wrapper
