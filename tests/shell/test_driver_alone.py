"""Plugins whose quirk outlives them: the driver still tells the truth about their own step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.lab import Lab

pytestmark = pytest.mark.slow

_PLUGINS = Path(__file__).parent / "plugins" / "alone"


@pytest.mark.parametrize("name", sorted(path.name for path in _PLUGINS.iterdir()))
def test_all_its_phases_are_ok(tmp_path: Path, name: str) -> None:
    """Functions and aliases of the names of builtins blind nobody: each step has its end record."""
    lab = Lab(tmp_path)
    lab.plugin_from(name, _PLUGINS / name)
    lab.plugin("fails", "if [[ $2 == extra ]]; then\n    builtin cd /does/not/exist\nfi\n")
    lab.write_conf(lab.enable(name, "fails"))
    outcome = lab.run("stack")
    for phase in ("pre-install", "install", "post-config"):
        assert outcome.statuses(phase) == {name: "ok", "fails": "ok"}
    assert outcome.statuses("extra") == {name: "ok", "fails": "failed"}
    assert outcome.step("fails", "extra").location.endswith("/fails/devstack/plugin.sh:2")
    assert outcome.code == 1
