"""asyncssh's reader of ~/.ssh/config, where it falls short of OpenSSH's.

It knows two of the tokens less (%k and %j), expands what is of no concern here and fails at it
(RemoteCommand), and takes both a ProxyCommand and a ProxyJump, of which the first must count. It
splits the command of a `Match exec` at each `=`, reads no time with a unit, and fails at a certificate
that isn't there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import asyncssh.connection
from asyncssh.config import SSHClientConfig

__all__ = ["UserConfig", "use_it"]

_TOKEN = re.compile(r"%(.?)")
_WAYS = ("ProxyCommand", "ProxyJump")
_TIME = re.compile(r"(?:\d+[smhdw]?)+", re.IGNORECASE)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class UserConfig(SSHClientConfig):
    """What ~/.ssh/config says of one host."""

    # The shell, not we, sees to the variables of a ProxyCommand: see `command`.
    _percent_expand = SSHClientConfig._percent_expand - {  # noqa: SLF001 – theirs to override
        "ProxyCommand",
        "RemoteCommand",
    }

    def _set_tokens(self) -> None:
        super()._set_tokens()
        alias = self._options.get("HostKeyAlias") or self._orig_host
        jump = self._options.get("ProxyJump") or ""
        self._tokens |= {"k": str(alias), "j": str(jump)}

    def parse(self, path: Path) -> None:
        super().parse(path)
        named = self._options.get("CertificateFile")
        if isinstance(named, list):
            there = [name for name in named if Path(name).expanduser().exists()]
            self._options["CertificateFile"] = there

    def _set_time(self, option: str, args: list[str]) -> None:
        text = args.pop(0)
        if text.lower() == "none":
            text = "0"
        if not _TIME.fullmatch(text):
            self._error(f"Invalid {option} time: {text}")
        parts = re.findall(r"(\d+)([a-z]?)", text.lower())
        seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
        self._options.setdefault(option, seconds)

    def _match_words(self, option: str, args: list[str]) -> None:
        """A Match, with the command of an `exec` as it is written, its tokens in place."""
        line = Path(self._path).read_text("utf-8", "replace").split("\n")[self._line_no - 1]
        words = shlex.split(line)[1:]
        for number, word in enumerate(words[:-1]):
            if word.lower().removeprefix("!") == "exec":
                try:
                    words[number + 1] = self.command(words[number + 1])
                except ValueError as error:
                    self._error(str(error))
                args[:] = words
        self._match(option, args)

    def _set_way(self, option: str, args: list[str]) -> None:
        if any(way in self._options for way in _WAYS):
            args.clear()
            return
        if option == "ProxyCommand":  # which comes as the rest of its line
            args[0] = args[0].removeprefix("=").strip()
        self._set_string(option, args)

    _handlers: dict[str, tuple[str, Callable[..., None]]] = {  # noqa: RUF012 – as theirs is
        **SSHClientConfig._handlers,  # noqa: SLF001
        "proxycommand": ("ProxyCommand", _set_way),
        "proxyjump": ("ProxyJump", _set_way),
        "match": ("Match", _match_words),
        "connecttimeout": ("ConnectTimeout", _set_time),
        "serveraliveinterval": ("ServerAliveInterval", _set_time),
    }

    def command(self, text: str) -> str:
        """A command with its tokens in place. Raises ValueError for one that there isn't."""
        self._set_tokens()  # without any file to read nobody has

        def value(found: re.Match[str]) -> str:
            if found[1] not in self._tokens:
                raise ValueError(f"there is no token {found[0]}; %h, %p, %r and %% are some")
            return self._tokens[found[1]]

        return _TOKEN.sub(value, text)


def use_it() -> None:
    """Have asyncssh read with it, which has no parameter for that."""
    module: Any = asyncssh.connection
    module.SSHClientConfig = UserConfig
