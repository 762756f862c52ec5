"""The driver among plugins that end its shell: the step has failed, whatever status it had."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncstack.events import NodeFinished, RunFinished
from asyncstack.model import Status
from tests.helpers.lab import Lab, Outcome

pytestmark = pytest.mark.slow

_PLUGINS = Path(__file__).parent / "plugins"
_ENDS = sorted(path.name for path in (_PLUGINS / "ends").iterdir())
_LOST = sorted(path.name for path in (_PLUGINS / "lost").iterdir())


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("ends"))
    lab.plugin_from("first", _PLUGINS / "witness")
    lab.plugin_from("last", _PLUGINS / "witness")
    for kind, names in (("ends", _ENDS), ("lost", _LOST)):
        for name in names:
            lab.plugin_from(name, _PLUGINS / kind / name)
    return lab


def stack(lab: Lab, name: str, *options: str) -> Outcome:
    """Run a bad plugin between two good ones."""
    lab.write_conf(lab.enable("first", name, "last"))
    return lab.run(*options, "stack")


@pytest.fixture(scope="module")
def outcomes(lab: Lab) -> dict[str, Outcome]:
    """One run of each."""
    return {name: stack(lab, name) for name in (*_ENDS, *_LOST)}


@pytest.mark.parametrize(
    "name", [n for n in _ENDS if n not in ("syntax-error", "readonly-globals")]
)
def test_the_step_has_failed_and_what_comes_after_it_never_begins(
    outcomes: dict[str, Outcome], name: str
) -> None:
    """The plugin before is ok, this one failed, the one after and the phases after are aborted."""
    outcome = outcomes[name]
    assert outcome.statuses() == {"first": "ok", name: "failed", "last": "aborted"}
    assert set(outcome.statuses("test-config").values()) == {"aborted"}
    assert set(outcome.statuses("pre-install").values()) == {"ok"}
    assert outcome.code == 1
    assert outcome.of(RunFinished)[0].exit_code == 1
    assert outcome.of(NodeFinished)[0].status is Status.FAILED
    assert outcome.record.status is Status.FAILED
    assert outcome.no_traceback
    assert f"{name} install failed" in outcome.stderr


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("exit-0", {"exit_code": 0, "command": "exit 0", "line": 3}),
        ("exit-3", {"exit_code": 3, "command": "exit 3", "line": 3}),
        ("die", {"exit_code": 1, "command": "die", "message": "the database is not there"}),
        ("return-1", {"exit_code": 1, "message": "returned 1"}),
        ("fails-deep-inside", {"exit_code": 1, "command": "cat /does/not/exist", "line": 3}),
        ("set-plus-e-and-fails", {"exit_code": 4, "message": "returned 4"}),
        ("exit-trap-hides-failure", {"exit_code": 0, "message": "ended the shell"}),
        ("execs-true", {"exit_code": 0, "message": "`exec`"}),
        ("unbound", {"exit_code": 1, "command": 'echo "$no_such_variable"', "line": 4}),
        ("divides-by-zero", {"exit_code": 1, "message": "bash's own error"}),
        ("noexec", {"exit_code": 0}),
        (
            "sources-nothing",
            {"exit_code": 1, "command": 'source "$DEST/no-such/bin/activate"', "line": 3},
        ),
        (
            "ini-without-directory",
            {"exit_code": 1, "command": "iniset", "line": 3, "message": "there is no directory"},
        ),
        ("kills-term", {"message": "ended by SIGTERM"}),
        ("kills-its-group", {"message": "ended by SIGTERM"}),
        ("closes-everything", {}),
    ],
)
def test_the_failure_says_where_and_why(
    outcomes: dict[str, Outcome], name: str, expected: dict[str, object]
) -> None:
    """The status, the command, its line in the plugin's own file, and bash's or our own words."""
    step = outcomes[name].step(name)
    if "exit_code" in expected:
        assert step.exit_code == expected["exit_code"]
    assert step.command == expected.get("command", step.command)
    assert str(expected.get("message", "")) in step.message
    if "line" in expected:
        assert step.location.endswith(f"/dest/{name}/devstack/plugin.sh:{expected['line']}")


def test_the_call_stack_is_bashs_own(outcomes: dict[str, Outcome]) -> None:
    """Innermost first, from the failing function out to the file, and no frame of the driver's."""
    step = outcomes["fails-deep-inside"].step("fails-deep-inside")
    assert [(f.function, f.line) for f in step.stack] == [
        ("inner", 3),
        ("outer", 7),
        ("source", 10),
    ]
    assert {Path(f.path).name for f in step.stack} == {"plugin.sh"}
    assert b"never printed" not in outcomes["fails-deep-inside"].log("fails-deep-inside")


def test_what_bash_ends_by_itself_has_a_call_stack_as_well(outcomes: dict[str, Outcome]) -> None:
    """The line that bash has forgotten is that of the command's text."""
    step = outcomes["sources-nothing"].step("sources-nothing")
    assert [(f.function, f.line) for f in step.stack] == [("activate", 3), ("source", 8)]


def test_an_exit_has_a_call_stack_as_well(outcomes: dict[str, Outcome]) -> None:
    """`exit` inside a function is told with the calls that led to it."""
    step = outcomes["exit-0"].step("exit-0")
    assert [(f.function, f.line) for f in step.stack] == [("helper", 3), ("source", 6)]


def test_a_syntax_error_is_found_in_the_first_phase(outcomes: dict[str, Outcome]) -> None:
    """bash's message, with the plugin's file and line, is on the screen."""
    outcome = outcomes["syntax-error"]
    assert outcome.statuses("pre-install") == {
        "first": "ok",
        "syntax-error": "failed",
        "last": "aborted",
    }
    assert outcome.code == 1
    assert "plugin.sh: line 3: syntax error near unexpected token `then'" in outcome.stderr


def test_the_neighbour_of_what_locks_globals_is_not_done(outcomes: dict[str, Outcome]) -> None:
    """Where the next step can't begin, it has failed, says so, and nothing passes for done."""
    outcome = outcomes["readonly-globals"]
    assert outcome.statuses()["first"] == "ok"
    assert outcome.statuses()["last"] in ("failed", "aborted")
    assert outcome.code == 1
    assert outcome.no_traceback
    assert [s for s in outcome.steps.values() if s.status is Status.FAILED and s.message]


@pytest.mark.parametrize("name", _LOST)
def test_a_killed_driver_is_lost(outcomes: dict[str, Outcome], name: str) -> None:
    """Exit code 5; the step that was open is named, the ones after it are aborted."""
    outcome = outcomes[name]
    assert outcome.statuses() == {"first": "ok", name: "lost", "last": "aborted"}
    assert outcome.code == 5
    assert outcome.of(NodeFinished)[0].status is Status.LOST
    assert outcome.of(RunFinished)[0].status is Status.LOST
    assert outcome.step(name).duration_s >= 0
    assert "killed" in outcome.step(name).message
    assert f"{name} install lost" in outcome.stderr
    assert outcome.no_traceback
