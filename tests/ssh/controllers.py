"""Controllers that are started quickly and killed at any moment.

An interpreter that has imported everything is forked for each of them, which saves most of their
start: fifty of them are killed in one test.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from asyncstack.journal import RunRecord
from tests.ssh.lab import SshLab

__all__ = ["Controllers"]

_PRELOAD = [
    "tests.ssh.controllers",
    "asyncstack.cli.app",
    "asyncstack.run.engine",
    "asyncstack.transports.ssh",
    "aiofiles",
    "structlog",
]
_ENDS_S = 90.0


class Controllers:
    """Starts controllers of one lab, one at a time."""

    def __init__(self, lab: SshLab) -> None:
        self._lab = lab
        self._context = mp.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOAD)
        self._output = lab.root / "controller.output"

    @property
    def output(self) -> str:
        """What the last one printed, for who wonders why it failed."""
        return self._output.read_text(errors="replace")

    def start(self, *arguments: str | Path) -> BaseProcess:
        """Start one."""
        process = self._context.Process(
            target=_run,
            args=(
                [str(argument) for argument in arguments],
                self._lab.environment,
                str(self._lab.root),
                str(self._output),
            ),
            daemon=True,
        )
        process.start()
        return process

    def end(self, *arguments: str | Path) -> int:
        """Let one come to its end; its exit code."""
        process = self.start(*arguments)
        process.join(_ENDS_S)
        assert process.exitcode is not None, self.output
        return process.exitcode

    def kill_soon(self, process: BaseProcess, directory: Path, chance: random.Random) -> int | None:
        """Kill it when its journal has grown by some lines; the exit code if the run ended before."""
        journal = directory / "events.jsonl"
        wanted = _lines(journal) + chance.randrange(8)
        deadline = time.monotonic() + _ENDS_S
        while _lines(journal) < wanted and time.monotonic() < deadline:
            process.join(0.002)
            if process.exitcode is not None:
                return process.exitcode
        # What it does between two lines is hit as well.
        process.join(chance.uniform(0, 0.04))
        process.kill()
        process.join(_ENDS_S)
        assert process.exitcode is not None, "it has not even died"
        return _exit_code(directory) if process.exitcode == -signal.SIGKILL else process.exitcode


def _exit_code(directory: Path) -> int | None:
    path = directory / "run.json"
    return RunRecord.read(path).exit_code if path.exists() else None


def _lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def _run(arguments: list[str], environment: Mapping[str, str], folder: str, output: str) -> None:
    from asyncstack.cli.main import main

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    descriptor = os.open(output, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    for number in (1, 2):
        os.dup2(descriptor, number)
    sys.argv = ["asyncstack", *arguments]
    main()
