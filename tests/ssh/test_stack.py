"""Stacking several nodes: they keep step as they were told to, and nothing is done twice."""

from __future__ import annotations

from tests.ssh.lab import SshLab, assert_exactly_once


def test_linear_keeps_phases_apart(lab: SshLab) -> None:
    """By the nodes' own clocks, which are one here: a phase begins when all have left the last."""
    lab.three()
    lab.witnesses("first", "second")
    lab.write_inventory()
    outcome = lab.stack()
    assert outcome.code == 0, outcome
    assert_exactly_once(lab, outcome)
    order = ("settings", "pre-install", "install", "post-config", "extra", "test-config")
    seen = sorted(line for node in lab.nodes.values() for line in node.witness())
    assert [phase for _, _, phase, _ in seen] == [phase for phase in order for _ in range(12)]
