"""asyncstack as a user runs it: a process of its own, whose descendants can be found again."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from asyncstack.cli.demo_folder import PLUGINS
from tests.helpers.gitserver import git

__all__ = ["PLUGINS", "Program", "make_plugin", "write_local_conf"]

_MARK = "ASYNCSTACK_TEST_MARK"
_ENDING_MS = 5000


class Program:
    """Runs `python -m asyncstack` in `folder/work`; all that it starts carries a mark."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.temporary = (
            folder / name for name in ("work", "home", "temporary")
        )
        for directory in (self.folder, self.home, self.temporary):
            directory.mkdir()
        self._mark = uuid.uuid4().hex

    @property
    def environment(self) -> dict[str, str]:
        source = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith("XDG_")},
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "PYTHONPATH": path,
            "TMPDIR": str(self.temporary),
            _MARK: self._mark,
        }

    def run(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return self.shell([sys.executable, "-m", "asyncstack", *map(str, arguments)], env)

    def shell(
        self, command: list[str], env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run any command with the same environment (`env` on top of it)."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        """Start it, with pipes for its output; `prefix` is a command that starts it."""
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", "asyncstack", *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def survivors(self) -> list[str]:
        """What it started and what has not ended, nor does within a few seconds."""
        alive = []
        for pid, command in self._processes():
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            try:
                poller = select.poll()
                poller.register(descriptor, select.POLLIN)
                if not poller.poll(_ENDING_MS):
                    alive.append(command)
            finally:
                os.close(descriptor)
        return alive

    def _processes(self) -> list[tuple[int, str]]:
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                environ = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if f"{_MARK}={self._mark}".encode() in environ.split(b"\0"):
                found.append((int(entry.name), command))
        return found


def make_plugin(path: Path, plugin_sh: str, **files: str) -> Path:
    """Make a plugin's repository; `settings=…` and the like are further files of devstack/."""
    (path / "devstack").mkdir(parents=True)
    (path / "devstack" / "plugin.sh").write_text(plugin_sh)
    for name, content in files.items():
        (path / "devstack" / name.replace("_", "-")).write_text(content)
    git("init", "-q", "--initial-branch=master", path)
    git("-C", path, "add", ".")
    git("-C", path, "commit", "-q", "-m", "c")
    return path


def write_local_conf(folder: Path, *plugins: Path, more: str = "") -> Path:
    """Write a local.conf that enables these repositories and keeps everything in the folder."""
    lines = ["[[local|localrc]]", f"DEST={folder}/dest", f"DATA_DIR={folder}/data"]
    lines += [f"enable_plugin {plugin.name} file://{plugin}" for plugin in plugins]
    (folder / "local.conf").write_text("\n".join([*lines, more]) + "\n")
    return folder / "local.conf"
