"""A program at a terminal of its own, and somebody who types there."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["AtTerminal"]

_PATIENCE_S = 60.0


class AtTerminal:
    """A program that runs at a pseudo-terminal. `shown` is all that has appeared there."""

    def __init__(self, line: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self.shown = ""
        self._ours, theirs = pty.openpty()
        # `setsid -c`: in a session of its own whose terminal this is, so that Ctrl-C gets there.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *line],
            cwd=cwd,
            env={**environment, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def expect(self, text: str, times: int = 1) -> None:
        """Wait until it has appeared so often."""
        deadline = time.monotonic() + _PATIENCE_S
        while self.shown.count(text) < times:
            assert time.monotonic() < deadline, self.shown
            assert self._read(), self.shown

    def type(self, text: str) -> None:
        """Type; a newline is Enter, \\x03 is Ctrl-C."""
        os.write(self._ours, text.encode())

    def end(self) -> int:
        """Read to its end; the exit code."""
        deadline = time.monotonic() + _PATIENCE_S
        while self._read():
            assert time.monotonic() < deadline, self.shown
        return self.process.wait(_PATIENCE_S)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], 1.0)[0]:
            return self.process.poll() is None
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # nobody has it open any more
            return False
        self.shown += piece.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(piece)
