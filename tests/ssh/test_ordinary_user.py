"""Logins that aren't root's: sshd passes their signals on, and what they may do is less."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.sshd import available
from tests.ssh.lab import SshLab, assert_exactly_once


def account() -> pwd.struct_passwd | None:
    """Somebody else whom this machine lets log in."""
    shells = ("/bin/bash", "/bin/sh")
    others = [one for one in pwd.getpwall() if one.pw_uid >= 1000 and one.pw_shell in shells]
    return others[0] if others else None


@pytest.fixture
def open_lab() -> Iterator[SshLab]:
    """A lab in a folder that others may enter."""
    if not available():
        pytest.skip("sshd is not installed")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    lab = SshLab(folder)
    yield lab
    lab.close()
    shutil.rmtree(folder)


@pytest.mark.skipif(os.getuid() != 0, reason="all tests here are an ordinary user's then")
@pytest.mark.skipif(account() is None, reason="this machine has no account but root's")
def test_an_ordinary_login_runs_and_can_be_ended(open_lab: SshLab) -> None:
    lab, other = open_lab, account()
    assert other is not None
    # Without PAM sshd keeps accounts out that have no password.
    node = lab.node("one", lab.daemon("UsePAM yes"))
    lab.nodes["one"] = node = replace(node, user=other.pw_name)
    node.dest.mkdir()
    for folder in (node.dest, node.sshd.home):
        os.chown(folder, other.pw_uid, other.pw_gid)
    lab.witnesses("plugin", more="[[ $2 != extra || ! -e $DEST/stay ]] || sleep 1000")
    lab.write_inventory()
    outcome = lab.stack()
    if "denied" in (node.sshd.root / "sshd.log").read_text():
        pytest.skip(f"this machine keeps {other.pw_name} out")
    assert outcome.code == 0, outcome
    assert_exactly_once(lab, outcome)
    assert (node.dest / "witness").stat().st_uid == other.pw_uid
    (node.dest / "stay").touch()
    process, directory = lab.start_stack("--from-phase", "extra")
    lab.wait_for(process, {"event": "step-started", "phase": "extra"})
    assert lab.again("stop", directory).code == 0
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert lab.driven() == []
