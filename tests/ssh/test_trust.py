"""`asyncstack hosts trust`: what is shown is what ssh-keygen says, and nothing is ever replaced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.helpers.lab import Outcome, json_lines
from tests.helpers.ptys import AtTerminal
from tests.helpers.sshd import Sshd, free_port, make_key
from tests.ssh.lab import SshLab


def command(lab: SshLab, *options: str) -> list[str]:
    line = [sys.executable, "-m", "asyncstack", "hosts", "trust", *options]
    return line if "-n" in options else [*line, "-i", str(lab.inventory)]


def run(lab: SshLab, *options: str) -> Outcome:
    return lab._outcome(command(lab, *options), lab.root / "none", None, 100)


def shown_by_ssh_keygen(key: Path) -> str:
    """`256 SHA256:… (ED25519)`: without the comment."""
    text = subprocess.check_output(["ssh-keygen", "-lf", f"{key}.pub"], text=True).split()
    return f"{text[0]} {text[1]} {text[-1]}"


def several_kinds(lab: SshLab) -> tuple[Sshd, list[Path]]:
    """A daemon with a key of each kind."""
    keys = [lab.root / kind for kind in ("rsa", "ecdsa")]
    for key in keys:
        make_key(key, key.name)
    daemon = lab.daemon(*(f"HostKey {key}" for key in keys))
    return daemon, [*keys, daemon.root / "host_key"]


def test_what_is_agreed_to_is_written_down(lab: SshLab) -> None:
    """All kinds of keys, as ssh-keygen prints them; one question; then all is known."""
    daemon, keys = several_kinds(lab)
    lab.node("one", daemon, trusted=False)
    lab.node("two", daemon, trusted=False)
    other = lab.node("other", trusted=False)
    lab.known_hosts.write_text("# a last line without its end: example.org")
    lab.witnesses("plugin")
    lab.write_inventory()
    with AtTerminal(command(lab), lab.root, lab.environment) as terminal:
        terminal.expect("(yes/no): ")
        assert f"one, two  [127.0.0.1]:{daemon.port}\n" in terminal.shown
        for key in [*keys, other.sshd.root / "host_key"]:
            assert f"  {shown_by_ssh_keygen(key)}\n" in terminal.shown
        assert lab.known_hosts.read_text().count("\n") == 0
        terminal.type("perhaps\n")
        terminal.expect("yes or no: ")
        terminal.type("yes\n")
        assert terminal.end() == 0, terminal.shown
    lines = lab.known_hosts.read_text().splitlines()
    written = {line.removeprefix(f"[127.0.0.1]:{daemon.port} ") for line in lines}
    public = [Path(f"{key}.pub").read_text().split() for key in keys]
    assert {" ".join(words[:2]) for words in public} <= written
    assert len(lines) == 5
    assert lab.stack().code == 0
    with AtTerminal(command(lab), lab.root, lab.environment) as terminal:
        assert terminal.end() == 0
    assert "yes/no" not in terminal.shown
    assert f"other  [127.0.0.1]:{other.port}  known\n" in terminal.shown
    assert lab.known_hosts.read_text().splitlines() == lines


def test_a_no_is_a_no(lab: SshLab) -> None:
    """And Ctrl-C is what it always is; the error of a run says what to do about it."""
    lab.node("one", trusted=False)
    lab.witnesses("plugin")
    lab.write_inventory()
    for typed, code in (("no\n", 5), ("\x03", 130)):
        with AtTerminal(command(lab), lab.root, lab.environment) as terminal:
            terminal.expect("(yes/no): ")
            terminal.type(typed)
            assert terminal.end() == code, terminal.shown
    assert not lab.known_hosts.exists()
    assert "asyncstack hosts trust" in lab.stack().stderr


def test_a_script_has_to_say_yes(lab: SshLab) -> None:
    """Where nobody can be asked nothing is taken for agreed."""
    node = lab.node("one", trusted=False)
    lab.witnesses("plugin")
    lab.write_inventory()
    refused = run(lab)
    assert refused.code == 2, refused
    assert "--yes" in refused.stderr
    assert not lab.known_hosts.exists()
    agreed = run(lab, "--yes", "--json")
    assert agreed.code == 0, agreed
    (told,) = json_lines(agreed.stdout)
    assert (told["nodes"], told["state"]) == (["one"], "trusted")
    key = shown_by_ssh_keygen(node.sshd.root / "host_key").split()
    assert told["keys"] == [
        {"bits": int(key[0]), "fingerprint": key[1], "kind": key[2].strip("()")}
    ]
    assert lab.known_hosts.read_text() == node.sshd.host_key_line()


def test_a_changed_key_is_never_replaced(lab: SshLab) -> None:
    """Said by file and line; the node beside it is trusted, one that is away is told, too."""
    daemon, keys = several_kinds(lab)
    lab.node("changed", daemon, trusted=False)
    fresh = lab.node("fresh", trusted=False)
    lab.node("away", port=free_port(), trusted=False)
    make_key(lab.root / "old", "rsa")
    public = " ".join((lab.root / "old.pub").read_text().split()[:2])
    known = f"# one\n[127.0.0.1]:{daemon.port} {public}\n"
    lab.known_hosts.write_text(known)
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = run(lab, "--yes")
    assert outcome.code == 5, outcome
    assert f"{lab.known_hosts}:2 has another one" in outcome.stderr
    now = shown_by_ssh_keygen(keys[0]).split()[1]
    assert f"node changed: the host key of [127.0.0.1]:{daemon.port} has CHANGED (now {now})" in (
        outcome.stderr
    )
    assert "node away: can't be reached" in outcome.stderr
    assert lab.known_hosts.read_text() == known + fresh.sshd.host_key_line()
    assert run(lab, "--yes", "--limit", "fresh").code == 0


def test_hosts_behind_a_jump_host_and_hashed_names(lab: SshLab) -> None:
    """First the jump host, then what is behind it; OpenSSH's own tools find what was written."""
    jump, inner = lab.daemon(), lab.node("inner", trusted=False)
    (lab.home / ".ssh/config").write_text(
        f"HashKnownHosts yes\n"
        f"Host jump\n HostName 127.0.0.1\n Port {jump.port}\n"
        f" User {jump.user}\n IdentityFile {jump.key}\n"
        f"Host inner\n HostName 127.0.0.1\n Port {inner.port}\n ProxyJump jump\n"
        f" User {inner.user}\n IdentityFile {inner.sshd.key}\n HostKeyAlias inner.example.org\n"
    )
    with AtTerminal(command(lab, "-n", "inner"), lab.root, lab.environment) as terminal:
        terminal.expect("(yes/no): ")
        assert f"jump host jump  [127.0.0.1]:{jump.port}" in terminal.shown
        assert "inner.example.org" not in terminal.shown
        terminal.type("yes\n")
        terminal.expect("inner  inner.example.org")
        terminal.expect("(yes/no): ", times=2)
        terminal.type("yes\n")
        assert terminal.end() == 0, terminal.shown
    text = lab.known_hosts.read_text()
    assert all(line.startswith("|1|") for line in text.splitlines())
    for name in (f"[127.0.0.1]:{jump.port}", "inner.example.org"):
        found = ["ssh-keygen", "-F", name, "-f", str(lab.known_hosts)]
        assert subprocess.run(found, capture_output=True, check=False).returncode == 0
    assert run(lab, "-n", "inner", "--yes").code == 0
    assert lab.known_hosts.read_text() == text
    lab.witnesses("plugin")
    outcome = lab.run("stack", lab.conf, "-n", "inner")
    assert outcome.code == 0, outcome
