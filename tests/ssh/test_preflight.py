"""What would make a run fail later is said before it has begun: of every node, all of it at once."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from asyncstack.events import FetchStarted, PhaseStarted, Warned
from tests.helpers.lab import Outcome
from tests.helpers.sshd import Sshd
from tests.ssh.lab import NodeOfLab, SshLab
from tests.ssh.test_copies import copied
from tests.ssh.test_ordinary_user import account, open_lab

__all__ = ["open_lab"]

as_root = pytest.mark.skipif(os.getuid() != 0, reason="needs a mount namespace of root's")


def programs(daemon: Sshd, *, without: Sequence[str] = ()) -> Path:
    """A folder with all programs but some, which is the whole PATH of a daemon's logins."""
    folder = daemon.root / "programs"
    folder.mkdir()
    for place in ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            link = folder / program.name
            if program.name not in without and not link.is_symlink():
                link.symlink_to(program)
    return folder


def limited(lab: SshLab, name: str, *, without: Sequence[str] = (), **scripts: str) -> NodeOfLab:
    """A node that lacks some programs, and has scripts of these names instead of others."""
    daemon = lab.daemon(f"SetEnv PATH={lab.root}/sshd-{len(lab.daemons)}/programs")
    folder = programs(daemon, without=[*without, *scripts])
    for program, text in scripts.items():
        (folder / program).write_text(f"#!/bin/sh\n{text}\n")
        (folder / program).chmod(0o755)
    return lab.node(name, daemon)


def assert_nothing_was_begun(lab: SshLab, outcome: Outcome) -> None:
    assert outcome.code == 2, outcome
    assert outcome.no_traceback
    assert outcome.of(FetchStarted) == []
    assert outcome.of(PhaseStarted) == []
    assert all(node.witness() == [] for node in lab.nodes.values())
    assert lab.driven() == []


def warnings(outcome: Outcome) -> dict[str, dict[str, str]]:
    """node → code → text."""
    told: dict[str, dict[str, str]] = {}
    for event in outcome.of(Warned):
        told.setdefault(event.node, {})[event.code] = event.message
    return told


def test_all_that_all_nodes_lack_is_told_at_once(lab: SshLab) -> None:
    """Programs that are missing, a git and a bash that are old, a $DEST that can't be made."""
    lab.node("well")
    limited(lab, "bare", without=["git", "flock"])
    real = shutil.which("bash")
    limited(lab, "ancient", bash=f'exec {real} --init-file /dev/null "$@"')
    old = limited(lab, "old", git="echo git version 2.17.1")
    lab.witnesses("plugin")
    lab.write_inventory()
    # Whose DEST lies in a file, not even root can make.
    (lab.root / "file").touch()
    conf = lab.root / "old.conf"
    conf.write_text(conf.read_text().replace(f"DEST={old.dest}\n", f"DEST={lab.root}/file/dest\n"))
    ancient = lab.nodes["ancient"].sshd.root / "programs/bash"
    # A variable of bash's can't be set from outside; its driver can be given another one to read.
    ancient.write_text(
        f"#!{real}\n"
        '[[ $* == *./driver.bash* ]] && sed -i "s/BASH_VERSI/OLD_VERSI/g" driver.bash\n'
        "export OLD_VERSION=4.4.20 OLD_VERSINFO=4\n"
        f'exec {real} "$@"\n'
    )
    outcome = lab.stack()
    assert_nothing_was_begun(lab, outcome)
    text = outcome.stderr
    assert "node well" not in text
    assert "node bare: git is missing, flock is missing" in text
    assert "node ancient: bash 4.4.20 is too old" in text
    assert f"node old: {lab.root}/file/dest can't be created" in text
    assert "node old: git 2.17.1 is too old" in text
    assert "--dest DIR" in text


@as_root
@pytest.mark.skipif(account() is None, reason="this machine has no account but root's")
def test_what_an_ordinary_login_lacks(open_lab: SshLab) -> None:
    """A $DEST of somebody else's, and sudo: the one is an error, the other a warning."""
    lab, other = open_lab, account()
    assert other is not None
    for name in ("mine", "theirs"):
        node = lab.node(name, lab.daemon("UsePAM yes"))
        lab.nodes[name] = replace(node, user=other.pw_name)
        node.dest.mkdir(mode=0o755)
        os.chown(node.sshd.home, other.pw_uid, other.pw_gid)
    os.chown(lab.nodes["mine"].dest, other.pw_uid, other.pw_gid)
    (lab.nodes["theirs"].dest / "data").mkdir()
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack()
    log = (lab.nodes["mine"].sshd.root / "sshd.log").read_text()
    if "denied" in log:
        pytest.skip(f"this machine keeps {other.pw_name} out")
    assert_nothing_was_begun(lab, outcome)
    dest = lab.nodes["theirs"].dest
    assert f"node theirs: {dest} is not writable by {other.pw_name}" in outcome.stderr
    assert "node mine" not in outcome.stderr.replace("node mine:", "")
    if "sudo-refused" in warnings(outcome).get("mine", {}):
        assert other.pw_name in warnings(outcome)["mine"]["sudo-refused"]


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock as dpkg does."""
    with path.open("w") as stream:
        fcntl.lockf(stream, fcntl.LOCK_EX)
        yield


def packaging(lab: SshLab, name: str) -> tuple[NodeOfLab, Path]:
    """A node with a /var/lib/dpkg of its own, and the lock that lies there."""
    daemon = lab.daemon()
    folder = daemon.root / "dpkg"
    folder.mkdir()
    shutil.copy("/var/lib/dpkg/status", folder)
    daemon.stop()
    mount = f'mount --bind {folder} /var/lib/dpkg && exec "$@"'
    daemon.start_again(["unshare", "--mount", "sh", "-c", mount, "sh"])
    return lab.node(name, daemon), folder / "lock-frontend"


@as_root
@pytest.mark.skipif(not Path("/var/lib/dpkg/status").exists(), reason="needs a dpkg")
def test_a_package_manager_of_somebody_elses_is_waited_for(lab: SshLab) -> None:
    """It is said who it is while we wait; one that goes on for too long is said once more."""
    _, lock = packaging(lab, "soon")
    _, other = packaging(lab, "never")
    lab.witnesses("plugin")
    lab.write_inventory(localrc={"never": {"ASYNCSTACK_LOCK_TIMEOUT": "1"}})
    with held(other):
        with held(lock):
            process, directory = lab.start_stack()
            lab.wait_for(process, {"code": "packages-locked", "node": "soon"})
            assert not (directory / "logs" / "soon").exists()
        output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, (output, errors)
    told = warnings(Outcome(0, b"", b"", directory))
    who = rf"/var/lib/dpkg/lock-frontend is held by \S+ \(process {os.getpid()}\)"
    assert re.match(rf"{who}; waiting for it, for 300 s at most", told["soon"]["packages-locked"])
    assert "packages-still-locked" not in told["soon"]
    assert re.match(rf"{who}, still after 1 s", told["never"]["packages-still-locked"])


@as_root
def test_another_run_and_a_full_disk_are_warned_of(lab: SshLab) -> None:
    """Both of one node, beside one that has nothing to warn of."""
    full, well = lab.node("full"), lab.node("well")
    full.sshd.stop()
    full.dest.mkdir()
    mount = f'mount -t tmpfs -o size=20m none {full.dest} && exec "$@"'
    full.sshd.start_again(["unshare", "--mount", "sh", "-c", mount, "sh"])
    other = full.state / "20260101-000000-abcd" / "full"
    other.mkdir(parents=True)
    with (other / "alive").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        lab.witnesses("plugin")
        lab.write_inventory()
        outcome = lab.stack()
    assert outcome.code == 0, outcome
    told = warnings(outcome)
    assert "20260101-000000-abcd is still alive" in told["full"]["run-alive"]
    assert str(full.dest) in told["full"]["disk-low"]
    assert "run-alive" not in told.get("well", {})
    assert well.witness()


@pytest.mark.parametrize("source", ["controller", "node"])
def test_an_sshd_that_allows_one_session_is_told(lab: SshLab, source: str) -> None:
    """In seconds, not after all the time that a lost connection gets; and nothing goes on there."""
    lab.node("narrow", lab.daemon("MaxSessions 1"))
    lab.node("well")
    lab.witnesses("plugin")
    lab.write_inventory()
    began = time.monotonic()
    outcome = lab.stack("--fetch-from", source)
    assert time.monotonic() - began < 30
    assert outcome.code == 2, outcome
    assert outcome.of(PhaseStarted) == []
    assert "node narrow: its sshd allows 1 session in a connection; a run needs 2" in outcome.stderr
    assert "MaxSessions 2 or more" in outcome.stderr
    assert "could not be stopped" not in outcome.stderr
    assert lab.driven() == []


def test_an_sshd_that_allows_one_session_is_told_before_files_are_to_be_copied(
    lab: SshLab,
) -> None:
    """Where nothing else needs another one: the checkouts are there already."""
    narrow = lab.node("narrow")
    well = lab.node("one")
    (well.sshd.home / "conf").write_text("here\n")
    lab.witnesses("plugin")
    copied(lab, "~/conf")
    assert lab.stack("--until-phase", "source").code == 0
    narrow.sshd.stop()
    with (narrow.sshd.root / "sshd_config").open("a") as config:
        config.write("MaxSessions 1\n")
    narrow.sshd.start_again()
    outcome = lab.stack("--from-phase", "pre-install")
    assert outcome.code == 2, outcome
    assert outcome.of(PhaseStarted) == []
    assert "node narrow: its sshd allows 1 session in a connection; a run needs 2" in outcome.stderr
    assert lab.driven() == []
    lab.write_inventory()  # which has nothing copied
    assert lab.stack("--from-phase", "pre-install").code == 0


def test_an_sshd_that_allows_no_session_is_told(lab: SshLab) -> None:
    lab.node("closed", lab.daemon("MaxSessions 0"))
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack()
    assert_nothing_was_begun(lab, outcome)
    assert "node closed: its sshd allows no sessions in a connection" in outcome.stderr
