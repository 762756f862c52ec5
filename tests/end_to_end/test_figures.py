"""What a run measures: CPU, waiting, bytes, and output of any size."""

from __future__ import annotations

import sys

import pytest

from asyncstack.model import Status
from tests.helpers.lab import Lab, Outcome

pytestmark = pytest.mark.slow

_BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
_WRITE = 'dd if=/dev/zero of="$DATA_DIR/file" bs=1M count=8 conv=fsync 2>/dev/null\n'
_LINES = 2_000_000
_LOUD = f'[[ $2 != install ]] || seq -f "%099.0f" {_LINES}\n'


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.plugin("burns", f"{sys.executable} -c '{_BURN}'\n")
    lab.plugin("sleeps", "sleep 0.3\n")
    lab.plugin("spins", "for ((n = 0; n < 200000; n++)); do :; done\n")
    lab.plugin("writes", _WRITE)
    lab.write_conf(lab.enable("burns", "sleeps", "spins", "writes"))
    return lab.run("stack", lab.conf, "--phase", "install")


def test_cpu_of_children_counts(outcome: Outcome) -> None:
    """A child that burns 0.3 s of CPU shows them; the figures come from `times`."""
    step = outcome.step("burns")
    assert step.user_cpu_s + step.system_cpu_s >= 0.29
    assert step.duration_s >= 0.29


def test_cpu_of_the_shell_counts(outcome: Outcome) -> None:
    """And so does what the plugin's own bash does."""
    assert outcome.step("spins").user_cpu_s > 0.05


def test_waiting_is_no_cpu(outcome: Outcome) -> None:
    """A step that sleeps takes its time and next to no CPU."""
    step = outcome.step("sleeps")
    assert step.duration_s >= 0.3
    assert step.user_cpu_s + step.system_cpu_s < 0.15


def test_bytes_written_count(outcome: Outcome) -> None:
    """What children write to a disk is the step's; a memory file system has nothing to count."""
    written = outcome.step("writes").write_bytes
    assert written == 0 or written >= 8 * 1024 * 1024


def test_start_and_end_agree_with_the_duration(outcome: Outcome) -> None:
    """No clock stepped, so that the three are one statement."""
    for step in outcome.steps.values():
        if step.status is Status.OK:
            assert step.clock_step_s == 0
            assert step.end - step.start == pytest.approx(step.duration_s, abs=1e-4)


@pytest.mark.timeout(300)
def test_200_mb_of_output(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No line is lost, and the controller stays under 100 MB, however much a step prints."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.plugin("loud", _LOUD)
    lab.write_conf(lab.enable("loud"))
    measure = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[2:]).returncode\n"
        "open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))\n"
        "sys.exit(code)\n"
    )
    peak = lab.root / "peak"
    wrapper = [sys.executable, "-c", measure, str(peak)]
    outcome = lab.run("stack", lab.conf, "--phase", "install", wrapper=wrapper, timeout=280)
    assert outcome.code == 0
    step = outcome.step("loud")
    assert step.output_bytes == _LINES * 100
    log = outcome.directory / step.log
    assert log.stat().st_size == _LINES * 100
    with log.open("rb") as stream:
        assert all(int(line) == n for n, line in enumerate(stream, start=1))
    assert int(peak.read_text()) < 100 * 1024
    log.unlink()
