"""How `--help` is laid out: paragraphs wrapped, indented lines left as they are.

Typer without its rich mode wraps everything it is given, examples included, and cuts the list of
commands off at one line each.
"""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from asyncstack.cli.streams import BROKEN_PIPE, give_stdout_up

__all__ = ["Command", "Group", "laid_out"]

_TYPE = re.compile(r" <[^<>]*>$")
_RANGE = re.compile(r"; [^];]*>=[^];]*\]$|  \[x>=[^]]*\]$")


def laid_out(text: str) -> str:
    r"""Mark the indented paragraphs of a help text (`\b`), so that they are not wrapped."""
    paragraphs: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        if not paragraph.startswith(" "):
            paragraphs.append(paragraph)
        elif paragraphs and paragraphs[-1].startswith("\b"):
            paragraphs[-1] += "\n" + paragraph
        else:
            paragraphs.append("\b\n" + paragraph)
    return "\n\n".join(paragraphs)


class Command(TyperCommand):
    """A subcommand."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the docstring."""
        _write_help(self.help, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, without the types and ranges that say nothing new."""
        _write_parameters(self, ctx, formatter)

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002
        """The first sentence, whole: what is too long for one line goes on in the next."""
        return super().get_short_help_str(1000)


class Group(TyperGroup):
    """The program itself."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write what the program is."""
        _write_help(self.help, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options that stand before a subcommand, then the subcommands."""
        _write_parameters(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run a subcommand. Typer would end with 1, a failed step's code, when a reader goes away."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            give_stdout_up()
            raise typer.Exit(BROKEN_PIPE) from None

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002
        """The first sentence, whole, where one group stands among the commands of another."""
        return super().get_short_help_str(1000)


def _write_help(text: str | None, formatter: Any) -> None:
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(laid_out(text or ""))


def _write_parameters(command: Any, ctx: Any, formatter: Any) -> None:
    arguments: list[tuple[str, str]] = []
    options: list[tuple[str, str]] = []
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is None:
            continue
        name, text = record
        if parameter.param_type_name == "argument":
            arguments.append((_TYPE.sub("", name), text))
        else:
            options.append((name, _without_range(text)))
    for title, records in (("Arguments", arguments), ("Options", options)):
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def _without_range(text: str) -> str:
    return _RANGE.sub(lambda found: "]" if found[0].startswith(";") else "", text)
