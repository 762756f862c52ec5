"""Timing across nodes whose clocks differ: who held the barrier is told by one clock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import msgspec

from asyncstack.events import ClockCompared, StepFinished, Warned
from asyncstack.model import PhaseKey
from asyncstack.reports.export import Report
from tests.ssh.lab import SshLab

AHEAD_S = 1000

# As after `unset EPOCHREALTIME` in a plugin: bash's own clock is gone, so the driver asks `date`,
# and that is one whose clock is wrong.
_SKEWED = """
if [[ $DEST == *-ahead ]]; then
    unset EPOCHREALTIME
    PATH=$DEST/bin:$PATH
fi
"""
_DATE = """#!/bin/sh
exec {date} -d '+{ahead} seconds' "$@"
"""
# The slow one goes on when the other comes to its last step, and works on for a while.
_HOLDS = """
if [[ $2 == install && $NODE_NAME == slow ]]; then
    read -r _ <"$DEST/go"
    sleep 2
fi
"""
_LAST = """
[[ $2 != install || $NODE_NAME != ahead ]] || echo on >"$OTHER/go"
"""


def test_who_held_the_barrier_is_told_by_one_clock(lab: SshLab) -> None:
    """By the stamps alone the one whose clock is ahead would be the last by far."""
    ahead, slow = lab.node("ahead"), lab.node("slow")
    (ahead.dest / "bin").mkdir(parents=True)
    date = ahead.dest / "bin/date"
    date.write_text(_DATE.format(date=shutil.which("date"), ahead=AHEAD_S))
    date.chmod(0o755)
    slow.dest.mkdir()
    os.mkfifo(slow.dest / "go")
    lab.plugin("holds", _HOLDS)
    lab.plugin("last", _LAST)
    lab.write_conf(_SKEWED + lab.enable("holds", "last"))
    lab.write_inventory(localrc={"ahead": {"OTHER": str(slow.dest)}})

    outcome = lab.stack("--until-phase", "install")

    assert outcome.code == 0, outcome
    offsets = {event.node: event for event in outcome.of(ClockCompared)}
    assert abs(offsets["ahead"].offset_s - AHEAD_S) <= offsets["ahead"].uncertainty_s
    assert abs(offsets["slow"].offset_s) <= offsets["slow"].uncertainty_s
    assert [w.node for w in outcome.of(Warned) if w.code == "clock-offset"] == ["ahead"]
    ends = {step.node: step.end for step in outcome.of(StepFinished) if step.phase == "install"}
    assert ends["ahead"] > ends["slow"] + AHEAD_S / 2
    report = _report(lab, outcome.directory)
    (wait,) = [wait for wait in report.waits if wait.phase.phase == "install"]
    assert (wait.node, wait.plugin) == ("slow", "holds")
    assert wait.nodes == ("ahead", "slow")
    assert max(wait.late_s for wait in report.waits) < AHEAD_S / 2
    first = report.gains[0]
    assert (first.plugin, PhaseKey(first.mode, first.phase).name, first.node) == (
        "holds",
        "install",
        "slow",
    )


def _report(lab: SshLab, run: os.PathLike[str]) -> Report:
    line = [sys.executable, "-m", "asyncstack", "report", str(run), "--format", "json"]
    done = subprocess.run(line, env=lab.environment, cwd=lab.root, capture_output=True, check=True)
    return msgspec.json.decode(done.stdout, type=Report)
