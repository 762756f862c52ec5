"""Nodes that can't be had, in a run that may go on without them."""

from __future__ import annotations

import json

import pytest

from asyncstack.events import FilesCopied, NodeFinished, StepStarted, Warned
from asyncstack.model import Status
from tests.helpers.lab import Outcome
from tests.helpers.sshd import Sshd, free_port
from tests.ssh.lab import SshLab

PHASES = ["settings", "pre-install", "install", "post-config", "extra", "test-config"]


@pytest.fixture
def late(lab: SshLab) -> Sshd:
    """Three nodes, one of them out of reach for now; the daemon that it will have."""
    daemon = lab.daemon()
    lab.node("one")
    lab.node("late", daemon, port=free_port())
    lab.node("two")
    lab.witnesses("plugin")
    lab.write_inventory()
    return daemon


def ended(outcome: Outcome) -> dict[str, Status]:
    return {event.node: event.status for event in outcome.of(NodeFinished)}


def ran(lab: SshLab, name: str) -> list[str]:
    return [phase for _, _, phase, what in lab.nodes[name].witness() if what == "end"]


def copied(lab: SshLab, source: str, target: str) -> None:
    inventory = json.loads(lab.write_inventory().read_text())
    entry = {"after": "install", "from": source, "to": target, "paths": ["~/conf"]}
    inventory["all"]["vars"] = {"asyncstack_copy": [entry]}
    lab.inventory.write_text(json.dumps(inventory))


@pytest.mark.parametrize("option", ["--keep-going", "--max-fail=1", "--max-fail=34%"])
@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_the_others_go_on(lab: SshLab, late: Sshd, option: str, strategy: str) -> None:
    outcome = lab.stack(option, "--strategy", strategy)
    assert outcome.code == 5, outcome
    assert outcome.no_traceback
    assert ended(outcome) == {
        "one": Status.OK,
        "two": Status.OK,
        "late": Status.UNREACHABLE,
    }
    assert ran(lab, "one") == ran(lab, "two") == PHASES
    assert f"asyncstack resume {outcome.directory}    # once" in outcome.stderr
    told = [event for event in outcome.of(Warned) if event.code == "node-left-out"]
    assert [event.node for event in told] == ["late"]
    assert "can't be reached" in told[0].message
    assert "late unreachable" in outcome.stderr
    assert outcome.record.status is Status.UNREACHABLE
    assert {node.name: node.status for node in outcome.record.nodes} == ended(outcome)
    assert lab.driven() == []


def test_too_many_are_too_many(lab: SshLab, late: Sshd) -> None:
    lab.node("never", port=free_port())
    lab.write_inventory()
    outcome = lab.stack("--max-fail=1")
    assert outcome.code == 5, outcome
    assert outcome.of(StepStarted) == []
    assert ran(lab, "one") == []
    assert lab.driven() == []


def test_one_that_fails_later_counts_as_well(lab: SshLab, late: Sshd) -> None:
    lab.witnesses("plugin", more="[[ $NODE_NAME$2 != oneinstall ]]")
    lab.write_inventory()
    outcome = lab.stack("--max-fail=1")
    assert outcome.code == 5, outcome
    assert ended(outcome) == {
        "one": Status.FAILED,
        "two": Status.OK,
        "late": Status.UNREACHABLE,
    }
    assert ran(lab, "two") == PHASES[:3]


def test_in_an_order_of_groups(lab: SshLab, late: Sshd) -> None:
    """Also where nobody of a group is left."""
    lab.write_inventory({"first": ["late"], "second": ["one", "two"]})
    outcome = lab.stack("--keep-going", "--order", "first,second")
    assert outcome.code == 5, outcome
    assert ran(lab, "one") == ran(lab, "two") == PHASES


def test_resume_has_them_catch_up(lab: SshLab, late: Sshd) -> None:
    """From the beginning, and the others are left alone, but for the files that they have."""
    (lab.nodes["one"].sshd.home / "conf").write_text("here\n")
    copied(lab, "one", "late")
    outcome = lab.stack("--keep-going")
    assert outcome.code == 5, outcome
    assert [(c.target, c.ok, c.message) for c in outcome.of(FilesCopied)] == [
        ("late", False, "out of reach")
    ]
    for node in lab.nodes.values():
        node.forget()
    lab.node("late", late)
    copied(lab, "one", "late")
    again = lab.again("resume", outcome.directory)
    assert again.code == 0, again
    assert ran(lab, "late") == PHASES
    assert ran(lab, "one") == ["settings"]
    assert ran(lab, "two") == []
    assert (late.home / "conf").read_text() == "here\n"


def test_who_needs_their_files_fails(lab: SshLab, late: Sshd) -> None:
    copied(lab, "late", "two")
    outcome = lab.stack("--keep-going")
    assert outcome.code == 5, outcome
    assert [(c.target, c.ok) for c in outcome.of(FilesCopied)] == [("two", False)]
    assert ended(outcome)["two"] is Status.FAILED
    assert ran(lab, "one") == PHASES
    assert ran(lab, "two") == PHASES[:3]
