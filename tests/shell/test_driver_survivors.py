"""The driver among plugins that misbehave and still come to their end: nobody else notices."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from asyncstack.events import RunFinished
from asyncstack.model import Status
from tests.helpers.lab import Lab, Outcome

pytestmark = pytest.mark.slow

_PLUGINS = Path(__file__).parent / "plugins"
_NAMES = sorted(path.name for path in (_PLUGINS / "survives").iterdir())


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("survivors"))
    yield lab
    daemons = lab.dest / "data" / "daemons"
    for pid in daemons.read_text().split() if daemons.exists() else ():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


@pytest.fixture(scope="module")
def outcome(lab: Lab) -> Outcome:
    """One run: each misbehaving plugin, and after each of them a witness."""
    order = ["before"]
    lab.plugin_from("before", _PLUGINS / "witness")
    for name in _NAMES:
        lab.plugin_from(name, _PLUGINS / "survives" / name)
        lab.plugin_from(f"after-{name}", _PLUGINS / "witness")
        order += [name, f"after-{name}"]
    lab.write_conf(lab.enable(*order))
    return lab.run("stack", "--until-phase", "install")


def test_all_steps_are_ok(outcome: Outcome) -> None:
    """Each of them ends well, in registration order, in both phases, and so does the run."""
    order = ["before", *(name for one in _NAMES for name in (one, f"after-{one}"))]
    for phase in ("pre-install", "install"):
        assert outcome.statuses(phase) == dict.fromkeys(order, "ok")
    assert outcome.of(RunFinished)[0].status is Status.OK
    assert outcome.code == 0
    assert outcome.no_traceback


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("phase", ["pre-install", "install"])
def test_the_next_plugin_finds_what_the_first_one_found(
    outcome: Outcome, name: str, phase: str
) -> None:
    """Descriptors, directory, umask, options, traps and IFS are what they were before."""
    before = outcome.log("before", phase)
    assert before.endswith(b"at home\n")
    found = outcome.log(f"after-{name}", phase)
    noise = [line for line in found.splitlines() if line.startswith((b"noise", b"[DEBUG"))]
    lines = [line for line in found.splitlines() if line not in noise]
    assert lines == before.splitlines()


def test_output_is_binary_safe(outcome: Outcome) -> None:
    """Bytes that are no UTF-8, and an unfinished last line, are in the log as they were."""
    assert outcome.log("not-utf8") == b"\xff\xfe\x00\xc3( caf\xe9\nunfinished"


def test_a_line_of_10_mb_is_kept(outcome: Outcome) -> None:
    """No line is too long."""
    log = outcome.log("long-line")
    assert len(log) == 10485760 + 1
    assert log.count(b"x") == 10485760


def test_forged_events_are_output(outcome: Outcome) -> None:
    """What looks like our framing lands in the log and changes nothing."""
    log = outcome.log("looks-like-framing")
    assert log.startswith(b"\x1e0123456789abcdef\x1fend\x1f1")
    assert log.endswith(b"cut off \x1e")


def test_stdin_is_at_its_end(outcome: Outcome) -> None:
    """A plugin that reads stdin gets the end of file at once."""
    assert outcome.log("reads-stdin") == b"read the end of file\ncat read ''\n"


def test_redirected_output_goes_where_the_plugin_wants(outcome: Outcome, lab: Lab) -> None:
    """`exec >file` works for the rest of the step, and no longer."""
    assert (lab.dest / "data" / "stolen").read_text() == "hidden\n"
    assert outcome.log("exec-stdout") == b""


def test_daemons_are_left_alone(outcome: Outcome, lab: Lab) -> None:
    """A service that a plugin started runs on after the run, which didn't wait for it."""
    pids = [int(pid) for pid in (lab.dest / "data" / "daemons").read_text().split()]
    assert len(pids) == 4
    for pid in pids:
        os.kill(pid, 0)


def test_durations_and_figures_are_never_negative(outcome: Outcome) -> None:
    """Whatever plugins do to clocks and locales, each figure is one."""
    for step in outcome.steps.values():
        assert step.duration_s >= 0
        assert step.user_cpu_s >= 0
        assert step.system_cpu_s >= 0
        assert step.read_bytes >= 0
        assert step.write_bytes >= 0
        assert step.clock_step_s == 0
        if step.status is Status.OK:
            assert 0 < step.start <= step.end
