"""The node's side: POSIX sh, in the files of `node/`, made into command lines.

What varies from parcel to parcel travels on stdin, one line each, its fields separated by US, so
that nothing of it is ever parsed by a shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from asyncstack.delivery.values import Parcel
from asyncstack.git.environment import config_options
from asyncstack.git.refs import RefKind, check_ref, kind_of_ref
from asyncstack.git.urls import check_name, check_url

__all__ = ["US", "command", "line", "refuse"]

#: Between the fields of a line; what comes from outside can't hold it (see `refuse`).
US = "\x1f"

_FOLDER = Path(__file__).parent / "node"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def command(*names: str, **values: int) -> str:
    """Return the command line of a node script; `@name@` in it stands for a number."""
    options = shlex.join(config_options())
    files = [(_FOLDER / f"{name}.sh").read_text("utf-8") for name in ("common", *names)]
    script = "".join([f'git_() {{ git {options} "$@"; }}\n', *files])
    for key, value in values.items():
        script = script.replace(f"@{key}@", str(value))
    return script


def line(*fields: str | int) -> bytes:
    """Return one line for a node script."""
    return (US.join(map(str, fields)) + "\n").encode("utf-8", "surrogateescape")


def refuse(parcel: Parcel) -> str:
    """Say why a node may not even be told of a parcel; '' if it may."""
    directory = parcel.directory
    if not directory.startswith("/") or _CONTROL.search(directory) or ".." in directory.split("/"):
        return f"{directory!r} is no absolute directory"
    if parcel.commit and kind_of_ref(parcel.commit) is not RefKind.COMMIT:
        return f"{parcel.commit!r} is no commit"
    checks: Sequence[str] = (
        check_name(Path(directory).name),
        check_url(parcel.url),
        check_ref(parcel.ref),
    )
    return next(filter(None, checks), "")
