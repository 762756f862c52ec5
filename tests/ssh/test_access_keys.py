"""Keys with a passphrase, and the agent: who is asked, how often, and what is told instead."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncstack.events import NodeFinished
from asyncstack.model import Status
from tests.helpers.ptys import AtTerminal
from tests.helpers.sshd import make_key
from tests.ssh.lab import SshLab

SECRET = "open sesame"


def lock(key: Path, *, public: bool = True) -> None:
    """Give a key a passphrase."""
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", SECRET, "-a", "1", "-f", str(key)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    if not public:
        key.with_name(f"{key.name}.pub").unlink()


def at_terminal(lab: SshLab, *options: str) -> tuple[AtTerminal, Path]:
    line, directory = lab.command("stack", lab.conf, "-i", lab.inventory, *options)
    return AtTerminal(line, lab.root, lab.environment), directory


def locked_nodes(lab: SshLab, *names: str, public: bool = True) -> None:
    """Nodes that one key leads to, which has a passphrase."""
    daemon = lab.daemon()
    for name in names:
        lab.node(name, daemon)
    lock(daemon.key, public=public)
    lab.witnesses("plugin")
    lab.write_inventory()


def written(*folders: Path) -> bytes:
    """All that lies in these folders."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return b"\0".join(path.read_bytes() for path in files)


@pytest.fixture
def agent(lab: SshLab) -> Iterator[dict[str, str]]:
    """A real agent's environment."""
    if shutil.which("ssh-agent") is None:
        pytest.skip("ssh-agent is not installed")
    socket = lab.root / "agent"
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    process.stdout.readline()  # says so when it listens
    yield {**lab.environment, "SSH_AUTH_SOCK": str(socket)}
    process.terminate()
    process.communicate()


def add(agent: dict[str, str], *keys: Path) -> None:
    subprocess.run(["ssh-add", "-q", *map(str, keys)], env=agent, check=True)


@pytest.mark.parametrize("public", [True, False])
def test_a_passphrase_is_asked_for_once_for_all_nodes(lab: SshLab, public: bool) -> None:
    """Unseen, with a second chance; the public half may be missing; nothing of it is kept."""
    locked_nodes(lab, "one", "two", "three", public=public)
    terminal, directory = at_terminal(lab)
    with terminal:
        terminal.expect("passphrase for key")
        terminal.type("wrong\n")
        terminal.expect("wrong passphrase, once more")
        terminal.type(f"{SECRET}\n")
        assert terminal.end() == 0, terminal.shown
    assert terminal.shown.count("passphrase for key") == 2
    assert SECRET not in terminal.shown
    assert "wrong\n" not in terminal.shown
    assert SECRET.encode() not in written(
        directory, lab.state, *(n.state for n in lab.nodes.values())
    )
    for node in lab.nodes.values():
        assert len(node.witness()) > 0


def test_a_passphrase_is_kept_for_connections_made_anew(lab: SshLab) -> None:
    """A plugin cuts the connection (its sshd's process dies); nobody is asked a second time."""
    daemon = lab.daemon()
    lab.node("one", daemon)
    lock(daemon.key)
    # Each of the node's connections is a child of the daemon's.
    cut = f"[[ ${{2:-}} != install ]] || kill $(ps -o pid= --ppid {daemon.process.pid})"
    lab.witnesses("plugin", more=cut)
    lab.write_inventory()
    terminal, directory = at_terminal(lab, "-v")
    with terminal:
        terminal.expect("passphrase for key")
        terminal.type(f"{SECRET}\n")
        assert terminal.end() == 0, terminal.shown
    assert terminal.shown.count("passphrase for key") == 1
    assert b'"up":false' in re.sub(rb"\s", b"", (directory / "events.jsonl").read_bytes())


def test_three_wrong_passphrases_are_enough(lab: SshLab) -> None:
    """Then it is said, for every node, with the way out."""
    locked_nodes(lab, "one", "two")
    terminal, _ = at_terminal(lab)
    with terminal:
        for number in (1, 2, 3):
            terminal.expect("passphrase for key", times=number)
            terminal.type("wrong\n")
        assert terminal.end() == 5, terminal.shown
    assert terminal.shown.count("passphrase for key") == 3
    assert "has another passphrase than the 3 that were given" in terminal.shown
    assert "ssh-add" in terminal.shown
    assert lab.driven() == []


def test_ctrl_c_instead_of_a_passphrase_ends_the_run(lab: SshLab) -> None:
    """With the exit code of an interrupted run; and the terminal shows again what is typed."""
    locked_nodes(lab, "one")
    line, _ = lab.command("stack", lab.conf, "-i", lab.inventory)
    script = 'trap : INT; "$@"; echo "code $?"; stty -a'
    with AtTerminal(["sh", "-c", script, "sh", *line], lab.root, lab.environment) as terminal:
        terminal.expect("passphrase for key")
        terminal.type("half\x03")
        assert terminal.end() == 0
    assert "code 130" in terminal.shown
    assert re.search(r"\secho\s", terminal.shown)
    assert lab.driven() == []


def test_a_run_that_is_to_be_left_alone_asks_before_it_is(lab: SshLab) -> None:
    """--detach, at a terminal: the key is needed as in any other run."""
    locked_nodes(lab, "one")
    terminal, directory = at_terminal(lab, "--detach")
    with terminal:
        terminal.expect("passphrase for key")
        terminal.type(f"{SECRET}\n")
        assert terminal.end() == 0, terminal.shown
    followed = lab.again("logs", directory, "--follow")  # which ends with the run
    assert followed.code == 0, followed
    assert followed.record.status is Status.OK
    assert SECRET not in terminal.shown


def test_nobody_is_asked_for_a_key_that_the_agent_has(lab: SshLab, agent: dict[str, str]) -> None:
    """Though the inventory names the file, which has a passphrase."""
    daemon = lab.daemon()
    lab.node("one", daemon)
    add(agent, daemon.key)
    lock(daemon.key)
    lab.witnesses("plugin")
    lab.write_inventory()
    line, _ = lab.command("stack", lab.conf, "-i", lab.inventory)
    with AtTerminal(line, lab.root, agent) as terminal:
        assert terminal.end() == 0, terminal.shown
    assert "passphrase" not in terminal.shown


def test_identities_only_leaves_the_agents_other_keys_alone(
    lab: SshLab, agent: dict[str, str]
) -> None:
    """An sshd tells which keys it was offered; a public half is enough to choose one by."""
    node = lab.node("one")
    other = lab.root / "other"
    make_key(other)
    add(agent, other, node.sshd.key)
    public = lab.root / "chosen.pub"
    shutil.copy(f"{node.sshd.key}.pub", public)
    config = f"Host one\n HostName 127.0.0.1\n Port {node.port}\n User {node.user}\n IdentityFile {public.with_suffix('')}\n"
    (lab.home / ".ssh/config").write_text(config + " IdentitiesOnly yes\n")
    lab.witnesses("plugin")
    log = node.sshd.root / "sshd.log"
    outcome = lab.run("stack", lab.conf, "-n", "one", environment=agent)
    assert outcome.code == 0, outcome
    assert "Failed publickey" not in log.read_text()
    (lab.home / ".ssh/config").write_text(config)
    assert lab.run("stack", lab.conf, "-n", "one", environment=agent).code == 0
    # Without it the agent's other key is tried first, so that the check above can fail.
    assert "Failed publickey" in log.read_text()


def test_a_locked_key_that_no_node_wants_is_nobodys_business(lab: SshLab) -> None:
    """~/.ssh has an old key with a passphrase beside the one that opens the node."""
    node = lab.node("one")
    make_key(lab.home / ".ssh/id_ecdsa", "ecdsa")
    lock(lab.home / ".ssh/id_ecdsa")
    shutil.copy(node.sshd.key, lab.home / ".ssh/id_ed25519")
    lab.witnesses("plugin")
    line, _ = lab.command("stack", lab.conf, "-n", f"{node.user}@127.0.0.1:{node.port}")
    with AtTerminal(line, lab.root, lab.environment) as terminal:
        assert terminal.end() == 0, terminal.shown
    assert "passphrase" not in terminal.shown


def test_without_a_terminal_the_way_out_is_told(lab: SshLab) -> None:
    """By the name of the key, for each node; other nodes are not concerned."""
    locked_nodes(lab, "one", "two")
    outcome = lab.stack()
    assert outcome.code == 5, outcome
    key = lab.nodes["one"].sshd.key
    assert outcome.stderr.count(f"ssh-add {key}") >= 2
    assert "no terminal" in outcome.stderr
    assert {event.node for event in outcome.of(NodeFinished)} == {"one", "two"}
