"""`asyncstack cache list|prune|verify`: the mirrors that checkouts are made from."""
# ruff: noqa: PLC0415

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asyncstack.cli.options import finite

if TYPE_CHECKING:
    from asyncstack.fetcher.upkeep import MirrorState

__all__ = ["app", "list_", "prune", "verify"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look after the cache of git mirrors. Checkouts don't depend on it: it may always go.",
)

_ASIDE = "set aside; the next fetch gets it again"
_NOT_ASIDE = "it can't be set aside: remove it, as whoever may"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")

Directory = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help="The cache. Default: ${XDG_CACHE_HOME:-~/.cache}/asyncstack/git.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def list_(directory: Directory = None, as_json: AsJson = False) -> None:
    """List the mirrors with their sizes, the least recently used one first."""
    from asyncstack.fetcher.upkeep import list_mirrors

    with _explained(_root(directory)):
        states = list_mirrors(_root(directory))
    if as_json:
        _print_json(*states)
        return
    for state in states:
        _print_state(state)
    total = sum(state.size_bytes for state in states)
    _print(f"{_size(total):>10}  in {_mirrors(len(states))} below {_root(directory)}")


def prune(
    directory: Directory = None,
    days: Annotated[
        float,
        typer.Option(
            "--days",
            min=0,
            callback=finite,
            help="Remove what nobody used for so many days; 0: all.",
        ),
    ] = 30,
    as_json: AsJson = False,
) -> None:
    """Remove mirrors that nobody used for a while, corrupt ones, and what killed runs left.

    For example:

      asyncstack cache prune --days 7
    """
    from asyncstack.fetcher.upkeep import prune as prune_mirrors

    with _explained(_root(directory)):
        gone = prune_mirrors(_root(directory), days=days)
    if as_json:
        _print_json(*gone)
        return
    for state in gone:
        _print_state(state)
    total = sum(state.size_bytes for state in gone)
    _print(f"{_size(total):>10}  freed, {_mirrors(len(gone))} removed")


def verify(
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="URL", help="Only these. Default: all.", show_default=False),
    ] = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Read every object of every mirror; set corrupt ones aside, so that they are fetched again.

    Exits with 1 if one was corrupt.
    """
    import anyio

    with _explained(_root(directory)):
        bad = anyio.run(_verify, _root(directory), urls or [], as_json)
    if bad:
        raise typer.Exit(1)


async def _verify(root: Path, urls: list[str], as_json: bool) -> int:
    from asyncstack.fetcher.upkeep import verify as verify_mirrors

    bad = 0
    async for verdict in verify_mirrors(root, names=urls):
        bad += bool(verdict.problem)
        if as_json:
            _print_json(verdict)
        elif verdict.problem:
            _print(f"corrupt   {verdict.url}\n          {verdict.problem}")
            _print(f"          {_ASIDE if verdict.aside else _NOT_ASIDE}")
        else:
            _print(f"ok        {verdict.url}")
    return bad


def _root(directory: Path | None) -> Path:
    from asyncstack.fetcher.cache import default_cache_directory

    # Absolute, for git works in directories of its own.
    return (directory or Path(default_cache_directory(os.environ))).absolute()


@contextmanager
def _explained(root: Path) -> Iterator[None]:
    """Name the cache that may not be read or changed, and the way to another one."""
    from asyncstack.errors import SettingsError

    try:
        yield
    except OSError as error:
        raise SettingsError(
            f"the cache {root}: {error.filename}: {error.strerror}",
            hint="name another cache with --cache DIR",
        ) from error


def _print_state(state: MirrorState) -> None:
    age = _age(time.time() - state.used) if state.used else "never"
    _print(f"{_size(state.size_bytes):>10}  used {age:<14} {state.url or state.path}")


def _mirrors(count: int) -> str:
    return f"{count} mirror{'' if count == 1 else 's'}"


def _age(seconds: float) -> str:
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = int(seconds // length)
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def _size(size_bytes: float) -> str:
    for unit in _UNITS:
        if size_bytes < 1024 or unit == _UNITS[-1]:  # noqa: PLR2004
            break
        size_bytes /= 1024
    return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _print_json(*things: object) -> None:
    import msgspec

    for thing in things:
        _print(msgspec.json.encode(thing).decode())


app.command("list")(list_)
app.command()(prune)
app.command()(verify)
