"""asyncssh's reader of ~/.ssh/config, where it falls short of OpenSSH's.

It knows two of the tokens less (%k and %j), expands what is of no concern here and fails at it
(RemoteCommand), and takes both a ProxyCommand and a ProxyJump, of which the first must count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import asyncssh
import asyncssh.connection
from asyncssh.config import SSHClientConfig

__all__ = ["UserConfig", "use_it"]

_TOKEN = re.compile(r"%(.?)")
_WAYS = ("ProxyCommand", "ProxyJump")


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
    }

    def command(self, text: str) -> str:
        """A ProxyCommand with its tokens in place. Raises ValueError for one that there isn't."""
        self._set_tokens()  # without any file to read nobody has

        def value(found: re.Match[str]) -> str:
            if found[1] not in self._tokens:
                raise ValueError(f"ProxyCommand: there is no {found[0]}; %h, %p, %r and %% are")
            return self._tokens[found[1]]

        return _TOKEN.sub(value, text)


def use_it() -> None:
    """Have asyncssh read with it, which has no parameter for that."""
    module: Any = asyncssh.connection
    module.SSHClientConfig = UserConfig
