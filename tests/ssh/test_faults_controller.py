"""Controllers that are killed: the next one takes the run up, nothing is lost or done twice."""

from __future__ import annotations

import pytest

from asyncstack.model import Status
from tests.ssh.controllers import Controllers
from tests.ssh.lab import SshLab
from tests.ssh.proof import assert_nothing_lost, chance_of_test, enable_witnesses


@pytest.mark.timeout(400)
def test_fifty_kills_at_random_moments(lab: SshLab) -> None:
    """A chain: killed, taken up, killed again: in boots, deliveries, phases, at the very end."""
    chance = chance_of_test()
    lab.node("one")
    lab.node("two")
    enable_witnesses(lab, "first", "second")
    lab.write_inventory()
    controllers = Controllers(lab)
    kills = 0
    while kills < 50:
        directory = lab.root / f"run-after-{kills}-kills"
        stack = ("stack", lab.conf, "-i", lab.inventory, "--run-dir", directory)
        limit = min(50, kills + 25)
        code = controllers.kill_soon(controllers.start(*stack), directory, chance)
        while code is None and kills < limit:
            kills += 1
            # One that was killed before there was a record has left nothing to take up.
            begun = (directory / "run.json").exists()
            again = controllers.start(*(("attach", directory) if begun else stack))
            code = controllers.kill_soon(again, directory, chance)
        if code is None:
            kills += 1
            code = controllers.end("attach", directory)
        assert code == 0, controllers.output
        assert_nothing_lost(lab, directory)
        for node in lab.nodes.values():
            node.forget()


def test_a_group_whose_turn_never_comes_is_told(lab: SshLab) -> None:
    """Each of its steps has a final status as well, and its plugins have run nothing."""
    lab.node("one")
    lab.node("two")
    enable_witnesses(lab, "plugin", more="[[ ${2:-} != install ]]")
    lab.write_inventory({"controller": ["one"], "compute": ["two"]})
    outcome = lab.stack("--order", "controller,compute")
    assert outcome.code == 1, outcome
    finals = assert_nothing_lost(lab, outcome.directory)
    assert finals["one", "plugin", "install"] is Status.FAILED
    assert {s for (node, *_), s in finals.items() if node == "two"} == {Status.ABORTED}
    assert lab.nodes["two"].witness() == []
