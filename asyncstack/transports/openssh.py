"""What OpenSSH itself makes of its configuration, for the options that asyncssh doesn't know."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anyio import to_thread
from msgspec import Struct

__all__ = ["OpensshOptions", "ask_openssh"]

#: As `ssh -G` prints them: `no` and `off` are one.
_LENIENT = {"accept-new": "accept-new", "no": "no", "off": "no", "false": "no"}


class OpensshOptions(Struct, frozen=True):
    """`accepts_new`: the StrictHostKeyChecking that lets new host keys in; empty if it doesn't."""

    accepts_new: str = ""
    hash_names: bool = False


async def ask_openssh(arguments: Mapping[str, Any], strict: str = "") -> OpensshOptions:
    """What `ssh` would do, given what asyncssh is told of an address. Without an ssh: its defaults.

    `strict` is a StrictHostKeyChecking that goes before that of the configuration.
    """
    try:
        done = await to_thread.run_sync(_run, _command(arguments, strict))
    except (OSError, subprocess.TimeoutExpired):
        return OpensshOptions()
    words = [line.split(None, 1) for line in done.decode("utf-8", "replace").splitlines()]
    said = {pair[0]: pair[1] for pair in words if len(pair) > 1}
    accepts_new = _LENIENT.get(said.get("stricthostkeychecking", ""), "")
    return OpensshOptions(accepts_new, said.get("hashknownhosts") == "yes")


def _command(arguments: Mapping[str, Any], strict: str) -> list[str]:
    command = ["ssh", "-G", *_files(arguments.get("config", ()))]
    if "username" in arguments:
        command += ["-l", str(arguments["username"])]
    if "port" in arguments:
        command += ["-p", str(arguments["port"])]
    if strict:
        command += ["-o", f"StrictHostKeyChecking={strict}"]
    return [*command, "--", str(arguments["host"])]


def _files(config: Any) -> list[str]:
    if config == ():
        # ssh takes the home of the account, not of the environment.
        home = Path.home()
        if home == Path(pwd.getpwuid(os.getuid()).pw_dir):
            return []
        config = [path] if (path := home / ".ssh" / "config").exists() else []
    return ["-F", str(config[0]) if config else os.devnull]


def _run(command: list[str]) -> bytes:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=10
    )
    return done.stdout
