"""README.rst promises commands and a few lines of Python; here they are held to it."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from typer.main import get_command

from asyncstack.cli.app import app
from tests.helpers.program import make_plugin, write_local_conf

README = Path(__file__).parents[2] / "README.rst"


def blocks(language: str) -> list[str]:
    """The code blocks of a language."""
    found = re.findall(
        rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", README.read_text(), re.MULTILINE
    )
    return [textwrap.dedent(block).strip("\n") for block in found]


def test_two_commands_are_all_that_it_takes() -> None:
    commands = [block for block in blocks("bash") if ".venv" in block]
    assert len(commands) == 2
    first, second = commands
    assert "\n" not in first
    assert "\n" not in second
    assert first.endswith(".venv/bin/asyncstack demo")
    assert "-m pytest" in second


def test_every_subcommand_is_listed_and_nothing_else() -> None:
    table = README.read_text().partition("\nCommands\n")[2].partition("\nExit codes\n")[0]
    listed = set(re.findall(r"^``asyncstack (\w+)", table, re.MULTILINE))
    assert listed == set(getattr(get_command(app), "commands"))  # noqa: B009 – not typed


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_local_conf(tmp_path, make_plugin(tmp_path / "hello", "echo hello\n"))
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    exec(compile(code, str(README), "exec"), {"__name__": "__main__"})
    assert "hello" in capsys.readouterr().out
