"""The public interface, and that every module's `__all__` tells the truth."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

import asyncstack
from asyncstack import errors
from tests.helpers.program import make_plugin, write_local_conf

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(asyncstack.__path__, "asyncstack.")
    if not module.name.endswith("__main__")
)


def imports() -> list[tuple[str, str, str]]:
    """Every `from asyncstack.X import Y` of the package: where it stands, X, Y."""
    found = []
    for path in sorted(Path(asyncstack.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("asyncstack."):
                found += [(str(path), str(node.module), alias.name) for alias in node.names]
    return found


@pytest.mark.parametrize("name", MODULES)
def test_what_all_names_exists(name: str) -> None:
    module = importlib.import_module(name)
    public = getattr(module, "__all__", [])
    assert len(set(public)) == len(public)
    assert [entry for entry in public if not hasattr(module, entry)] == []


def test_modules_import_from_each_other_only_what_all_names() -> None:
    private = [
        f"{path}: {name} of {home}"
        for path, home, name in imports()
        if f"{home}.{name}" not in MODULES
        and name not in getattr(importlib.import_module(home), "__all__", [name])
    ]
    assert private == []


def test_every_name_of_the_interface_can_be_had() -> None:
    for name in asyncstack.__all__:
        assert getattr(asyncstack, name) is not None
        assert name in dir(asyncstack)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = asyncstack.nonsense


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import asyncstack;"
        "print(sorted(m for m in set(sys.modules) - before"
        " if m.partition('.')[0] in ('asyncstack', 'anyio', 'msgspec', 'rich', 'typer')))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert output.strip() == "['asyncstack']"


def test_every_error_has_one_of_the_documented_exit_codes() -> None:
    classes = [getattr(errors, name) for name in errors.__all__]
    assert {error.exit_code for error in classes} <= {1, 2, 5, 70}


def test_a_run_from_python(tmp_path: Path) -> None:
    """What the README shows: plan, run, read the journal."""
    plugin = make_plugin(tmp_path / "hello", "echo hello from $1 $2\n")
    settings = asyncstack.RunSettings(
        local_conf=write_local_conf(tmp_path, plugin), run_directory=tmp_path / "run"
    )

    async def main() -> asyncstack.RunResult:
        (plan,) = await asyncstack.make_plan(settings)
        assert [planned.plugin.name for planned in plan.plugins] == ["hello"]
        return await asyncstack.execute(settings, asyncstack.Silent())

    result = anyio.run(main)
    assert result.status is asyncstack.Status.OK
    steps = [
        event
        for event in asyncstack.read_events(result.directory.events)
        if isinstance(event, asyncstack.StepFinished) and event.plugin == "hello"
    ]
    assert [step.phase for step in steps if step.status is asyncstack.Status.OK] == [
        "pre-install",
        "install",
        "post-config",
        "extra",
        "test-config",
    ]


@pytest.mark.anyio
async def test_a_fetch_from_python(tmp_path: Path) -> None:
    plugin = make_plugin(tmp_path / "hello", "")
    request = asyncstack.FetchRequest(
        "hello", f"file://{plugin}", "master", str(tmp_path / "dest" / "hello")
    )
    (tmp_path / "dest").mkdir()
    options = asyncstack.FetchOptions(cache_directory=str(tmp_path / "cache"))
    events: list[asyncstack.Event] = []
    (result,) = await asyncstack.fetch([request], options, events.append)
    assert result.status.good
    assert (tmp_path / "dest" / "hello" / "devstack" / "plugin.sh").is_file()
    assert any(isinstance(event, asyncstack.FetchFinished) for event in events)
