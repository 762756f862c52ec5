"""Runs that are met again: taken up, stopped, resumed, started in the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from asyncstack.events import Event, RunFinished, StepFinished
from asyncstack.journal import RunRecord, read_events, runs_home
from asyncstack.model import PhaseKey, Status
from tests.helpers.lab import Lab, alive

pytestmark = pytest.mark.slow

# `install` says that it has begun, and waits until it is told to end.
_WAITS = """
echo "$plugin $1 $2" >>"$DATA_DIR/ran"
if [[ $2 == install && $plugin == waits ]]; then
    echo $$ >"$DATA_DIR/waiting.new"
    mv "$DATA_DIR/waiting.new" "$DATA_DIR/waiting"
    echo before
    read -r _ <"$DATA_DIR/gate"
    echo after
fi
"""


class Met:
    """A lab whose plugin waits in `install`, and what can be done to its run."""

    def __init__(self, root: Path) -> None:
        self.lab = Lab(root)
        self.data = self.lab.dest / "data"
        self.data.mkdir(parents=True)
        os.mkfifo(self.data / "gate")
        os.mkfifo(self.data / "waiting.ready")
        script = _WAITS.replace(
            'mv "$DATA_DIR/waiting.new" "$DATA_DIR/waiting"',
            'mv "$DATA_DIR/waiting.new" "$DATA_DIR/waiting"; echo yes >"$DATA_DIR/waiting.ready"',
        )
        for name in ("first", "waits", "last"):
            self.lab.plugin(name, script)
        self.lab.write_conf(self.lab.enable("first", "waits", "last"))

    def start(self) -> subprocess.Popen[bytes]:
        """Start a stack run, and come back when its plugin waits."""
        line = [sys.executable, "-m", "asyncstack", "stack", str(self.lab.conf), "-q"]
        process = subprocess.Popen(
            line,
            env=self.lab.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.wait_until_it_waits()
        return process

    def wait_until_it_waits(self) -> None:
        assert (self.data / "waiting.ready").read_text() == "yes\n"

    def open_gate(self) -> None:
        (self.data / "gate").write_text("go\n")

    def asyncstack(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "asyncstack", *arguments],
            cwd=self.lab.root,
            env=self.lab.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    @property
    def runs(self) -> list[Path]:
        return sorted((self.lab.state / "asyncstack/runs").iterdir())

    @property
    def driver(self) -> str:
        return (self.data / "waiting").read_text().strip()

    def ran(self) -> list[str]:
        return (self.data / "ran").read_text().splitlines()


@pytest.fixture
def met(tmp_path: Path) -> Met:
    return Met(tmp_path)


def steps(run: Path) -> list[StepFinished]:
    return [e for e in read_events(run / "events.jsonl") if isinstance(e, StepFinished)]


def once_each(found: list[StepFinished]) -> bool:
    return set(Counter((s.node, s.mode, s.phase, s.plugin) for s in found).values()) == {1}


def resumed_through_the_gate(met: Met) -> int:
    """The exit code of a resume that comes to where the run waits, and is let through."""
    with subprocess.Popen(
        [sys.executable, "-m", "asyncstack", "resume", "-q"],
        env=met.lab.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as resumed:
        met.wait_until_it_waits()
        met.open_gate()
        return resumed.wait(60)


def test_a_run_whose_controller_was_killed_is_taken_up_and_nothing_runs_twice(met: Met) -> None:
    controller = met.start()
    controller.kill()
    controller.wait()
    assert alive(met.driver), "the driver has to outlive its controller"
    time.sleep(1.0)  # nobody is there meanwhile
    met.open_gate()
    attached = met.asyncstack("attach")
    assert attached.returncode == 0, attached.stderr
    (run,) = met.runs
    assert once_each(steps(run))
    assert {s.status for s in steps(run)} <= {Status.OK, Status.SKIPPED}
    assert len(met.ran()) == len(set(met.ran())) == 3 * 5
    (log,) = run.glob("logs/localhost/*-stack-install/waits.log")
    assert log.read_text() == "before\nafter\n"
    record = RunRecord.read(run / "run.json")
    assert record.status is Status.OK
    assert not alive(met.driver)
    # The run took all of that time, not only what was left of it.
    events = read_events(run / "events.jsonl")
    (took_s,) = [event.duration_s for event in events if isinstance(event, RunFinished)]
    assert record.finished is not None
    assert took_s == pytest.approx((record.finished - record.started).total_seconds(), abs=0.3)
    assert took_s > 1.0


def test_a_run_with_a_controller_is_not_taken_up_by_another(met: Met) -> None:
    controller = met.start()
    refused = met.asyncstack("attach")
    assert refused.returncode == 2
    assert "another process" in refused.stderr
    met.open_gate()
    assert controller.wait(60) == 0
    (run,) = met.runs
    assert once_each(steps(run))


def test_a_run_that_goes_on_is_not_resumed(met: Met) -> None:
    controller = met.start()
    (run,) = met.runs
    refused = met.asyncstack("resume", "-q")
    assert refused.returncode == 2
    assert f"{run}: the run goes on" in refused.stderr
    assert f"asyncstack stop {run.name}" in refused.stderr
    met.open_gate()
    assert controller.wait(60) == 0
    assert met.runs == [run]


def test_a_run_that_was_killed_and_stopped_is_resumed_once_it_was_taken_up(met: Met) -> None:
    """For only its node knows how far it has come."""
    controller = met.start()
    controller.kill()
    controller.wait()
    for stop in (False, True):
        if stop:
            assert met.asyncstack("stop").returncode == 0
        refused = met.asyncstack("resume", "-q")
        assert refused.returncode == 2
        assert "has lost its controller" in refused.stderr
        assert f"asyncstack attach {met.runs[0].name}" in refused.stderr
    assert met.asyncstack("attach", "-q").returncode == 1
    assert resumed_through_the_gate(met) == 0
    assert [line for line in met.ran() if "pre-install" in line] == [
        f"{name} stack pre-install" for name in ("first", "waits", "last")
    ]


def test_a_run_that_is_over_is_not_taken_up(met: Met) -> None:
    controller = met.start()
    met.open_gate()
    controller.wait(60)
    refused = met.asyncstack("attach")
    assert refused.returncode == 2
    assert "the run is over: ok" in refused.stderr


def test_stop_ends_the_controller_and_the_driver(met: Met) -> None:
    controller = met.start()
    stopped = met.asyncstack("stop")
    assert (stopped.returncode, stopped.stdout) == (0, "localhost: nothing is left\n")
    assert controller.wait(60) == 130
    assert not alive(met.driver)


def test_stop_ends_a_driver_that_has_no_controller_any_more(met: Met) -> None:
    controller = met.start()
    controller.kill()
    controller.wait()
    stopped = met.asyncstack("stop")
    assert (stopped.returncode, stopped.stdout) == (0, "localhost: nothing is left\n")
    assert not alive(met.driver)


def test_a_detached_run_says_its_id_and_goes_on_without_us(met: Met) -> None:
    started = subprocess.Popen(
        [sys.executable, "-m", "asyncstack", "stack", str(met.lab.conf), "--detach"],
        env=met.lab.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said, ways = started.communicate(timeout=60)
    assert started.returncode == 0
    met.wait_until_it_waits()
    (run,) = met.runs
    assert said.strip() == run.name
    assert ways.splitlines() == [
        f"follow it: asyncstack logs --follow {run.name}",
        f"end it:    asyncstack stop {run.name}",
    ]
    met.open_gate()
    followed = met.asyncstack("logs", "--follow")  # which ends with the run
    assert followed.returncode == 0
    finished: list[Event] = [
        e for e in read_events(run / "events.jsonl") if isinstance(e, RunFinished)
    ]
    assert [e.status for e in finished if isinstance(e, RunFinished)] == [Status.OK]


def test_a_detached_run_that_cannot_begin_says_why_and_fails(met: Met) -> None:
    refused = met.asyncstack("stack", "missing.conf", "--detach")
    assert refused.returncode == 2
    assert "missing.conf: no such file" in refused.stderr


def test_resume_begins_with_the_phase_that_failed(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.plugin("flaky", '[[ $2 != install || -e "$DATA_DIR/mended" ]]')
    lab.write_conf(lab.enable("flaky"))
    met = Met.__new__(Met)
    met.lab = lab
    assert met.asyncstack("stack", "-q").returncode == 1
    (lab.dest / "data/mended").touch()
    resumed = met.asyncstack("resume", "-q")
    assert resumed.returncode == 0, resumed.stderr
    again = [PhaseKey(s.mode, s.phase).name for s in steps(met.runs[-1])]
    assert again[:3] == ["override_defaults", "source", "install"]
    assert again[3:] == ["post-config", "extra", "test-config"]


def test_resume_of_a_good_run_is_refused(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.plugin("fine", ":")
    lab.write_conf(lab.enable("fine"))
    met = Met.__new__(Met)
    met.lab = lab
    assert met.asyncstack("stack", "-q").returncode == 0
    refused = met.asyncstack("resume", "-q")
    assert refused.returncode == 2
    assert "it left nothing to be done" in refused.stderr


def test_a_run_is_resumed_once(tmp_path: Path) -> None:
    """Its resume is named instead, or the last of them, and what is to be done about that one."""
    lab = Lab(tmp_path)
    lab.plugin("flaky", 'echo "$2" >>"$DATA_DIR/ran"; [[ $2 != install || -e "$DATA_DIR/mended" ]]')
    lab.write_conf(f'{lab.enable("flaky")}mkdir -p "$DATA_DIR"\n')
    met = Met.__new__(Met)
    met.lab, met.data = lab, lab.dest / "data"
    kept = tmp_path / "kept"
    assert met.asyncstack("stack", "-q", "--run-dir", str(kept)).returncode == 1
    assert met.asyncstack("resume", "-q", str(kept)).returncode == 1
    refused = met.asyncstack("resume", "-q", str(kept))
    (second,) = met.runs
    assert refused.returncode == 2
    assert f"{kept}: {second.name} has gone on from it, and is failed" in refused.stderr
    assert f"asyncstack resume {second.name}" in refused.stderr
    (met.data / "mended").touch()
    assert met.asyncstack("resume", "-q", second.name).returncode == 0
    ran = met.ran()
    for run in (str(kept), second.name):
        refused = met.asyncstack("resume", "-q", run)
        assert refused.returncode == 2
        assert f"{met.runs[-1].name} has gone on from it, and is ok" in refused.stderr
        assert "nothing is left to be done" in refused.stderr
    assert met.ran() == ran
    assert len(met.runs) == 2
    settings = RunRecord.read(met.runs[-1] / "run.json").settings
    assert settings is not None
    assert settings.resumes == second.name


def test_resume_of_an_interrupted_run_does_what_it_had_left(met: Met) -> None:
    controller = met.start()
    controller.send_signal(signal.SIGINT)
    assert controller.wait(60) == 130
    assert resumed_through_the_gate(met) == 0
    phases = [PhaseKey(s.mode, s.phase).name for s in steps(met.runs[-1])]
    assert "pre-install" not in phases
    assert phases.count("install") == 3


def test_a_closed_terminal_leaves_the_run_to_be_taken_up(met: Met) -> None:
    controller = met.start()
    controller.send_signal(signal.SIGHUP)
    assert controller.wait(60) == -signal.SIGHUP
    assert alive(met.driver)
    met.open_gate()
    assert met.asyncstack("attach", "-q").returncode == 0


def test_runs_are_kept_in_the_home_of_state() -> None:
    assert runs_home().parts[-2:] == ("asyncstack", "runs")
