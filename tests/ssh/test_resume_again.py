"""A run that fails, whose resume fails later: the second resume does what is left, and that once."""

from __future__ import annotations

from collections import Counter

import pytest

from asyncstack.model import PHASES
from tests.helpers.lab import Outcome
from tests.ssh.lab import WITNESS, SshLab
from tests.ssh.test_copies import copied

ONCE = dict.fromkeys(PHASES[1:], 1)
#: Fails on a node, in a phase, until it is mended.
FAILS = "[[ ! -e $DEST/fails-in-${2:-$1} ]]"


def plugin(lab: SshLab) -> None:
    """One that writes down what it does, and fails where it is told to."""
    script = WITNESS.format(name="plugin", more=FAILS)
    lab.plugin("plugin", script, settings=script.replace("${2:-$1}", "settings"))
    lab.write_conf(lab.enable("plugin"))


def fail_in(lab: SshLab, **phases: str) -> None:
    """node → the phase in which its plugins fail from now on."""
    for name, node in lab.nodes.items():
        node.dest.mkdir(exist_ok=True)
        for old in node.dest.glob("fails-in-*"):
            old.unlink()
        if name in phases:
            (node.dest / f"fails-in-{phases[name]}").touch()


def ends(lab: SshLab, name: str) -> dict[str, int]:
    """phase → how often plugins have come to its end on a node."""
    seen = lab.nodes[name].witness()
    return Counter(phase for _, _, phase, what in seen if what == "end")


def assert_once(lab: SshLab, *, settings: dict[str, int]) -> None:
    for name in lab.nodes:
        assert ends(lab, name) == {**ONCE, "settings": settings[name]}, name


def resume(lab: SshLab, run: Outcome) -> Outcome:
    """Resume a run; the outcome is that of the new one, which has a directory of its own."""
    runs = lab.state / "asyncstack/runs"
    before = {*runs.iterdir()} if runs.exists() else set()
    outcome = lab.again("resume", run.directory)
    (directory,) = {*runs.iterdir()} - before
    outcome.directory = directory
    return outcome


@pytest.mark.parametrize("options", [(), ("--keep-going",), ("--strategy", "free")], ids=str)
def test_each_phase_ends_once_on_each_node(lab: SshLab, options: tuple[str, ...]) -> None:
    lab.three()
    plugin(lab)
    lab.write_inventory()
    fail_in(lab, one="install")
    first = lab.stack(*options)
    assert first.code == 1, first
    fail_in(lab, one="post-config")
    second = resume(lab, first)
    assert second.code == 1, second
    fail_in(lab)
    third = resume(lab, second)
    assert third.code == 0, third
    others = 1 if options else 3  # those that went on to the end have no part in what follows
    assert_once(lab, settings={"one": 3, "two": others, "three": others})


def test_another_node_fails_than_before(lab: SshLab) -> None:
    """Which was a phase ahead."""
    lab.three()
    plugin(lab)
    lab.write_inventory()
    fail_in(lab, one="install")
    first = lab.stack()
    fail_in(lab, two="extra")
    second = resume(lab, first)
    assert second.code == 1, second
    fail_in(lab, three="settings")
    third = resume(lab, second)
    assert third.code == 1, third
    fail_in(lab)
    fourth = resume(lab, third)
    assert fourth.code == 0, fourth
    assert_once(lab, settings={"one": 4, "two": 4, "three": 3})


def test_groups_one_after_the_other(lab: SshLab) -> None:
    """First the controller fails, then a compute node: the controller has no part in the last run."""
    lab.three()
    plugin(lab)
    lab.write_inventory({"controller": ["two"], "compute": ["one", "three"]})
    fail_in(lab, two="install")
    first = lab.stack("--order", "controller,compute")
    assert first.code == 1, first
    fail_in(lab, three="extra")
    second = resume(lab, first)
    assert second.code == 1, second
    fail_in(lab)
    third = resume(lab, second)
    assert third.code == 0, third
    assert ends(lab, "two") == {**ONCE, "settings": 2}
    assert ends(lab, "three") == {**ONCE, "settings": 2}


def test_files_that_are_still_to_be_copied(lab: SshLab) -> None:
    """They are there only for the last run, though the phase that they belong to was in the first."""
    one, two = lab.node("one"), lab.node("two")
    plugin(lab)
    copied(lab, "~/conf")
    fail_in(lab)
    first = lab.stack()
    assert first.code == 1, first
    second = resume(lab, first)
    assert second.code == 1, second
    (one.sshd.home / "conf").write_text("here it is\n")
    fail_in(lab, two="extra")
    third = resume(lab, second)
    assert third.code == 1, third
    (one.sshd.home / "conf").write_text("changed since\n")
    fail_in(lab)
    fourth = resume(lab, third)
    assert fourth.code == 0, fourth
    assert (two.sshd.home / "conf").read_text() == "here it is\n"
    assert_once(lab, settings={"one": 4, "two": 4})


def test_a_node_that_was_out_of_reach_goes_on_where_it_had_failed(lab: SshLab) -> None:
    """The resume in between does without it, and comes to its end on the others."""
    lab.three()
    plugin(lab)
    lab.write_inventory()
    fail_in(lab, one="install")
    first = lab.stack("--max-fail", "1")
    assert first.code == 1, first
    lab.nodes["one"].sshd.stop()
    fail_in(lab, two="extra")
    second = resume(lab, first)
    assert second.code == 5, second
    lab.nodes["one"].sshd.start_again()
    fail_in(lab)
    third = resume(lab, second)
    assert third.code == 0, third
    assert_once(lab, settings={"one": 2, "two": 1, "three": 1})


def test_a_resume_that_was_stopped_before_it_did_anything(lab: SshLab) -> None:
    """The next one knows all the same where each node stands."""
    lab.three()
    plugin(lab)
    lab.write_inventory()
    fail_in(lab, one="install")
    first = lab.stack()
    assert first.code == 1, first
    lab.nodes["two"].sshd.stop()
    second = resume(lab, first)
    assert second.code == 5, second
    lab.nodes["two"].sshd.start_again()
    fail_in(lab)
    third = resume(lab, second)
    assert third.code == 0, third
    assert_once(lab, settings={"one": 2, "two": 2, "three": 2})
