"""What ~/.ssh/config says of host keys: who is let in, and where their keys are looked up and kept."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from asyncstack.errors import HostKeyError, SettingsError
from asyncstack.events import Warned
from asyncstack.model import Node, Suspicion
from asyncstack.transports.ssh import SshAccess, SshOptions, SshTransport
from tests.helpers.sshd import MakeSshd, Sshd, make_key
from tests.ssh.lab import SshLab
from tests.ssh.test_access_routes import configure, host
from tests.ssh.test_trust import run

pytestmark = pytest.mark.anyio

KNOWN_HOSTS = "~/.ssh/known_hosts"
NOWHERE = "written nowhere"


def usual() -> Path:
    return Path(KNOWN_HOSTS).expanduser()


def other_key(sshd: Sshd, path: Path) -> str:
    """A line of known_hosts with a key that the host doesn't have."""
    make_key(path)
    kind, key, _ = path.with_name(f"{path.name}.pub").read_text().split()
    return f"[127.0.0.1]:{sshd.port} {kind} {key}\n"


async def reach(name: str = "one", options: SshOptions | None = None) -> list[Suspicion]:
    """Connect twice with one access, as a run does; what the user is told of it."""
    told: list[Suspicion] = []
    transport = SshTransport(Node(name), options or SshOptions(), SshAccess(), told.append)
    for _ in range(2):
        async with transport:
            assert (await transport.run("true")).ok
    return told


@pytest.mark.parametrize("word", ["accept-new", "no", "off"])
async def test_a_new_key_is_accepted_and_written_down(daemon: MakeSshd, word: str) -> None:
    """One line says so, the first time."""
    sshd = daemon("one")
    configure(host("one", sshd), f"Host o*\n  StrictHostKeyChecking {word}")
    (told,) = await reach()
    assert f"of [127.0.0.1]:{sshd.port} is accepted" in told.message
    assert f"written to {usual()}" in told.message
    assert usual().read_text() == sshd.host_key_line()
    assert await reach() == []


@pytest.mark.parametrize("nowhere", [os.devnull, "none"])
@pytest.mark.parametrize("by_option", [True, False])
async def test_where_nothing_is_kept_any_new_key_will_do(
    daemon: MakeSshd, tmp_path: Path, nowhere: str, by_option: bool
) -> None:
    """But for one run it is the same key, also for a connection that is made anew."""
    sshd = daemon("one")
    word = "yes" if by_option else "no"
    lines = (f"StrictHostKeyChecking {word}", f"UserKnownHostsFile {nowhere}")
    configure(host("one", sshd, *lines))
    options = SshOptions(accept_new_host_keys=by_option)
    (told,) = await reach(options=options)
    assert NOWHERE in told.message
    assert not usual().exists()
    transport = SshTransport(Node("one"), options, SshAccess())
    async with transport:
        pass
    sshd.stop()
    (sshd.root / "host_key").unlink()
    make_key(sshd.root / "host_key")
    sshd.start_again()
    with pytest.raises(HostKeyError, match="CHANGED in the middle of the run"):
        await transport.connect()
    (told,) = await reach(options=options)
    assert NOWHERE in told.message


@pytest.mark.parametrize("word", ["yes", "ask"])
async def test_a_new_key_is_refused(daemon: MakeSshd, word: str) -> None:
    """The first value counts, as everywhere in that file."""
    strict = f"StrictHostKeyChecking {word}"
    configure(host("one", daemon("one"), strict), "Host *\n  StrictHostKeyChecking no")
    with pytest.raises(HostKeyError, match="is unknown: SHA256:") as raised:
        await reach()
    assert "asyncstack hosts trust" in raised.value.hint
    assert not usual().exists()


@pytest.mark.parametrize("option", ["UserKnownHostsFile", "GlobalKnownHostsFile"])
async def test_a_changed_key_is_refused_always(
    daemon: MakeSshd, tmp_path: Path, option: str
) -> None:
    """Whichever of several files knows another one; the first of the user's is for new ones."""
    sshd = daemon("one")
    first, second = tmp_path / "first", tmp_path / "with a blank"
    files = f'{option} {first} "{second}"'
    configure(host("one", sshd, files, "StrictHostKeyChecking no"))
    second.write_text(other_key(sshd, tmp_path / "other"))
    with pytest.raises(HostKeyError, match=f"CHANGED .*{second}:1 has another one"):
        await reach()
    second.write_text("")
    (told,) = await reach()
    written = first if option == "UserKnownHostsFile" else usual()
    assert f"written to {written}" in told.message
    assert written.read_text() == sshd.host_key_line()


async def test_a_file_for_each_host(daemon: MakeSshd, tmp_path: Path) -> None:
    """Tokens and variables; %k is the name by which the key is kept."""
    sshd = daemon("one")
    folder = tmp_path / "known"
    file = f"{folder}/%k-%n-%h-%p-%r-%%-${{HOME}}/keys"
    alias = ("HostKeyAlias lab.example.org", "StrictHostKeyChecking accept-new")
    configure(host("one", sshd, f"UserKnownHostsFile {file}", *alias))
    name = f"lab.example.org-one-127.0.0.1-{sshd.port}-{sshd.user}-%-{Path.home()}"
    await reach()
    kept = folder / name / "keys"
    assert kept.read_text().startswith("lab.example.org ssh-ed25519 ")
    configure(host("one", sshd, "UserKnownHostsFile ~/%Z"))
    with pytest.raises(SettingsError, match="%Z stands for nothing"):
        await reach()


async def test_a_jump_host_too(daemon: MakeSshd) -> None:
    """Told as what it is, though the node is the one that is being reached."""
    jump, inner = daemon("jump"), daemon("inner")
    lab = f"Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile {os.devnull}"
    configure(host("jump", jump), host("inner", inner, "ProxyJump jump"), lab)
    told = [one.message for one in await reach("inner")]
    for message, sshd in zip(told, (jump, inner), strict=True):
        assert f"[127.0.0.1]:{sshd.port}" in message
    assert not usual().exists()


def test_a_lab_whose_keys_nobody_keeps(lab: SshLab) -> None:
    """It is stacked, with a warning a node; `hosts trust` has nowhere to write to, and says so."""
    node = lab.node("one", trusted=False)
    (lab.home / ".ssh/config").write_text(
        f"Host 127.0.*\n StrictHostKeyChecking no\n UserKnownHostsFile {os.devnull}\n"
    )
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack()
    assert outcome.code == 0, outcome
    (told,) = [event for event in outcome.of(Warned) if event.code == "host-key-accepted"]
    assert told.node == "one"
    assert outcome.stderr.count("is accepted unseen (StrictHostKeyChecking no)") == 1
    assert not lab.known_hosts.exists()
    refused = run(lab, "--yes")
    assert refused.code == 5, refused
    assert f"the host key of [127.0.0.1]:{node.port} can't be written down" in refused.stderr


def test_what_an_inventory_tells_ssh_wins(lab: SshLab) -> None:
    """For its nodes alone: a jump host is one of ~/.ssh/config's; what is ignored is told first."""
    jump, node = lab.daemon(), lab.node("one", trusted=False)
    lab.known_hosts.write_text(jump.host_key_line())
    (lab.home / ".ssh/config").write_text(
        f"StrictHostKeyChecking yes\nHost 127.*\n ProxyJump nowhere\n"
        f"Host jump\n HostName 127.0.0.1\n Port {jump.port}\n User {jump.user}\n"
        f" IdentityFile {jump.key}\n"
    )
    lab.witnesses("plugin")
    lab.write_inventory()
    inventory = json.loads(lab.inventory.read_text())
    kept = lab.root / "kept"
    arguments = f"-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={kept} -4"
    for jumps, logins in (("jump", 1), ("none", 1)):
        common = f"{arguments} -o ProxyJump={jumps}"
        inventory["all"]["vars"] = {"ansible_ssh_common_args": common}
        lab.inventory.write_text(json.dumps(inventory))
        outcome = lab.stack("--until-phase", "source")
        assert outcome.code == 0, outcome
        assert (jump.root / "sshd.log").read_text().count("Accepted publickey") == logins
        assert kept.read_text() == node.sshd.host_key_line()
    node.sshd.stop()
    outcome = lab.stack()
    assert outcome.code == 5, outcome
    assert "ansible_ssh_common_args: -4 is not used" in outcome.stderr
    node.sshd.start_again()
