"""Which known_hosts files ~/.ssh/config names for a host: UserKnownHostsFile, GlobalKnownHostsFile."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import socket
from pathlib import Path

from msgspec import Struct

from asyncstack.errors import SettingsError
from asyncstack.model import SshArguments
from asyncstack.transports.sshconfig import Configured

__all__ = ["HostFiles", "host_files"]

_USER = "UserKnownHostsFile"
_GLOBAL = "GlobalKnownHostsFile"
#: OpenSSH's own defaults.
_USUAL = {_USER: ("~/.ssh/known_hosts",), _GLOBAL: ("/etc/ssh/ssh_known_hosts",)}
_TOKEN = re.compile(r"%(.)|\$\{([^}]*)\}")


class HostFiles(Struct, frozen=True):
    """Where a host's keys are looked up, and where new ones go; None: they are to be forgotten."""

    read: tuple[Path, ...]
    write: Path | None


def host_files(configured: Configured, arguments: SshArguments, path: str = "") -> HostFiles:
    """The files for one host; `path` goes before what the inventory and ~/.ssh/config say.

    Raises SettingsError for a name with a token that there isn't.
    """
    system = _named(configured, _GLOBAL)
    user = [Path(path)] if path else _named(configured, _USER, arguments.user_known_hosts_file)
    # As OpenSSH does: the first, whatever it is. What goes to /dev/null can't be read again.
    written = user[0] if user and user[0] != Path(os.devnull) else None
    return HostFiles((*user, *system), written)


def _named(configured: Configured, option: str, given: str = "") -> list[Path]:
    # `none` is an empty list.
    named = configured.config.get(option, _USUAL[option])
    names = named if isinstance(named, list | tuple) else [named]
    if given:
        names = [] if given.lower() == "none" else shlex.split(given)
    return [Path(_expand(str(name), option, configured)).expanduser() for name in names]


def _expand(name: str, option: str, configured: Configured) -> str:
    """A name without tokens and variables, which asyncssh expands in other options only."""

    def value(found: re.Match[str]) -> str:
        token, variable = found.groups()
        try:
            return _token(token, configured) if token else os.environ[variable]
        except KeyError:
            raise SettingsError(
                f"{option} {name}: {found[0]} stands for nothing here",
                path="~/.ssh/config",
                hint="write out what it stands for: %d %h %i %k %L %l %n %p %r %u and ${NAME} of "
                "the environment are known",
            ) from None

    return _TOKEN.sub(value, name)


def _token(token: str, configured: Configured) -> str:
    host = configured.orig_host
    local = socket.gethostname()
    return {
        "%": "%",
        "d": str(Path.home()),
        "h": configured.host,
        "i": str(os.getuid()),
        "k": str(configured.host_key_alias or host),
        "L": local.partition(".")[0],
        "l": local,
        "n": host,
        "p": str(configured.port or 22),
        "r": configured.username,
        "u": getpass.getuser(),
    }[token]
