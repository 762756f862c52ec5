"""Look after the mirror cache: what is in it, what may go, what is broken."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from msgspec import Struct

from asyncstack.errors import SettingsError
from asyncstack.fetcher.cache import Cache, read_facts, sound
from asyncstack.fetcher.workspace import remove_tree, sweep
from asyncstack.git.commands import Git, check_objects
from asyncstack.git.environment import base_environment
from asyncstack.git.failures import FailureClass
from asyncstack.git.layout import pack_files
from asyncstack.git.process import Limits
from asyncstack.git.urls import parse_url

__all__ = ["MirrorState", "Verdict", "list_mirrors", "prune", "verify"]

_DAY_S = 86400.0


class MirrorState(Struct, frozen=True):
    """One mirror as it lies there. `used` and `fetched` are epoch seconds, 0 if unknown."""

    path: str
    url: str
    size_bytes: int
    packs: int
    used: float
    fetched: float


class Verdict(Struct, frozen=True):
    """What `verify` found out about a mirror: `problem` is '' if it is good.

    `aside` is where a bad one was moved, '' if it could not be.
    """

    path: str
    url: str
    problem: str = ""
    aside: str = ""


def list_mirrors(root: Path) -> list[MirrorState]:
    """Return every mirror, the least recently used one first."""
    states = [_state(path) for path in Cache(root).mirrors()]
    return sorted(states, key=lambda state: state.used)


def _state(path: Path) -> MirrorState:
    facts = read_facts(path)
    files = pack_files(path)
    return MirrorState(
        path=str(path),
        url=facts.url,
        size_bytes=sum(file.stat().st_size for file in files),
        packs=sum(file.suffix == ".pack" for file in files),
        used=facts.used,
        fetched=facts.fetched,
    )


def prune(root: Path, *, days: float | None) -> list[MirrorState]:
    """Remove mirrors unused for that many days (None: none of them) and all rubbish.

    Rubbish is what killed runs and corrupt mirrors left. Checkouts don't depend on the cache, so
    nothing breaks; what is removed is fetched again when it is wanted.
    """
    sweep(root)
    gone = [_state(path) for path in Cache(root).set_aside_ones()]
    if days is not None:
        before = time.time() - days * _DAY_S
        gone += [state for state in list_mirrors(root) if state.used <= before]
    for state in gone:
        _remove(Path(state.path))
    return gone


def _remove(path: Path) -> None:
    """Take a mirror away in one step, then delete it: nobody ever opens half of one."""
    going = path.with_name(f".asyncstack-{os.getpid()}-{path.name}")
    try:
        path.rename(going)
    except FileNotFoundError:  # somebody else prunes, too
        return
    remove_tree(going)


def _chosen(cache: Cache, names: Sequence[str]) -> list[tuple[Path, str]]:
    known = [(path, read_facts(path).url) for path in cache.mirrors()]
    if not names:
        return known
    wanted = {parse_url(name).url for name in names}
    missing = sorted(wanted - {url for _, url in known})
    if missing:
        raise SettingsError(
            f"{', '.join(missing)}: the cache has no mirror of it",
            hint="asyncstack cache list shows the URLs of those that there are",
        )
    return [(path, url) for path, url in known if url in wanted]


async def verify(root: Path, *, names: Sequence[str] = ()) -> AsyncIterator[Verdict]:
    """Check every object of every mirror (or of those whose URL is named); set bad ones aside.

    Raises SettingsError for a URL that has no mirror, and if git is missing.
    """
    cache = Cache(root)
    git = Git(base_environment(os.environ), Limits())
    for path, url in _chosen(cache, names):
        problem, aside = await _problem(git, path), None
        if problem:
            # Once more while nobody repacks it: a pack that went was no loss.
            async with cache.locked(parse_url(url)):
                problem = await _problem(git, path)
                aside = cache.set_aside(path) if problem else None
        yield Verdict(str(path), url, problem, str(aside or ""))


async def _problem(git: Git, mirror: Path) -> str:
    if not sound(mirror):
        return "a file is missing or cut off, or a pack is not the one that its index means"
    ended = await check_objects(git, mirror)
    if ended.failure is FailureClass.GIT_MISSING:
        raise SettingsError("git is not installed", hint="install git")
    return "" if ended.ok else ended.words.strip() or "git found it corrupt"
