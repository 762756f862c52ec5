"""How a driver is started where systemd runs: in a scope that outlives the login, if there is one.

No systemd runs where the tests do. A stand-in does what systemd-run's --scope promises: it runs the
command as its own process, with the streams, environment and directory that it has itself.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from asyncstack.events import NodeBooted, Warned
from tests.helpers.lab import Outcome
from tests.helpers.sshd import Sshd
from tests.ssh.lab import NodeOfLab, SshLab, assert_exactly_once
from tests.ssh.test_ordinary_user import account, open_lab

__all__ = ["open_lab"]

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs a mount namespace of root's")

WORKS = """#!/bin/sh
echo "$@" | head -n 1 >>{log}
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
FAILS = """#!/bin/sh
echo "$@" | head -n 1 >>{log}
echo 'Failed to connect to bus: No such file or directory' >&2
exit 1
"""


def with_systemd(lab: SshLab, name: str, stand_in: str, *extra: str, lingers: str = "") -> Sshd:
    """A daemon whose logins see a system that was booted by systemd."""
    folder = lab.root / f"{name}-programs"
    folder.mkdir()
    program = folder / "systemd-run"
    program.write_text(stand_in.format(log=folder / "log"))
    program.chmod(0o755)
    # What logind of a distribution with that default says.
    (folder / "busctl").write_text("#!/bin/sh\necho b true\n")
    (folder / "busctl").chmod(0o755)
    (folder / "log").touch()
    (folder / "log").chmod(0o666)
    daemon = lab.daemon(f"SetEnv PATH={folder}:{os.environ['PATH']}:/usr/bin:/bin", *extra)
    daemon.stop()
    linger = f"mkdir -p /var/lib/systemd/linger && touch /var/lib/systemd/linger/{lingers}"
    script = (
        "mount -t tmpfs none /run && mkdir -p /run/sshd /run/systemd/system && "
        f"mkdir -p /var/lib/systemd && mount -t tmpfs none /var/lib/systemd && "
        f'{linger if lingers else "true"} && exec "$@"'
    )
    daemon.start_again(["unshare", "--mount", "sh", "-c", script, "sh"])
    return daemon


def calls(lab: SshLab, name: str) -> list[str]:
    """What systemd-run was called with."""
    return (lab.root / f"{name}-programs" / "log").read_text().splitlines()


def launchers(outcome: Outcome) -> dict[str, str]:
    """node → how its driver was started, by the journal, which the record agrees with."""
    told = {event.node: event.facts["launcher"] for event in outcome.of(NodeBooted)}
    assert told == {node.name: node.facts["launcher"] for node in outcome.record.nodes}
    return told


def test_a_scope_where_there_is_systemd_else_a_session(lab: SshLab) -> None:
    """And a session as well where systemd-run fails; the run says which it was."""
    lab.node("scoped", with_systemd(lab, "scoped", WORKS))
    lab.node("broken", with_systemd(lab, "broken", FAILS))
    lab.node("plain")
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack()
    assert outcome.code == 0, outcome
    assert launchers(outcome) == {"scoped": "systemd-scope", "broken": "setsid", "plain": "setsid"}
    for name in ("scoped", "broken"):
        (call,) = calls(lab, name)
        assert call.startswith("--scope --quiet --collect -- setsid -f sh -c ")
    assert_exactly_once(lab, outcome)
    assert lab.driven() == []


def test_a_driver_in_a_scope_can_be_stopped(lab: SshLab) -> None:
    lab.node("scoped", with_systemd(lab, "scoped", WORKS))
    lab.witnesses("stays", more="[[ ${2:-} != install ]] || { trap '' TERM; sleep 1000; }")
    lab.write_inventory()
    process, directory = lab.start_stack()
    lab.wait_for(process, {"event": "step-started", "phase": "install"})
    process.kill()
    process.wait(30)
    stopped = lab.again("stop", directory)
    assert stopped.code == 0, stopped
    assert lab.driven() == []


@pytest.mark.skipif(account() is None, reason="this machine has no account but root's")
def test_an_ordinary_users_manager_is_asked_only_if_it_lingers(open_lab: SshLab) -> None:
    """Without that it ends with the last login, and all that it has started."""
    lab, other = open_lab, account()
    assert other is not None

    def node(name: str, lingers: str) -> NodeOfLab:
        daemon = with_systemd(lab, name, WORKS, "UsePAM yes", lingers=lingers)
        made = replace(lab.node(name, daemon), user=other.pw_name)
        made.dest.mkdir()
        for folder in (made.dest, daemon.home):
            os.chown(folder, other.pw_uid, other.pw_gid)
        lab.nodes[name] = made
        return made

    lasting = node("lasting", other.pw_name)
    node("passing", "")
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack()
    if "denied" in (lasting.sshd.root / "sshd.log").read_text():
        pytest.skip(f"this machine keeps {other.pw_name} out")
    assert outcome.code == 0, outcome
    assert launchers(outcome) == {"lasting": "systemd-scope", "passing": "setsid"}
    (call,) = calls(lab, "lasting")
    assert call.startswith("--scope --quiet --collect --user -- setsid -f sh -c ")
    assert calls(lab, "passing") == []
    (warning,) = [e for e in outcome.of(Warned) if e.code == "ends-with-login"]
    assert warning.node == "passing"
    assert f"enable-linger {other.pw_name}" in warning.message
    assert (lasting.dest / "witness").stat().st_uid == other.pw_uid
    assert Path(lasting.dest / "witness").read_text()
