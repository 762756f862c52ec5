"""Asking the user something, at the terminal that the program was started from."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, runtime_checkable

import anyio

from asyncstack.transports.base import Ask

__all__ = ["ask", "passphrases"]

_ECHO_FLAGS = 3  # where tcgetattr's list has the local modes


@runtime_checkable
class _Suspendable(Protocol):
    def suspended(self) -> AbstractContextManager[None]: ...


def passphrases(display: object = None) -> Ask:
    """Ask for passphrases; a display that can stand back does so meanwhile."""

    async def ask_hidden(prompt: str) -> str | None:
        with display.suspended() if isinstance(display, _Suspendable) else nullcontext():
            return await ask(f"asyncstack: {prompt}", hidden=True)

    return ask_hidden


async def ask(question: str, *, hidden: bool = False) -> str | None:
    """The line that the user types; '' for the end of input, None if nobody sits there.

    `hidden`: it isn't shown. Ctrl-C ends the waiting as it ends anything else.
    """
    with _terminal() as terminal:
        if terminal is None:
            return None
        with _without_echo(terminal) if hidden else nullcontext():
            os.write(terminal, question.encode())
            return await _line(terminal)


@contextmanager
def _terminal() -> Iterator[int | None]:
    # Not whatever terminal there may be: a run of a script's, or of a test's, is to ask nobody.
    # Nor one whose foreground is somebody else's: to read it would stop us.
    descriptor = None
    if sys.stdin.isatty() or sys.stderr.isatty():
        try:
            descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            descriptor = None
    try:
        ours = descriptor is not None and os.tcgetpgrp(descriptor) == os.getpgrp()
        yield descriptor if ours else None
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def _without_echo(terminal: int) -> Iterator[None]:
    before = termios.tcgetattr(terminal)
    hidden = [*before]
    hidden[_ECHO_FLAGS] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSAFLUSH, hidden)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        os.write(terminal, b"\n")  # that of the user's Enter wasn't shown


async def _line(terminal: int) -> str:
    typed = b""
    while not typed.endswith(b"\n"):
        await anyio.wait_readable(terminal)
        piece = os.read(terminal, 4096)
        if not piece:
            break
        typed += piece
    return typed.decode("utf-8", "surrogateescape").rstrip("\r\n")
