"""Groups of options, which commands take as values."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.testing import CliRunner

from asyncstack.cli.grouping import Options, expanded

Size = Annotated[int, typer.Option("-s", "--size")]
Colour = Annotated[str, typer.Option("--colour")]
Name = Annotated[str, typer.Argument()]


def _shape(size: Size = 1) -> tuple[int]:
    return (size,)


@expanded
def _look(shape: Annotated[tuple[int], Options(_shape)], colour: Colour = "red") -> str:
    return f"{colour} {shape[0]}"


@expanded
def show(name: Name = "ball", *, look: Annotated[str, Options(_look)], loud: bool = False) -> None:
    typer.echo(f"{name}: {look}{'!' if loud else ''}")


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(show)
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_defaults_are_those_of_the_groups() -> None:
    assert run() == "ball: red 1\n"


def test_options_reach_groups_within_groups() -> None:
    assert run("box", "-s", "3", "--loud", "--colour", "blue") == "box: blue 3!\n"


def test_the_order_of_help_is_that_of_the_groups() -> None:
    text = run("--help")
    places = [text.index(option) for option in ("--size", "--colour", "--loud")]
    assert places == sorted(places)
