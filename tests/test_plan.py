"""The plan of a run, and what it says about dependencies."""

from __future__ import annotations

import pytest

from asyncstack.errors import SettingsError
from asyncstack.model import Command, Declaration, PhaseSelection, Plugin
from asyncstack.plan import dependency_suspicions, phase_names, plan_phases

_ALL = PhaseSelection()
_GROUPS = ("post-config", "extra", "post-extra", "test-config")


def test_a_stack_run_does_what_stack_sh_does() -> None:
    """Every phase with all of its parts, in order."""
    phases = plan_phases("stack", _ALL, groups=_GROUPS, has_local_sh=True)
    assert [(phase.key.name, phase.parts) for phase in phases] == [
        ("override_defaults", ("extras", "plugins")),
        ("source", ("extras", "plugins")),
        ("prerequisites", ("packages",)),
        ("pre-install", ("extras", "plugins")),
        ("install", ("extras", "plugins")),
        ("post-config", ("extras", "plugins", "merge=post-config")),
        ("extra", ("merge=extra", "extras", "plugins", "merge=post-extra", "local.sh")),
        ("test-config", ("extras", "plugins", "merge=test-config")),
    ]


def test_what_local_conf_does_not_have_is_no_part() -> None:
    """No section, no merge; no local.sh, no step."""
    phases = plan_phases("stack", _ALL)
    assert all(set(phase.parts) <= {"extras", "plugins", "packages"} for phase in phases)


@pytest.mark.parametrize(
    ("command", "last"), [("unstack", ["unstack"]), ("clean", ["unstack", "clean"])]
)
def test_modes_without_phases(command: Command, last: list[str]) -> None:
    """The settings first; clean runs unstack first."""
    assert phase_names(command) == ["override_defaults", "source", *last]


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (PhaseSelection(only="nonsense"), "--phase nonsense: stack has no such phase"),
        (PhaseSelection(first="unstack"), "--from-phase unstack"),
        (PhaseSelection(only="install", last="extra"), "can't go with"),
        (PhaseSelection(first="extra", last="install"), "comes before"),
    ],
)
def test_selections_that_mean_nothing(selection: PhaseSelection, said: str) -> None:
    """Named with the option, and exit code 2."""
    with pytest.raises(SettingsError, match=said) as caught:
        plan_phases("stack", selection)
    assert caught.value.exit_code == 2


def plugins(*names: str) -> list[Plugin]:
    return [Plugin(name, "u", "r", f"/{name}", "local.conf", n) for n, name in enumerate(names, 10)]


def requires(name: str, other: str) -> Declaration:
    return Declaration(name, other, f"/{name}/devstack/settings", 3)


def test_a_requirement_that_is_met_says_nothing() -> None:
    """In the right order there is nothing to tell, nor about plugins that aren't enabled."""
    found = [Declaration("a", "", "", 1), requires("b", "a"), requires("absent", "x")]
    assert dependency_suspicions(plugins("a", "b"), found) == []


def test_a_requirement_that_is_missing() -> None:
    """The line that is to be added, and where."""
    (found,) = dependency_suspicions(plugins("a"), [requires("a", "b"), requires("a", "b")])
    assert found.code == "requirement-missing"
    assert "add 'enable_plugin b URL' before line 10" in found.message
    assert (found.plugin, found.path, found.line) == ("a", "local.conf", 10)


def test_a_requirement_that_comes_later() -> None:
    """Both lines, and which one to move."""
    (found,) = dependency_suspicions(plugins("a", "b"), [requires("a", "b")])
    assert found.code == "requirement-later"
    assert "move line 11 before line 10" in found.message


def test_plugins_that_require_each_other() -> None:
    """No order can be right, and the cycle is named."""
    found = dependency_suspicions(plugins("a", "b"), [requires("a", "b"), requires("b", "a")])
    assert "requirement-cycle" in [one.code for one in found]
    assert "a → b → a" in found[-1].message
