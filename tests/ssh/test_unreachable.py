"""Nodes that can't be had: all of them are told at once, and nothing runs anywhere."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from asyncstack.events import NodeFinished, StepFinished, StepStarted
from asyncstack.model import Status
from tests.helpers.lab import Outcome
from tests.helpers.sshd import free_port, make_key
from tests.ssh.lab import SshLab


def fingerprint(lab: SshLab, name: str) -> str:
    """What OpenSSH calls the key of a node."""
    key = lab.nodes[name].sshd.root / "host_key.pub"
    return subprocess.check_output(["ssh-keygen", "-lf", str(key)], text=True).split()[1]


def assert_nothing_ran(lab: SshLab, outcome: Outcome) -> None:
    assert outcome.code == 5, outcome
    assert outcome.no_traceback
    assert outcome.of(StepStarted) == []
    assert outcome.of(StepFinished) == []
    assert [node.witness() for node in lab.nodes.values()] == [[] for _ in lab.nodes]
    assert lab.driven() == []


def test_every_node_that_is_out_of_reach_is_named(lab: SshLab) -> None:
    """A closed port, a wrong key, an unknown and a changed host key, beside one that is well."""
    lab.node("well")
    lab.node("closed", port=free_port())
    lab.node("stranger", trusted=False)
    lab.node("changed", trusted=False)
    changed = lab.nodes["changed"].sshd.host_key_line().split()
    other = (lab.nodes["well"].sshd.root / "host_key.pub").read_text().split()
    with lab.known_hosts.open("a") as stream:
        stream.write(f"{changed[0]} {other[0]} {other[1]}\n")
    refused = lab.node("refused")
    (refused.sshd.root / "authorized_keys").write_text("")
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack()
    assert_nothing_ran(lab, outcome)
    lines = outcome.stderr.splitlines()
    told = {found[1]: line for line in lines if (found := re.search(r"(node \w+): ", line))}
    assert "node well" not in told
    assert "can't be reached" in told["node closed"]
    assert "refused the login" in told["node refused"]
    assert f"is unknown: {fingerprint(lab, 'stranger')}" in told["node stranger"]
    assert f"has CHANGED (now {fingerprint(lab, 'changed')})" in told["node changed"]
    assert "--accept-new-host-keys" in outcome.stderr
    assert "ssh-keygen" in outcome.stderr
    statuses = {event.node: event.status for event in outcome.of(NodeFinished)}
    assert {name for name, status in statuses.items() if status is Status.UNREACHABLE} == {
        "closed",
        "stranger",
        "changed",
        "refused",
    }
    assert outcome.record.status is Status.UNREACHABLE
    named = {node.name: node.status for node in outcome.record.nodes}
    assert named == {"well": Status.PENDING} | {
        name: Status.UNREACHABLE for name in lab.nodes if name != "well"
    }


def test_who_leaves_a_run_alone_is_told_first_that_a_node_is_out_of_reach(lab: SshLab) -> None:
    lab.node("well")
    lab.node("closed", port=free_port())
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack("--detach")
    assert_nothing_ran(lab, outcome)
    assert "node closed" in outcome.stderr
    assert outcome.stdout == ""


def test_new_host_keys_are_accepted_if_the_user_says_so(lab: SshLab) -> None:
    """Three names for one address at once: its key is written down once, and it is the right one."""
    daemon = lab.daemon()
    for name in ("one", "two", "three"):
        lab.node(name, daemon, trusted=False)
    lab.known_hosts.write_text("# a last line without its end: example.org")
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack("--accept-new-host-keys")
    assert outcome.code == 0, outcome
    assert lab.known_hosts.read_text().splitlines()[1:] == [daemon.host_key_line().strip()]
    assert lab.stack().code == 0


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_changed_host_key_is_refused_whatever_the_user_says(lab: SshLab, kind: str) -> None:
    """Also when the one that is known is of another kind than any that the node has."""
    node = lab.node("one", trusted=False)
    make_key(lab.root / "other", kind)
    public = (lab.root / "other.pub").read_text().split()
    known = f"[127.0.0.1]:{node.port} {public[0]} {public[1]}\n"
    lab.known_hosts.write_text(known)
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack("--accept-new-host-keys")
    assert_nothing_ran(lab, outcome)
    assert "node one" in outcome.stderr
    assert f"CHANGED (now {fingerprint(lab, 'one')})" in outcome.stderr
    assert lab.known_hosts.read_text() == known


def test_known_hosts_is_where_the_users_configuration_says(lab: SshLab) -> None:
    """UserKnownHostsFile: read and written there."""
    node = lab.node("one", trusted=False)
    elsewhere = lab.root / "elsewhere"
    (lab.home / ".ssh/config").write_text(f"UserKnownHostsFile {elsewhere}\n")
    lab.witnesses("plugin")
    lab.write_inventory()
    assert lab.stack("--accept-new-host-keys").code == 0
    assert elsewhere.read_text() == node.sshd.host_key_line()
    assert not lab.known_hosts.exists()


def test_a_host_of_the_users_configuration_is_meant_by_its_name_there(lab: SshLab) -> None:
    """Host, HostName, Port, User, IdentityFile; and its key is kept under the real address."""
    node = lab.node("alias", trusted=False)
    (lab.home / ".ssh/config").write_text(
        f"Host alias\n HostName 127.0.0.1\n Port {node.port}\n User {node.sshd.user}\n"
        f" IdentityFile {node.sshd.key}\n"
    )
    lab.witnesses("plugin")
    outcome = lab.run("stack", lab.conf, "-n", "alias", "--accept-new-host-keys")
    assert outcome.code == 0, outcome
    assert lab.known_hosts.read_text() == node.sshd.host_key_line()


def test_a_key_that_is_not_there_is_named(lab: SshLab) -> None:
    node = lab.node("one")
    node.sshd.key.unlink()
    node.sshd.key.with_name("user_key.pub").unlink()
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack()
    assert_nothing_ran(lab, outcome)
    assert f"node one: the key {node.sshd.key} can't be read: No such file" in outcome.stderr
    assert "ansible_ssh_private_key_file" in outcome.stderr


def test_a_key_with_a_passphrase_is_told_apart(lab: SshLab) -> None:
    """It isn't asked for, where nobody could answer."""
    node = lab.node("one")
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(node.sshd.key)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack()
    assert_nothing_ran(lab, outcome)
    assert "node one" in outcome.stderr
    assert "passphrase" in outcome.stderr
    assert "ssh-add" in outcome.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Host *\n  Port abc\n", ":2: Invalid Port integer value: abc"),
        ("User 'open\n", ":1: No closing quotation"),
        ("IdentityFile %q\n", ": Invalid token expansion: q"),
    ],
)
def test_what_is_wrong_in_the_users_configuration_is_theirs(
    lab: SshLab, text: str, said: str
) -> None:
    """Told once, with its line, and not as a node that is out of reach."""
    (lab.home / ".ssh/config").write_text(text)
    lab.three()
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack("--keep-going")
    assert outcome.code == 2, outcome
    assert outcome.no_traceback
    assert outcome.stderr.count(said) == 1
    assert "ssh -G HOST" in outcome.stderr
    assert outcome.of(StepStarted) == []


def test_a_plan_that_fails_shows_its_warnings_first(lab: SshLab) -> None:
    """What was ignored may be why; each is said once, and also where the output is JSON."""
    lab.node("closed", port=free_port())
    lab.node("gone", port=free_port())
    lab.witnesses("plugin")
    inventory = json.loads(lab.write_inventory().read_text())
    inventory["all"]["host"] = inventory["all"].pop("children")
    lab.inventory.write_text(json.dumps(inventory))
    for options in ([], ["--json"]):
        outcome = lab.plan("-i", lab.inventory, *options)
        assert outcome.code == 5, outcome
        assert outcome.stdout == ""
        told = re.findall(
            r"^(?:warning|asyncstack: node \w+|node \w+): ", outcome.stderr, re.MULTILINE
        )
        assert told == ["warning: ", "asyncstack: node closed: ", "node gone: "]
        assert "'host' in group 'all' is ignored" in outcome.stderr
