"""The scratch folder of `asyncstack demo`: sample plugins, a local.conf and a lab of three nodes.

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
from asyncstack.transports.embedded import ADDRESS, USER, EmbeddedLab

__all__ = ["NODES", "PLUGINS", "DemoFolder", "fill_demo_folder", "make_demo_folder", "write_lab"]

#: The nodes behind ssh.
NODES = ("compute1", "compute2")

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
REPOSITORIES=file://$folder/repositories

# The nodes of the demo are all on this machine, but each has a home of its own.
DEST=$$HOME/dest
DATA_DIR=$$HOME/data

DEMO_GREETING="good morning"

enable_plugin demo-base $$REPOSITORIES/demo-base
enable_plugin demo-service $$REPOSITORIES/demo-service
enable_plugin demo-check $$REPOSITORIES/demo-check

# Merged into that file after the phase post-config.
[[post-config|$$DEMO_CONF]]
[DEFAULT]
debug = True
""")

_INVENTORY = Template("""\
# An Ansible inventory: this machine, and two nodes behind ssh. Those have no sshd: the command
# `asyncstack` in this folder serves them on loopback, for as long as it runs.
all:
  vars:
    ansible_host: $address
    ansible_user: $user
    ansible_ssh_private_key_file: $key
  children:
    controller:
      hosts:
        controller: {ansible_connection: local}
    compute:
      hosts:
        compute1: {ansible_port: $compute1}
        compute2: {ansible_port: $compute2, localrc: {DEMO_SERVICE_SECONDS: 1.0}}
""")

# One word that works in every shell, from everywhere, whether or not the virtual environment is
# active. -P: no module out of the current directory.
_COMMAND = Template("""\
#!/bin/sh
# asyncstack, with all that it keeps in this folder, its local.conf, and the nodes of its lab.yaml.
cd $folder && exec $python -P -m asyncstack.cli.demo_command $folder "$$@"
""")


class DemoFolder(Struct, frozen=True):
    """A folder that the demo has made; `path` is absolute."""

    path: Path

    @property
    def local_conf(self) -> Path:
        """What is stacked."""
        return self.path / "local.conf"

    @property
    def inventory(self) -> Path:
        """Where it is stacked."""
        return self.path / "lab.yaml"

    @property
    def command(self) -> Path:
        """asyncstack, bound to this folder."""
        return self.path / "asyncstack"

    @property
    def nodes(self) -> Path:
        """The homes of the nodes, and the keys to them."""
        return self.path / "nodes"

    @property
    def home(self) -> Path:
        """HOME on the node that is this machine."""
        return self.nodes / "controller"

    def bind(self) -> None:
        """Keep runs, mirrors and known hosts of this process in here, and its user's out of it."""
        os.environ.update(
            HOME=str(self.home),
            XDG_STATE_HOME=str(self.path / "state"),
            XDG_CACHE_HOME=str(self.path / "cache"),
            SSH_AUTH_SOCK="",
        )


def make_demo_folder(wanted: Path | None) -> DemoFolder:
    """Make an empty folder: `wanted` (new or empty) or a temporary one.

    Raises SettingsError if it can't be used.
    """
    return DemoFolder(_directory(wanted))


def fill_demo_folder(folder: DemoFolder) -> None:
    """Write what is stacked, and the command. Raises SettingsError or GitError if git fails."""
    for name in PLUGINS:
        _make_repository(name, folder.path / "repositories" / name)
    quoted = shlex.quote(str(folder.path))
    folder.local_conf.write_text(_LOCAL_CONF.substitute(folder=quoted), encoding="utf-8")
    folder.command.write_text(
        _COMMAND.substitute(folder=quoted, python=shlex.quote(sys.executable)), encoding="utf-8"
    )
    folder.command.chmod(0o755)


def write_lab(folder: DemoFolder, lab: EmbeddedLab) -> None:
    """Write the inventory of these nodes, and their keys to where ssh looks for such."""
    ports = {node.name: str(node.port) for node in lab.nodes}
    key = lab.key.relative_to(folder.path)
    text = _INVENTORY.substitute(ports, address=ADDRESS, user=USER, key=key)
    folder.inventory.write_text(text, encoding="utf-8")
    known_hosts = folder.home / ".ssh" / "known_hosts"
    known_hosts.parent.mkdir(mode=0o700, parents=True)
    shutil.copyfile(lab.known_hosts, known_hosts)


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
