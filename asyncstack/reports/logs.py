"""The raw output of a run's steps, put one after another or followed while they run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from asyncstack.events import Event, NodeBooted, RunFinished, StepFinished, StepStarted
from asyncstack.model import PhaseKey
from asyncstack.reports.choosing import fits

__all__ = ["LogFollower", "LogPrinter", "Selection", "StepLog", "step_logs"]

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StepLog:
    """A step that has a log, `log` being its path under the run directory."""

    node: str
    plugin: str
    phase: str
    log: str

    @property
    def title(self) -> str:
        """What stands above its output."""
        return f"{self.phase} {self.plugin}".rstrip() + f" on {self.node}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which steps are meant: a list of nodes as `fits` takes it, shell patterns; empty means all."""

    node: str = ""
    plugin: str = ""
    phase: str = ""

    def fits(self, step: StepLog) -> bool:
        """True if the step is meant."""
        pairs = ((step.plugin, self.plugin), (step.phase, self.phase))
        return fits(self.node, step.node) and all(
            not pattern or fnmatchcase(value, pattern) for value, pattern in pairs
        )


def step_logs(events: Iterable[Event]) -> list[StepLog]:
    """The steps that have a log, in the order in which they began.

    In front of a node's steps stands what was printed between them, as plugin "" and phase
    `driver`.
    """
    found: dict[str, StepLog] = {}
    for event in events:
        if isinstance(event, NodeBooted):
            log = f"logs/{event.node}/driver.log"
            found.setdefault(log, StepLog(event.node, "", "driver", log))
        if isinstance(event, StepStarted | StepFinished) and event.log:
            phase = PhaseKey(event.mode, event.phase).name
            found.setdefault(event.log, StepLog(event.node, event.plugin, phase, event.log))
    return list(found.values())


class LogPrinter:
    """Copies step logs to `out`, byte by byte as they are, each part under its step's title.

    `headings` False leaves the titles out; `style` is put around them (start, end), as bytes.
    """

    def __init__(
        self,
        root: Path,
        out: BinaryIO,
        *,
        headings: bool,
        style: tuple[bytes, bytes] = (b"", b""),
    ) -> None:
        self._root = root
        self._out = out
        self._headings = headings
        self._style = style
        self._offsets: dict[str, int] = {}
        self._current = ""
        self._at_line_start = True

    def copy(self, steps: Iterable[StepLog]) -> None:
        """Write what the steps' logs have gained since the last call."""
        for step in steps:
            self._copy_one(step)
        self._out.flush()

    def _copy_one(self, step: StepLog) -> None:
        try:
            stream = (self._root / step.log).open("rb")
        except FileNotFoundError:
            return  # it has printed nothing (yet)
        with stream:
            stream.seek(self._offsets.get(step.log, 0))
            while chunk := stream.read(CHUNK_BYTES):
                self._head(step)
                self._out.write(chunk)
                self._at_line_start = chunk.endswith(b"\n")
            self._offsets[step.log] = stream.tell()

    def _head(self, step: StepLog) -> None:
        if not self._headings or self._current == step.log:
            return
        before = b"" if self._at_line_start else b"\n"
        blank = b"\n" if self._current else b""
        title = f"==> {step.title} <==".encode("utf-8", "surrogateescape")
        start, end = self._style
        self._out.write(before + blank + start + title + end + b"\n")
        self._current = step.log


class LogFollower:
    """Which logs there are and whether more may come, fed with the events of a run."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._steps: dict[str, StepLog] = {}
        self._ended: set[str] = set()
        self.finished = False

    def take(self, events: Iterable[Event]) -> list[StepLog]:
        """Take in new events; give the steps whose logs may have grown since the last call."""
        events = list(events)
        for step in step_logs(events):
            if self._selection.fits(step):
                self._steps.setdefault(step.log, step)
        growing = [step for step in self._steps.values() if step.log not in self._ended]
        for event in events:
            if isinstance(event, StepFinished):
                self._ended.add(event.log)
            self.finished = self.finished or isinstance(event, RunFinished)
        return growing

    @property
    def steps(self) -> list[StepLog]:
        """All steps that are meant, in the order in which they began."""
        return list(self._steps.values())
