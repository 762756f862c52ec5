"""A lab of one's own: plugins as git repositories, a local.conf, and runs of the real program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from asyncstack.events import Event, StepFinished
from asyncstack.journal import RunRecord, read_events
from asyncstack.model import PhaseKey

__all__ = ["Lab", "Outcome", "alive", "json_lines", "repository"]

E = TypeVar("E", bound=Event)

_PACKAGE = Path(__file__).parents[2]
_IDENTITY = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


def repository(path: Path, files: Mapping[str, str]) -> Path:
    """A git repository with these files in one commit on master."""
    for name, content in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode("utf-8", "surrogateescape"))
    path.mkdir(exist_ok=True)
    environment = {**os.environ, **_IDENTITY}
    script = "git init -q --template= -b master && git add -A && git commit -q --allow-empty -m 'First version'"
    subprocess.run(["sh", "-c", script], cwd=path, env=environment, check=True)
    return path


class Outcome:
    """What a run of the program came to."""

    def __init__(self, code: int, stdout: bytes, stderr: bytes, directory: Path) -> None:
        self.code = code
        self.stdout = stdout.decode("utf-8", "replace")
        self.stderr = stderr.decode("utf-8", "replace")
        self.directory = directory

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.stdout}\n{self.stderr}"

    @property
    def events(self) -> list[Event]:
        """All that the journal holds."""
        return list(read_events(self.directory / "events.jsonl"))

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def steps(self) -> dict[tuple[str, str], StepFinished]:
        """(plugin, phase) → its step."""
        return {(s.plugin, PhaseKey(s.mode, s.phase).name): s for s in self.of(StepFinished)}

    def step(self, plugin: str, phase: str = "install") -> StepFinished:
        """One step."""
        return self.steps[plugin, phase]

    def statuses(self, phase: str = "install") -> dict[str, str]:
        """plugin → status of one phase, in the order that they ended."""
        return {
            step.plugin: step.status.value
            for step in self.of(StepFinished)
            if PhaseKey(step.mode, step.phase).name == phase
        }

    def log(self, plugin: str, phase: str = "install") -> bytes:
        """What a step printed; empty if that was nothing."""
        log = self.step(plugin, phase).log
        return (self.directory / log).read_bytes() if log else b""

    @property
    def driver_log(self) -> str:
        """What was printed between the steps."""
        path = self.directory / "logs/localhost/driver.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    @property
    def record(self) -> RunRecord:
        """run.json."""
        return RunRecord.read(self.directory / "run.json")

    @property
    def no_traceback(self) -> bool:
        """No internals on the screen, and no bug file."""
        return "Traceback" not in self.stderr and "a bug of ours" not in self.stderr


class Lab:
    """A scratch folder with everything that a run touches."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dest = root / "dest"
        self.state = root / "state"
        self.home = root / "home"
        self.repositories = root / "repositories"
        self.conf = root / "local.conf"
        self._runs = 0
        self.home.mkdir()
        self.repositories.mkdir()
        # Whoever runs the tests may have passwords, runs or a configuration of their own.
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        self.environment: dict[str, str] = {
            **kept,
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.state),
            "XDG_CACHE_HOME": str(root / "cache"),
            "XDG_CONFIG_HOME": str(root / "config"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "PYTHONPATH": os.pathsep.join(
                filter(None, (str(_PACKAGE), os.environ.get("PYTHONPATH")))
            ),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def plugin(
        self,
        name: str,
        script: str | None = None,
        *,
        settings: str | None = None,
        override: str | None = None,
        files: Mapping[str, str] | None = None,
    ) -> Path:
        """A plugin's repository, of the given files."""
        parts = {"plugin.sh": script, "settings": settings, "override-defaults": override}
        given = {f"devstack/{file}": text for file, text in parts.items() if text is not None}
        return repository(self.repositories / name, {**given, **(files or {})})

    def plugin_from(self, name: str, folder: Path) -> Path:
        """A plugin's repository, copied from a folder of files."""
        shutil.copytree(folder, self.repositories / name)
        return repository(self.repositories / name, {})

    def enable(self, *names: str) -> str:
        """The lines that enable these plugins."""
        return "".join(f"enable_plugin {name} {self.repositories / name}\n" for name in names)

    def write_conf(self, localrc: str, rest: str = "") -> Path:
        """local.conf: a localrc that enables no core service, and other sections."""
        head = f"[[local|localrc]]\nDEST={self.dest}\nDATA_DIR=$DEST/data\ndisable_all_services\n"
        self.conf.write_bytes(f"{head}{localrc}\n{rest}".encode("utf-8", "surrogateescape"))
        return self.conf

    def command(self, *arguments: str | Path) -> tuple[list[str], Path]:
        """A command line that keeps its run in a directory of its own, and that directory."""
        self._runs += 1
        directory = self.root / f"run-{self._runs}"
        line = [sys.executable, "-m", "asyncstack", *map(str, arguments)]
        return [*line, "--run-dir", str(directory)], directory

    def run(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        wrapper: Iterable[str] = (),
        timeout: float = 100,
        own_directory: bool = False,
    ) -> Outcome:
        """Run the program to its end; for `stack` local.conf is added.

        The run is kept in a directory of its own, unless the arguments end with one.
        """
        if arguments[-1] in ("stack", "unstack", "clean", "fetch"):
            arguments = (*arguments, self.conf)
        line, directory = self.command(*arguments)
        if own_directory:
            line, directory = line[:-2], Path(arguments[-1])
        return self._outcome([*wrapper, *line], directory, environment, timeout)

    def plan(self, *arguments: str | Path) -> Outcome:
        """Run `plan`, which has no run directory."""
        line = [sys.executable, "-m", "asyncstack", "plan", str(self.conf), *map(str, arguments)]
        return self._outcome(line, self.root / "none", None, 100)

    def _outcome(
        self,
        line: list[str],
        directory: Path,
        environment: Mapping[str, str] | None,
        timeout: float,
    ) -> Outcome:
        done = subprocess.run(
            line,
            cwd=self.root,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr, directory)

    def node_directories(self) -> list[Path]:
        """The directories of drivers on this node."""
        return sorted((self.state / "asyncstack/nodes").glob("*/*"))


def alive(pid: int | str) -> bool:
    """Is this process there, and more than a zombie that its parent hasn't reaped?"""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(") ")[2][0] != "Z"


def json_lines(text: str) -> list[dict[str, Any]]:
    """A JSON object a line; raises if any line is something else."""
    return [json.loads(line) for line in text.splitlines()]
