"""Controllers that are killed: the next one takes the run up, nothing is lost or done twice."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from asyncstack.events import StepFinished
from asyncstack.journal import RunRecord, read_events
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


@pytest.mark.parametrize(
    ("emptied", "options"),
    [(["one"], []), (["one"], ["--keep-going"]), (["one", "two"], ["--keep-going"])],
)
def test_a_node_that_was_installed_anew_meanwhile(
    lab: SshLab, emptied: list[str], options: list[str]
) -> None:
    """What it was told is gone for good: the run ends without it, and can be resumed."""
    lab.node("one")
    lab.node("two")
    go = lab.root / "go"
    enable_witnesses(
        lab, "plugin", more=f"while [[ ${{2:-}} = install && ! -e {go} ]]; do sleep 0.05; done"
    )
    lab.write_inventory()
    process, directory = lab.start_stack(*options)
    lab.wait_for(
        process, *({"event": "step-started", "node": n, "phase": "install"} for n in lab.nodes)
    )
    process.kill()
    process.wait()
    for name in emptied:
        node = lab.nodes[name]
        (pid,) = (path.read_text().split()[0] for path in node.state.glob("*/*/pid"))
        os.killpg(int(pid), signal.SIGKILL)
        shutil.rmtree(node.state)
        node.forget()
    go.touch()
    outcome = lab.again("attach", directory)
    assert outcome.code == 5, outcome
    assert "has nothing left of run" in outcome.stderr
    assert RunRecord.read(directory / "run.json").status is Status.LOST
    finals = {(s.node, s.phase): s.status for s in read_steps(directory) if s.plugin == "plugin"}
    if options and "two" not in emptied:
        assert finals["two", "test-config"] is Status.OK
    assert lab.driven() == []
    for node in lab.nodes.values():
        node.forget()
    outcome = lab.again("resume", directory)
    assert outcome.code == 0, outcome
    phases = ["settings", "pre-install", "install", "post-config", "extra", "test-config"]
    for name in emptied:
        ran = [phase for _, _, phase, what in lab.nodes[name].witness() if what == "begin"]
        assert ran == phases


def read_steps(directory: Path) -> list[StepFinished]:
    return [e for e in read_events(directory / "events.jsonl") if isinstance(e, StepFinished)]
