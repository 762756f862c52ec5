"""Files between nodes that have a home each: where they go, and that nothing loses them."""

from __future__ import annotations

import json
from pathlib import Path

from asyncstack.events import FilesCopied
from tests.ssh.lab import SshLab


def copied(lab: SshLab, *paths: str | Path, after: str = "install", **more: str) -> None:
    """An inventory that wants these copied from node `one` to all others."""
    inventory = json.loads(lab.write_inventory().read_text())
    entry = {"after": after, "from": "one", "to": "all:!one", "paths": [*map(str, paths)], **more}
    inventory["all"]["vars"] = {"asyncstack_copy": [entry]}
    lab.inventory.write_text(json.dumps(inventory))


def test_a_home_is_each_nodes_own(lab: SshLab) -> None:
    """`~/` is that of the login, at both ends; an absolute path may stand beside it."""
    one, two, three = lab.three()
    lab.witnesses("plugin")
    (one.sshd.home / "keys of mine").mkdir()
    (one.sshd.home / "keys of mine/id").write_text("secret\n")
    (lab.root / "ca.pem").write_text("certificate\n")
    copied(lab, "~/keys of mine", lab.root / "ca.pem", mode="0600")
    outcome = lab.stack()
    assert outcome.code == 0, outcome
    assert [(c.source, c.ok) for c in outcome.of(FilesCopied)] == [("one", True)] * 2
    for node in (two, three):
        copy = node.sshd.home / "keys of mine/id"
        assert copy.read_text() == "secret\n"
        assert copy.stat().st_mode & 0o777 == 0o600
