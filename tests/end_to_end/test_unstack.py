"""unstack and clean: no errexit, everybody's turn comes, and the first failure isn't forgotten."""

from __future__ import annotations

import pytest

from asyncstack.events import PhaseFinished
from asyncstack.model import PhaseKey, Status
from tests.helpers.lab import Lab, Outcome

pytestmark = pytest.mark.slow

_SCRIPT = """
echo "$plugin $1 $# e:${-//[^e]/}" >>"$DATA_DIR/order"
false
echo "went on"
if [[ $plugin == broken ]]; then
    cat /does/not/exist
fi
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    for name in ("first", "broken", "last"):
        lab.plugin(name, _SCRIPT, settings='echo "$plugin settings" >>"$DATA_DIR/order"\n')
    lab.write_conf(lab.enable("first", "broken", "last"))
    return lab


@pytest.fixture(scope="module")
def unstack(lab: Lab) -> Outcome:
    return lab.run("unstack")


@pytest.fixture(scope="module")
def clean(lab: Lab, unstack: Outcome) -> Outcome:
    (lab.dest / "data/order").rename(lab.dest / "data/order-of-unstack")
    return lab.run("clean")


def test_a_failing_step_is_reported_and_the_next_one_still_runs(unstack: Outcome) -> None:
    """The exit code is 1, the step names its command, and the plugin after it is ok."""
    assert unstack.code == 1
    assert unstack.statuses("unstack") == {"first": "ok", "broken": "failed", "last": "ok"}
    assert unstack.step("broken", "unstack").command == "cat /does/not/exist"
    assert unstack.step("broken", "unstack").exit_code == 1
    assert "broken unstack failed" in unstack.stderr
    assert unstack.record.status is Status.FAILED


def test_errexit_is_off(unstack: Outcome) -> None:
    """A command that fails in the middle doesn't end the step, as in unstack.sh."""
    assert unstack.log("first", "unstack") == b"went on\n"


def test_unstack_loads_the_settings_first(unstack: Outcome, clean: Outcome, lab: Lab) -> None:
    """override_defaults, settings, then `plugin.sh unstack` with one argument."""
    names = ["first", "broken", "last"]
    order = (lab.dest / "data/order-of-unstack").read_text().splitlines()
    assert order == [f"{n} settings" for n in names] + [f"{n} unstack 1 e:" for n in names]


def test_clean_runs_unstack_first(clean: Outcome, lab: Lab) -> None:
    """clean.sh calls unstack.sh: unstack of all, then clean of all, whatever fails."""
    names = ["first", "broken", "last"]
    assert clean.code == 1
    phases = [PhaseKey(p.mode, p.phase).name for p in clean.of(PhaseFinished)]
    assert phases == ["override_defaults", "source", "unstack", "clean"]
    assert (lab.dest / "data/order").read_text().splitlines() == [
        *(f"{name} settings" for name in names),
        *(f"{name} unstack 1 e:" for name in names),
        *(f"{name} clean 1 e:" for name in names),
    ]
    assert clean.statuses("clean") == {"first": "ok", "broken": "failed", "last": "ok"}


def test_exit_in_a_plugin_ends_unstack_too(lab: Lab) -> None:
    """`exit 0` still ends the shell that all share: failed, and the ones after it aborted."""
    lab.plugin("leaves", "exit 0\n")
    lab.plugin("after", "echo after\n")
    lab.write_conf(lab.enable("leaves", "after"))
    outcome = lab.run("unstack")
    assert outcome.code == 1
    assert outcome.statuses("unstack") == {"leaves": "failed", "after": "aborted"}
