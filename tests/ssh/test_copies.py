"""Files between nodes that have a home each: where they go, and that nothing loses them."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from asyncstack.events import FilesCopied
from tests.helpers.link import Link
from tests.ssh.lab import SshLab, assert_exactly_once


def copied(lab: SshLab, *paths: str | Path, after: str = "install", **more: str) -> None:
    """An inventory that wants these copied from node `one` to all others."""
    inventory = json.loads(lab.write_inventory().read_text())
    entry = {"after": after, "from": "one", "to": "all:!one", "paths": [*map(str, paths)], **more}
    inventory["all"]["vars"] = {"asyncstack_copy": [entry]}
    lab.inventory.write_text(json.dumps(inventory))


@pytest.mark.parametrize("cut", ["one", "two"])
def test_a_connection_that_is_cut_in_the_middle_of_a_copy(lab: SshLab, cut: str) -> None:
    """That of the node which has the files, or of one that gets them: it is made again."""
    daemons = {name: lab.daemon() for name in ("one", "two")}
    content = os.urandom(8_000_000)
    (daemons["one"].home / "image").write_bytes(content)
    # All else that a run of this size says is much less than half of that.
    with Link(daemons[cut].port, budgets=iter([4_000_000])) as link:
        for name, daemon in daemons.items():
            lab.node(name, daemon, port=link.port if name == cut else 0)
        lab.witnesses("plugin")
        copied(lab, "~/image")
        outcome = lab.stack()
        assert (link.cuts, link.connections) == (1, 2)
    assert outcome.code == 0, outcome
    assert (daemons["two"].home / "image").read_bytes() == content
    assert [copy.ok for copy in outcome.of(FilesCopied)] == [True]
    assert_exactly_once(lab, outcome)


def test_a_node_that_is_lost_in_the_middle_of_a_copy_has_what_it_had(lab: SshLab) -> None:
    """Nothing half-written lies there; who takes the run up leaves nothing of the first try."""
    one, daemon = lab.node("one"), lab.daemon()
    content = os.urandom(8_000_000)
    (one.sshd.home / "image").write_bytes(content)
    image = daemon.home / "image"
    image.write_text("as it was\n")
    lost = threading.Event()

    def budgets() -> Iterator[int]:
        yield 4_000_000
        lost.set()
        yield from repeat(1)  # it comes back for no longer than one byte takes

    with Link(daemon.port, budgets=budgets()) as link:
        lab.node("two", daemon, port=link.port)
        lab.witnesses("plugin")
        copied(lab, "~/image")
        process, directory = lab.start_stack()
        assert lost.wait(60)
        assert image.read_bytes() == b"as it was\n"
        process.kill()
        process.wait(30)
        link.budgets = iter(())
        outcome = lab.again("attach", directory)
    assert outcome.code == 0, outcome
    assert image.read_bytes() == content
    assert [*daemon.home.glob(".asyncstack-copy-*")] == []


def test_what_was_copied_before_a_run_is_taken_up_is_not_copied_again(lab: SshLab) -> None:
    """A plugin may have changed it since."""
    one, two = lab.node("one"), lab.node("two")
    (one.sshd.home / "conf").write_text("as it was\n")
    change = (
        'if [[ $NODE_NAME$2 == twopost-config ]]; then echo mine >~/conf; read -r _ <"$DEST/go"; fi'
    )
    lab.witnesses("plugin", more=change)
    copied(lab, "~/conf")
    two.dest.mkdir()
    os.mkfifo(two.dest / "go")
    process, directory = lab.start_stack()
    lab.wait_for(process, {"event": "step-started", "phase": "post-config", "node": "two"})
    process.kill()
    process.wait(30)
    (two.dest / "go").write_text("on\n")
    outcome = lab.again("attach", directory)
    assert outcome.code == 0, outcome
    assert (two.sshd.home / "conf").read_text() == "mine\n"
    assert [copy.ok for copy in outcome.of(FilesCopied)] == [True]


# Runs a command, and writes down the most memory that it had, in kB.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""


@pytest.mark.slow
def test_a_big_file_is_not_held_in_memory(lab: SshLab) -> None:
    """Neither where it comes from one node nor where it goes to several; nothing is left of it."""
    one, *others = lab.three()
    with (one.sshd.home / "image").open("wb") as image:
        image.write(b"begin")
        image.truncate(200_000_000)
    lab.witnesses("plugin")
    copied(lab, "~/image", after="source")
    most = lab.root / "most"
    outcome = lab.run(
        *("stack", lab.conf, "-i", lab.inventory, "--until-phase", "source"),
        wrapper=[sys.executable, "-c", MEASURED, str(most)],
    )
    assert outcome.code == 0, outcome
    assert int(most.read_text()) < 120_000
    for node in others:
        with (node.sshd.home / "image").open("rb") as image:
            assert image.read(6) == b"begin\0"
        assert (node.sshd.home / "image").stat().st_size == 200_000_000
    assert all(path.stat().st_size < 1_000_000 for path in outcome.directory.rglob("*"))


@pytest.mark.parametrize("option", [[], ["--keep-going"]])
def test_what_could_not_be_copied_is_when_the_run_is_resumed(
    lab: SshLab, option: list[str]
) -> None:
    """Though the phase behind which it belongs is not run again."""
    one, two = lab.node("one"), lab.node("two")
    lab.witnesses("plugin")
    copied(lab, "~/conf")
    failed = lab.stack(*option)
    assert failed.code == 1, failed
    (one.sshd.home / "conf").write_text("here it is\n")
    again = lab.again("resume", failed.directory)
    assert again.code == 0, again
    assert (two.sshd.home / "conf").read_text() == "here it is\n"
    assert [phase for _, _, phase, what in two.witness() if what == "begin"] == [
        *("settings", "pre-install", "install", "settings"),
        *("post-config", "extra", "test-config"),
    ]


def test_a_home_is_each_nodes_own(lab: SshLab) -> None:
    """`~/` is that of the login, at both ends; an absolute path may stand beside it."""
    one, two = lab.node("one"), lab.node("two")
    lab.witnesses("plugin")
    (one.sshd.home / "keys of mine").mkdir()
    (one.sshd.home / "keys of mine/id").write_text("secret\n")
    (lab.root / "ca.pem").write_text("certificate\n")
    copied(lab, "~/keys of mine", lab.root / "ca.pem", mode="0600")
    outcome = lab.stack()
    assert outcome.code == 0, outcome
    assert [(c.source, c.ok) for c in outcome.of(FilesCopied)] == [("one", True)]
    copy = two.sshd.home / "keys of mine/id"
    assert copy.read_text() == "secret\n"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert (lab.root / "ca.pem").stat().st_mode & 0o777 == 0o600
