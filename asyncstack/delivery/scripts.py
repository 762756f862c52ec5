"""The node's side: POSIX sh, in the files of `node/`, made into command lines.

What varies from parcel to parcel travels on stdin, one line each, its fields separated by US, so
that nothing of it is ever parsed by a shell.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from asyncstack.checkouts import rules
from asyncstack.checkouts.values import FetchRequest
from asyncstack.delivery.values import target_of
from asyncstack.git.environment import config_options
from asyncstack.git.refs import RefKind, kind_of_ref

__all__ = ["US", "command", "line", "refuse"]

#: Between the fields of a line; what comes from outside can't hold it (see `refuse`).
US = "\x1f"

_FOLDER = Path(__file__).parent / "node"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def command(*names: str, **values: int | str) -> str:
    """Return the command line of a node script; `@name@` in it stands for a number or a word."""
    options = shlex.join(config_options())
    files = [(_FOLDER / f"{name}.sh").read_text("utf-8") for name in ("common", *names)]
    start = f'$bounded git {options} "$@"'
    script = "".join([f"git_() {{ {start}; }}\nexec_git() {{ exec {start}; }}\n", *files])
    for key, value in values.items():
        script = script.replace(f"@{key}@", shlex.quote(str(value)))
    return script


def line(*fields: str | int) -> bytes:
    """Return one line for a node script."""
    return (US.join(map(str, fields)) + "\n").encode("utf-8", "surrogateescape")


def refuse(request: FetchRequest) -> str:
    """Say why a node may not even be told of a request; '' if it may."""
    directory, target = request.directory, target_of(request)
    if not directory.startswith("/") or _CONTROL.search(directory) or ".." in directory.split("/"):
        return f"{directory!r} is no absolute directory"
    if target and kind_of_ref(target) is not RefKind.COMMIT:
        return f"{target!r} is no commit"
    return rules.refuse(request)
