"""Links that are cut, frozen and slow: nothing is lost and nothing is done twice."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from asyncstack.events import ConnectionChanged, FetchFinished, FetchStarted
from asyncstack.runtime.payload import DriverSettings, build_payload
from tests.helpers.gitserver import git
from tests.helpers.lab import repository
from tests.helpers.link import Link
from tests.ssh.lab import SshLab
from tests.ssh.proof import assert_nothing_lost, chance_of_test, enable_witnesses

#: Bytes that a login takes, both ways; and that are sent to start a driver.
LOGIN = 5000
PAYLOAD = len(build_payload(DriverSettings(nonce=""), {}))


def budgets(chance: random.Random) -> Iterator[int]:
    """What each connection may carry, in both directions, before it is cut: 28 cuts."""
    # The first one is behind the login, because a node that can't be reached at all is no node.
    yield chance.randrange(LOGIN, LOGIN + PAYLOAD)
    for _ in range(2):
        yield chance.randrange(LOGIN // 10, LOGIN + PAYLOAD)
    yield LOGIN + PAYLOAD + chance.randrange(10_000)
    for _ in range(24):
        yield chance.randrange(LOGIN // 10, 5 * LOGIN)


@pytest.mark.timeout(400)
def test_fifty_cuts_at_random_places(lab: SshLab) -> None:
    """28 a node, if it talks that long: in logins, in the boot, in phases and between them."""
    chance = chance_of_test()
    daemons = [lab.daemon(), lab.daemon()]
    with (
        Link(daemons[0].port) as first,
        Link(daemons[1].port) as second,
    ):
        lab.node("one", daemons[0], port=first.port)
        lab.node("two", daemons[1], port=second.port)
        enable_witnesses(lab, "first", "second", "third", kib=20)
        lab.write_inventory()
        assert lab.stack(command="fetch").code == 0
        first.budgets, second.budgets = budgets(chance), budgets(chance)
        outcome = lab.stack()
    assert outcome.code == 0, outcome
    assert first.cuts + second.cuts >= 50
    assert "socket.send" not in outcome.stderr
    assert_nothing_lost(lab, outcome.directory)
    assert {event.node for event in outcome.of(ConnectionChanged) if not event.up} == {"one", "two"}


def test_a_delivery_that_is_cut_again_and_again(lab: SshLab) -> None:
    """What has arrived stays, the rest is brought; each repository has one beginning and one end."""
    chance = chance_of_test()
    daemon = lab.daemon()
    names = ("first", "second", "third")
    with Link(daemon.port) as link:
        node = lab.node("one", daemon, port=link.port)
        enable_witnesses(lab, *names)
        for name in names:
            (lab.repositories / name / "noise").write_bytes(chance.randbytes(300_000))
            repository(lab.repositories / name, {})
        lab.write_inventory()
        link.budgets = iter(
            [LOGIN + PAYLOAD + 30_000, *(chance.randrange(LOGIN, 300_000) for _ in range(5))]
        )
        outcome = lab.stack()
    assert outcome.code == 0, outcome
    assert link.cuts >= 5
    assert_nothing_lost(lab, outcome.directory)
    once = dict.fromkeys((*names, "keeper"), 1)
    assert Counter(e.plugin for e in outcome.of(FetchStarted) if e.node) == once
    assert Counter(e.plugin for e in outcome.of(FetchFinished) if e.node) == once
    for name in names:
        git("-C", node.dest / name, "fsck", "--strict")
        assert git("-C", node.dest / name, "status", "--porcelain") == ""


def test_a_plugin_that_ends_what_follows_its_driver(lab: SshLab) -> None:
    """As one does that kills by name or by user: the driver is met again, and so is its journal."""
    lab.node("one")
    kill = """
    if [[ ${2:-} == install ]]; then
        for pid in $(pgrep -x tail); do
            [[ $(readlink "/proc/$pid/cwd") != "${TOP_DIR%/*}" ]] || kill -9 "$pid"
        done
    fi
    """
    enable_witnesses(lab, "first", "second", more=kill)
    lab.write_inventory()
    outcome = lab.stack()
    assert outcome.code == 0, outcome
    assert_nothing_lost(lab, outcome.directory)
    assert len([event for event in outcome.of(ConnectionChanged) if not event.up]) >= 1


def test_what_is_printed_while_nobody_listens(lab: SshLab) -> None:
    """50 MB, and a step that is over within its time although that was up before it was heard of."""
    daemon = lab.daemon()
    with Link(daemon.port) as link:
        node = lab.node("one", daemon, port=link.port)
        node.dest.mkdir()
        os.mkfifo(node.dest / "cut")
        prints = """
        if [[ ${2:-} == install ]]; then
            read -r _ <"$DEST/cut"
            head -c 50M /dev/urandom | tee -a "$DEST/printed/$plugin.$2"
        fi
        """
        enable_witnesses(lab, "plugin", more=prints)
        lab.write_inventory()
        process, directory = lab.start_stack("--step-timeout", "20")
        lab.wait_for(process, {"event": "step-started", "phase": "install", "plugin": "plugin"})
        link.freeze()
        link.cut()
        (node.dest / "cut").write_text("on\n")
        begun = time.monotonic()
        while not any(line[2:] == ("install", "end") for line in node.witness()):
            time.sleep(0.05)
            assert time.monotonic() < begun + 90
        link.thaw()
        _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert_nothing_lost(lab, directory)


def test_a_link_that_thaws_after_it_was_given_up(lab: SshLab) -> None:
    """What an earlier connection still carried comes late: no command of it is done once more."""
    (lab.home / ".ssh/config").write_text("ServerAliveInterval 1\nServerAliveCountMax 1\n")
    daemon = lab.daemon()
    with Link(daemon.port) as link:
        node = lab.node("one", daemon, port=link.port)
        node.dest.mkdir()
        os.mkfifo(node.dest / "go")
        enable_witnesses(lab, "plugin", more='[[ ${2:-} != install ]] || read -r _ <"$DEST/go"')
        lab.write_inventory()
        process, directory = lab.start_stack()
        lab.wait_for(process, {"event": "step-started", "phase": "install", "plugin": "plugin"})
        link.freeze()
        lab.wait_for(process, {"event": "connection-changed"})
        (node.dest / "go").write_text("on\n")
        link.thaw()
        _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert_nothing_lost(lab, directory)


def test_a_step_whose_time_is_up_only_here(lab: SshLab) -> None:
    """It ended within its time on the node, which was out of reach for longer than that."""
    daemon = lab.daemon()
    with Link(daemon.port) as link:
        node = lab.node("one", daemon, port=link.port)
        node.dest.mkdir()
        os.mkfifo(node.dest / "go")
        enable_witnesses(lab, "plugin", more='[[ ${2:-} != install ]] || read -r _ <"$DEST/go"')
        lab.write_inventory()
        process, directory = lab.start_stack("--step-timeout", "6")
        lab.wait_for(process, {"event": "step-started", "phase": "install", "plugin": "plugin"})
        link.freeze()
        link.cut()
        (node.dest / "go").write_text("on\n")
        time.sleep(7)  # that is the fault
        link.thaw()
        _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert_nothing_lost(lab, directory)
