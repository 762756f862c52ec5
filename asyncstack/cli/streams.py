"""The standard streams of this process, whatever the caller has made of them."""

from __future__ import annotations

import io
import os
import sys

__all__ = ["BROKEN_PIPE", "give_stdout_up", "secure_streams"]

#: The exit code of a program whose reader has had enough (`| head`), as shells tell it.
BROKEN_PIPE = 141


def secure_streams() -> None:
    """Open those that the caller has closed, and let none fail for a character that it can't show.

    The next file to be opened would have the number of a closed one, and get what is printed.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
            mode = "w" if descriptor else "r"
            stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def give_stdout_up() -> None:
    """Nobody takes it any more: Python must not fail once more when it flushes it in the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
