"""Printing results: as wide as the terminal, and for readers that may stop reading.

Everything heavy is imported inside the functions, so that `asyncstack --help` doesn't pay for it.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from asyncstack.cli import completion
from asyncstack.cli.streams import give_stdout_up

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Run", "open_stdout", "print_lines", "terminal_width"]

#: How wide a table is where there is no terminal to ask.
PIPE_WIDTH = 140

Run = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="A run's id, the beginning of one, or its directory. Default: the newest run.",
        show_default=False,
        autocompletion=completion.runs,
    ),
]


def terminal_width() -> int:
    """Of the terminal, or what COLUMNS says; wide enough for a whole table in a file."""
    fallback = (PIPE_WIDTH, 24)
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return PIPE_WIDTH
    return shutil.get_terminal_size(fallback).columns


def print_lines(lines: list[Text]) -> None:
    """Print styled lines to stdout, whole. Raises BrokenPipeError if its reader is gone."""
    from rich.console import Console

    class _Console(Console):
        def on_broken_pipe(self) -> None:
            # Rich would end the program with 1, which says that a step has failed.
            raise BrokenPipeError

    console = _Console(width=terminal_width(), highlight=False)
    for line in lines:
        console.print(line, soft_wrap=True)
    sys.stdout.flush()


@contextmanager
def open_stdout() -> Iterator[BinaryIO]:
    """Stdout for bytes. A reader that has had enough (`| head`) ends the program, silently."""
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        give_stdout_up()
        raise typer.Exit from None
