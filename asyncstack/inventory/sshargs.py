"""The arguments for ssh that an Ansible inventory gives: the few that are honoured, and the rest."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from asyncstack.model import SshArguments

__all__ = ["read_ssh_arguments"]

#: option of ssh, in lower case → attribute of SshArguments
_HONOURED = {
    "stricthostkeychecking": "strict_host_key_checking",
    "userknownhostsfile": "user_known_hosts_file",
    "proxyjump": "proxy_jump",
    "proxycommand": "proxy_command",
}
#: Two ways to the same place: the first that is named counts.
_WAYS = {"proxy_jump", "proxy_command"}
#: What changes nothing for us: one connection a node is shared by all that is done there.
_IDLE = {
    "batchmode", "compression", "controlmaster", "controlpath", "controlpersist", "loglevel",
    "-C", "-q", "-v",
}  # fmt: skip
#: Short options that take a value.
_WITH_VALUE = frozenset("BbcDEeFIiJLlmOoPpQRSWw")


def read_ssh_arguments(text: str) -> tuple[SshArguments, list[str]]:
    """What is honoured of these arguments, and those that can't be.

    Of an option that is there twice the first counts, as with ssh. Raises ValueError for a quote
    that isn't closed.
    """
    found: dict[str, str] = {}
    unused: list[str] = []
    for option, value, written in _options(shlex.split(text)):
        if option in _HONOURED:
            name = _HONOURED[option]
            if not (name in _WAYS and _WAYS & found.keys()):
                found.setdefault(name, value)
        elif option not in _IDLE:
            unused.append(written)
    return SshArguments(**found), unused


def _options(words: list[str]) -> Iterator[tuple[str, str, str]]:
    """Option, value, and how the option is written, which may be told: a value may hold a password.

    An option of -o is in lower case, another has its dash.
    """
    rest = iter(words)
    for word in rest:
        letter = word[1:2]
        if not word.startswith("-") or letter not in _WITH_VALUE:
            yield word, "", word
            continue
        value = word[2:] or next(rest, "")
        if letter == "J":
            yield "proxyjump", value, "-J"
        elif letter == "o":
            name, value = _named(value)
            yield name.lower(), value, f"-o {name}"
        else:
            yield f"-{letter}", value, f"-{letter}"


def _named(text: str) -> tuple[str, str]:
    """Name and value of an -o: the value may hold a `=` itself, as a ProxyCommand's options do."""
    name, _, value = re.sub(r"\s*=\s*|\s+", "\0", text.strip(), count=1).partition("\0")
    return name, value
