"""The scratch folder of `asyncstack demo`: sample plugins as git repositories, and a local.conf.

Everything is made of real parts: the repositories are fetched from with git like any others. Their
URLs are `file://` ones, because those still work when the demo has ended and a server that it had
started would be gone.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from string import Template

from msgspec import Struct

from asyncstack.errors import GitError, SettingsError

__all__ = ["PLUGINS", "DemoFolder", "make_demo_folder"]

#: The sample plugins, in the order that their `plugin_requires` lines ask for.
PLUGINS = ("demo-base", "demo-service", "demo-check")

_SOURCES = Path(__file__).parents[1] / "demo_plugins"

# Much of what DevStack's plugins do with paths goes wrong beyond these (and git takes a `%` in a
# URL for an escape).
_USABLE = re.compile(r"[\w/.,+@=-]+")

# Nothing of the user's own git configuration: no signing, no hooks, no template, and no need for
# a user.name. The fixed date makes the commits the same everywhere.
_GIT_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TEMPLATE_DIR": "",
    "GIT_AUTHOR_NAME": "asyncstack demo",
    "GIT_AUTHOR_EMAIL": "demo@localhost",
    "GIT_AUTHOR_DATE": "2025-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "asyncstack demo",
    "GIT_COMMITTER_EMAIL": "demo@localhost",
    "GIT_COMMITTER_DATE": "2025-01-01T00:00:00Z",
}

_LOCAL_CONF = Template("""\
[[local|localrc]]
# bash: variables, conditions, enable_plugin NAME URL [REF]
DEMO=$folder
DEST=$$DEMO/dest
DATA_DIR=$$DEMO/data

DEMO_GREETING="good morning"

enable_plugin demo-base file://$$DEMO/repositories/demo-base
enable_plugin demo-service file://$$DEMO/repositories/demo-service
enable_plugin demo-check file://$$DEMO/repositories/demo-check

# Merged into that file after the phase post-config.
[[post-config|$$DEMO_CONF]]
[DEFAULT]
debug = True
""")

# One word that works in every shell, from everywhere, whether or not the virtual environment is
# active, and that keeps runs and mirrors here as well. -P: no module out of the current directory.
_COMMAND = Template("""\
#!/bin/sh
# asyncstack, with all that it keeps (runs, mirrors) in this folder, and its local.conf.
export XDG_STATE_HOME=$folder/state XDG_CACHE_HOME=$folder/cache
cd $folder && exec $python -P -m asyncstack "$$@"
""")


class DemoFolder(Struct, frozen=True):
    """A folder that the demo has made; `path` is absolute."""

    path: Path

    @property
    def local_conf(self) -> Path:
        """What is stacked."""
        return self.path / "local.conf"

    @property
    def command(self) -> Path:
        """asyncstack, bound to this folder."""
        return self.path / "asyncstack"

    @property
    def environment(self) -> dict[str, str]:
        """What keeps runs and mirrors in here."""
        return {
            "XDG_STATE_HOME": str(self.path / "state"),
            "XDG_CACHE_HOME": str(self.path / "cache"),
        }


def make_demo_folder(wanted: Path | None) -> DemoFolder:
    """Make the folder, `wanted` (new or empty) or a temporary one, with all that the demo needs.

    Raises SettingsError if it can't be used, GitError if git fails.
    """
    folder = DemoFolder(_directory(wanted))
    for name in PLUGINS:
        _make_repository(name, folder.path / "repositories" / name)
    quoted = shlex.quote(str(folder.path))
    folder.local_conf.write_text(_LOCAL_CONF.substitute(folder=quoted), encoding="utf-8")
    folder.command.write_text(
        _COMMAND.substitute(folder=quoted, python=shlex.quote(sys.executable)), encoding="utf-8"
    )
    folder.command.chmod(0o755)
    return folder


def _directory(wanted: Path | None) -> Path:
    path = Path(tempfile.gettempdir() if wanted is None else wanted).resolve()
    if not _USABLE.fullmatch(str(path)):
        raise _unusable(path, "plugins can't cope with such a path (a space, a quote, a '%', …)")
    try:
        if wanted is None:
            return Path(tempfile.mkdtemp(prefix="asyncstack-demo-", dir=path))
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise _unusable(path, "is not empty")
    except OSError as error:
        raise _unusable(path, f"can't be used: {error.strerror}") from error
    return path


def _unusable(path: Path, problem: str) -> SettingsError:
    return SettingsError(
        problem, path=str(path), hint="name a new or empty folder: asyncstack demo DIR"
    )


def _make_repository(name: str, path: Path) -> None:
    shutil.copytree(_SOURCES / name, path, ignore=shutil.ignore_patterns("__pycache__"))
    for arguments in (
        ("init", "--quiet", "--initial-branch=master"),
        ("add", "--all"),
        ("commit", "--quiet", "--message=Add the plugin"),
    ):
        _git(name, path, arguments)


def _git(name: str, path: Path, arguments: tuple[str, ...]) -> None:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        subprocess.run(
            ["git", *arguments],
            cwd=path,
            env={**inherited, **_GIT_ENVIRONMENT, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=True,
        )
    except FileNotFoundError as error:
        raise SettingsError("git is not installed", hint="asyncstack needs it") from error
    except subprocess.CalledProcessError as error:
        words = error.stderr.strip() or f"git {arguments[0]} failed"
        raise GitError(name, str(path), words) from error
