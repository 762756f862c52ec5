"""Connections that die, controllers that are killed: nothing is lost and nothing is done twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asyncstack.events import ConnectionChanged, NodeFinished, StepFinished
from asyncstack.model import Status
from tests.helpers.gitserver import Proxy
from tests.helpers.lab import Outcome
from tests.ssh.lab import SshLab, assert_exactly_once

#: Bytes that a node sends until it is logged in; and a quarter of what it does in a run of ours.
LOGIN, RUN = 4000, 30_000


def outcome_of(directory: Path) -> Outcome:
    """What a run that isn't ours to wait for has come to."""
    return Outcome(0, b"", b"", directory)


def events_of(process: subprocess.Popen[bytes]) -> Iterator[dict[str, str]]:
    """What a run says, as it says it."""
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def kill_when(
    process: subprocess.Popen[bytes], reached: Callable[[dict[str, str]], bool]
) -> dict[str, str]:
    """Kill a controller when it says something; what that was."""
    for event in events_of(process):
        if reached(event):
            process.kill()
            process.wait(30)
            return event
    raise AssertionError(process.communicate())


def test_connections_that_are_cut_again_and_again(lab: SshLab) -> None:
    """Eight times, at random places in what the nodes say: in the login, the boot, the phases."""
    seed = int(os.environ.get("SEED", "0")) or random.randrange(1, 10**6)
    print(f"SEED={seed}")  # noqa: T201 – to have it again
    dice = random.Random(seed)
    daemons = [lab.daemon(), lab.daemon()]
    # The first one is behind the login, because a node that can't be reached at all is no node; the
    # last is within one.
    fates = [
        iter(
            [
                dice.randrange(LOGIN, RUN),
                dice.randrange(LOGIN, RUN),
                dice.randrange(LOGIN, RUN),
                cut,
            ]
        )
        for cut in (500, 1500)
    ]

    def fate(left: Iterator[int]) -> Callable[[int], tuple[str, int] | None]:
        return lambda _number: next((("cut", place) for place in left), None)

    with (
        Proxy(daemons[0].port, fate=fate(fates[0])) as first,
        Proxy(daemons[1].port, fate=fate(fates[1])) as second,
    ):
        lab.node("one", daemons[0], port=first.port)
        lab.node("two", daemons[1], port=second.port)
        lab.witnesses("first", "second", "third")
        lab.write_inventory()
        outcome = lab.stack()
    assert outcome.code == 0, outcome
    assert_exactly_once(lab, outcome)
    assert first.connections > 3
    assert second.connections > 3
    assert {event.node for event in outcome.of(ConnectionChanged) if not event.up} == {"one", "two"}
    assert lab.driven() == []


def test_a_connection_that_falls_silent(lab: SshLab) -> None:
    """As when a laptop sleeps: given up after ServerAliveInterval, made anew, and on it goes."""
    (lab.home / ".ssh/config").write_text("ServerAliveInterval 1\nServerAliveCountMax 1\n")
    fates = iter([12_000, 20_000])
    daemon = lab.daemon()
    with Proxy(
        daemon.port, fate=lambda _n: next((("freeze", place) for place in fates), None)
    ) as proxy:
        lab.node("one", daemon, port=proxy.port)
        lab.witnesses("first", "second")
        lab.write_inventory()
        outcome = lab.stack()
    assert outcome.code == 0, outcome
    assert proxy.connections == 3
    assert_exactly_once(lab, outcome)


def test_a_controller_that_is_killed_again_and_again(lab: SshLab) -> None:
    """Each is taken up by the next: while it boots, fetches, is in a phase, has come to the end."""
    lab.node("one")
    lab.node("two")
    lab.witnesses("first", "second")
    lab.write_inventory()
    process, directory = lab.start_stack()
    moments: list[Callable[[dict[str, str]], bool]] = [
        lambda event: event["event"] == "run-started",
        lambda event: event["event"] == "node-booted",
        lambda event: event["event"] == "step-started" and event["phase"] == "install",
        lambda event: event["event"] == "barrier-opened" and event["phase"] == "extra",
        lambda event: event["event"] == "node-finished",
    ]
    for moment in moments:
        kill_when(process, moment)
        process = lab.start_again("attach", directory, "--json")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, (output, errors)
    outcome = outcome_of(directory)
    assert_exactly_once(lab, outcome)
    assert outcome.record.status is Status.OK
    assert {plugin.name for plugin in outcome.record.plugins} == {"first", "second"}
    assert lab.driven() == []
    again = lab.again("attach", directory)
    assert again.code == 2
    assert "is over" in again.stderr


def test_a_run_has_one_controller(lab: SshLab) -> None:
    """Another is refused and disturbs nothing; so is `stop` understood by the one there is."""
    lab.node("one")
    lab.node("two")
    lab.witnesses("waits", more='[[ ${2:-} != install ]] || read -r _ <"$DEST/go"')
    lab.write_inventory()
    for node in lab.nodes.values():
        node.dest.mkdir()
        os.mkfifo(node.dest / "go")
    process, directory = lab.start_stack()
    install = {"event": "step-started", "phase": "install"}
    lab.wait_for(process, install, install)
    refused = lab.again("attach", directory)
    assert refused.code == 2
    assert "another process" in refused.stderr
    for node in lab.nodes.values():
        (node.dest / "go").write_text("on\n")
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert_exactly_once(lab, outcome_of(directory))


def test_a_node_that_is_away_when_a_run_is_taken_up(lab: SshLab) -> None:
    """It is said, the other goes on all the same, and the run can be taken up later."""
    lab.node("here")
    away = lab.node("away")
    lab.witnesses("waits", more='[[ ${2:-} != install ]] || read -r _ <"$DEST/go"')
    lab.write_inventory()
    for node in lab.nodes.values():
        node.dest.mkdir()
        os.mkfifo(node.dest / "go")
    process, directory = lab.start_stack()
    install = {"event": "step-started", "phase": "install"}
    lab.wait_for(process, install, install)
    process.kill()
    process.wait(30)
    away.sshd.stop()
    outcome = lab.again("attach", directory)
    assert outcome.code == 5, outcome
    assert "node away" in outcome.stderr
    assert len(lab.driven(0)) > 0
    away.sshd.start_again()
    for node in lab.nodes.values():
        (node.dest / "go").write_text("on\n")
    outcome = lab.again("attach", directory)
    assert outcome.code == 0, outcome
    assert_exactly_once(lab, outcome)


@pytest.mark.parametrize("how", ["stop", "interrupt", "stop-orphan"])
def test_nothing_is_left_on_any_node_that_was_told_to_end(lab: SshLab, how: str) -> None:
    """`stop` with and without a living controller, and Ctrl-C: also of what ignores TERM."""
    lab.three()
    lab.witnesses(
        "stays",
        more="if [[ ${2:-} == install ]]; then trap '' TERM INT; sleep 1000 & sleep 1000; fi",
    )
    lab.write_inventory()
    process, directory = lab.start_stack()
    install = {"event": "step-started", "phase": "install"}
    lab.wait_for(process, install, install, install)
    assert len(lab.driven(0)) >= 3
    if how == "interrupt":
        process.send_signal(signal.SIGINT)
    else:
        if how == "stop-orphan":
            process.kill()
            process.wait(30)
        stopped = lab.again("stop", directory)
        assert stopped.code == 0, stopped
        assert stopped.stdout.count("nothing is left") == 3
    process.communicate(timeout=60)
    assert lab.driven() == []
    if how != "stop-orphan":
        assert process.returncode == 130
        outcome = outcome_of(directory)
        assert outcome.record.status is Status.CANCELLED
        finals = Counter((s.node, s.mode, s.phase) for s in outcome.of(StepFinished))
        assert set(finals.values()) == {1}
        assert {(s.node, s.status) for s in outcome.of(StepFinished) if s.phase == "install"} == {
            (name, Status.CANCELLED) for name in lab.nodes
        }


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param('kill -9 "$$"', id="driver"),
        pytest.param('kill -9 -- "-$(ps -o pgid= -p "$PPID" | tr -d " ")"', id="group"),
    ],
)
def test_a_driver_that_is_killed_is_lost(lab: SshLab, kill: str) -> None:
    """With the step that was running; its neighbour stops at the barrier; nothing is left."""
    lab.node("one")
    lab.node("two")
    guard = "[[ $NODE_NAME$2 != oneinstall ]] ||"
    lab.witnesses("doomed", more=f"{guard} {{ sleep 1000 & {kill}; sleep 1000; }}")
    lab.write_inventory()
    outcome = lab.stack()
    assert outcome.code == 5, outcome
    statuses = {(s.node, s.phase): s.status for s in outcome.of(StepFinished) if s.mode == "stack"}
    assert statuses["one", "install"] is Status.LOST
    assert statuses["two", "install"] is Status.OK
    assert statuses["one", "extra"] is statuses["two", "extra"] is Status.ABORTED
    assert {e.node: e.status for e in outcome.of(NodeFinished)}["one"] is Status.LOST
    assert "doomed" in outcome.stderr
    assert "killed" in outcome.stderr
    assert lab.driven() == []
