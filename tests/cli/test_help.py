"""`--help` of everything, as it looks on a terminal of 80 columns."""

from __future__ import annotations

import inspect
import sys

import pytest
from typer.main import get_command

from asyncstack.cli.app import app
from asyncstack.cli.help import laid_out
from tests.helpers.program import Program

#: Each subcommand with its docstring.
COMMANDS = {
    name: inspect.cleandoc(command.help or "")
    for name, command in get_command(app).commands.items()  # type: ignore[attr-defined]
}


def shown(program: Program, *arguments: str) -> list[str]:
    result = program.run(*arguments, "--help", env={"COLUMNS": "80"})
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


def test_the_overview_names_every_command_with_its_whole_first_sentence(program: Program) -> None:
    text = " ".join(" ".join(shown(program)).split())
    for name, documented in COMMANDS.items():
        sentence = " ".join(documented.split("\n\n")[0].split()).partition(". ")[0].rstrip(".")
        assert f"{name} {sentence}." in text


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_no_line_is_wider_than_the_terminal(program: Program, name: str) -> None:
    lines = shown(program, *filter(None, [name]))
    assert [line for line in lines if len(line) >= 80] == []
    cut_off = [line for line in lines if line.rstrip().endswith("...")]
    assert [line for line in cut_off if not line.startswith("Usage:")] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_stand_as_they_were_written(program: Program, name: str) -> None:
    lines = shown(program, name)
    for line in COMMANDS[name].splitlines():
        if line.startswith("  "):
            assert f"  {line}" in lines


def test_arguments_and_options_say_nothing_twice(program: Program) -> None:
    text = "\n".join(shown(program, "stack"))
    assert "[[" not in text
    assert "<path>" not in text
    assert ">=" not in text


def test_help_imports_nothing_heavy(program: Program) -> None:
    code = (
        "import sys; from asyncstack.cli.main import _run; sys.argv[1:] = ['--help']; _run();"
        "heavy = {'anyio', 'asyncio', 'asyncssh', 'aiofiles', 'rich', 'structlog'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    assert program.shell([sys.executable, "-c", code]).stderr == "[]\n"


def test_paragraphs_are_wrapped_and_examples_are_not() -> None:
    text = "One\nparagraph.\n\n  first\n\n  second\n\nAnother."
    assert laid_out(text) == "One\nparagraph.\n\n\b\n  first\n  second\n\nAnother."
