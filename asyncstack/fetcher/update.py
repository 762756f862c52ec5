"""Bring an existing checkout to the commit that its ref means now, and lose nobody's work.

The order is: ask (one ls-remote), look at the work tree, fetch, move. Nothing is fetched before the
work tree is known to be clean, and nothing moved over what `force` has not saved: ignored files, too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asyncstack.checkouts.rules import same_url
from asyncstack.checkouts.wording import about_saved
from asyncstack.fetcher.attempts import Job, failed, read_from_mirror
from asyncstack.fetcher.inspection import Found
from asyncstack.fetcher.local_work import find_local_work, save_local_work
from asyncstack.fetcher.locks import remove_stale_lock
from asyncstack.fetcher.mirror import Source, Store
from asyncstack.fetcher.special import fetch_directly, fetch_one_ref
from asyncstack.git.commands import fetch_branches
from asyncstack.git.failures import FailureClass, classify
from asyncstack.git.layout import MARKER, is_partial
from asyncstack.git.process import Ended
from asyncstack.git.refs import RefKind, RefTable, kind_of_ref
from asyncstack.git.urls import parse_url
from asyncstack.model import Suspicion

__all__ = ["Updated", "update_checkout"]

#: So many locks of killed gits are removed, one after another.
_MOST_LOCKS = 100
_UNTRACKED = "untracked files in the way"
#: Failures of a checkout that git finds before it has written anything.
_UNTOUCHED = (FailureClass.LOCAL_CHANGES, FailureClass.BUSY)
_UNWRITTEN = re.compile(
    r"^(?:error: (?:unable to|cannot) |warning: unable to unlink)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Updated:
    """Where an update left a checkout; `moved` is False if it was there already."""

    commit: str
    moved: bool
    warnings: tuple[Suspicion, ...] = ()


async def update_checkout(job: Job, store: Store, found: Found, work: Path) -> Updated | Ended:
    """Move a checkout to where its ref is now; return where it is, or how that failed."""
    target = await _target(job, store, found, work)
    if isinstance(target, Ended):
        return target
    if target.commit == found.commit:
        await _set_origin(job, found)
        return Updated(found.commit, moved=False)
    job.begin()
    warnings: list[Suspicion] = []
    local_work = await find_local_work(job.git, found)
    if local_work and not job.options.force:
        words = f"{found.git_dir.parent} holds work that is nowhere else: {local_work}"
        return failed(FailureClass.LOCAL_CHANGES, words)
    commit = await _bring(job, store, found, work, target)
    locks = 0
    while isinstance(commit, Ended):
        locks += 1
        if locks > _MOST_LOCKS or not await remove_stale_lock(commit.words, found.git_dir):
            return commit
        commit = await _bring(job, store, found, work, target)
    moved = await _move_over(job, found, work, commit, local_work, warnings)
    if not moved.ok:
        return replace(moved, words="\n".join([moved.words, *(told.message for told in warnings)]))
    await _set_origin(job, found)
    return Updated(commit, moved=commit != found.commit, warnings=tuple(warnings))


@dataclass(frozen=True, slots=True)
class _Target:
    """What the server says about the ref: `commit` '' if only a fetch can tell; its full name."""

    commit: str = ""
    name: str = ""


async def _target(job: Job, store: Store, found: Found, work: Path) -> _Target | Ended:
    """Find out where the ref is now."""
    wanted = job.request.commit or job.request.ref
    kind = kind_of_ref(wanted)
    if kind is RefKind.COMMIT:
        return _Target(wanted.lower())
    if kind is RefKind.OTHER:
        return _Target()
    answer = await store.questions.ask(job, work)
    if isinstance(answer, Ended):
        return answer
    name = answer.find(wanted)
    if not name and kind is RefKind.ABBREVIATED and found.commit.startswith(wanted.lower()):
        return _Target(found.commit)
    return _Target(_commit(answer, name), name)


def _commit(answer: RefTable, name: str) -> str:
    return answer.peeled.get(name) or answer.names.get(name, "")


async def _in_the_way(job: Job, found: Found, commit: str) -> list[str]:
    """Return what lies where the commit brings a new file, ignored or not."""
    here = job.git.at(found.git_dir)
    brought = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=A")
    ended = await here.run(*brought, found.commit, commit)
    tree = found.git_dir.parent
    paths = [path for path in ended.stdout.split("\0") if path]
    return [path for path in paths if (tree / path).is_symlink() or (tree / path).is_file()]


async def _save(
    job: Job, found: Found, work: Path, local_work: str, also: Sequence[str] = ()
) -> Suspicion | Ended:
    saved = await save_local_work(job.git, found, work, also=also)
    if isinstance(saved, Ended):
        return saved
    return about_saved(job.request.directory, job.request.plugin, local_work, saved)


async def _bring(job: Job, store: Store, found: Found, work: Path, target: _Target) -> str | Ended:
    """Get the commit and the server's refs into the checkout; return the commit."""
    offline = job.options.offline
    reduced = _is_reduced(found.git_dir) or job.options.depth or job.options.filter
    if reduced and not offline:
        return await fetch_one_ref(job, found.git_dir, work)
    if not offline and not store.knows(job):  # a checkout fetches less than a new mirror would
        return await fetch_directly(job, found.git_dir, work, target.name)
    source = await store.source(job, work, expected=target.commit)
    if isinstance(source, Ended):
        return source
    fetched = read_from_mirror(await _from_mirror(job, found, source))
    return source.commit if fetched.ok else fetched


def _is_reduced(git_dir: Path) -> bool:
    """Tell a shallow or partial clone, which a full mirror would fill up."""
    return (git_dir / "shallow").exists() or is_partial(git_dir)


async def _from_mirror(job: Job, found: Found, source: Source) -> Ended:
    """Fetch from the mirror on disk. Other tags of the user's are followed, never overwritten."""
    names = source.mirror.refs.names
    ours = ("refs/asyncstack/commits/", "refs/asyncstack/named/")
    specs = [f"+{own}*:{own}*" for own in ours if any(name.startswith(own) for name in names)]
    tag = f"refs/tags/{job.request.ref.removeprefix('refs/tags/')}"
    if tag in names:
        specs.append(f"+{tag}:{tag}")
    tree = found.git_dir.parent
    return await fetch_branches(job.git, str(source.mirror.path), found.git_dir, tree, specs)


async def _move_over(
    job: Job, found: Found, work: Path, commit: str, local_work: str, warnings: list[Suspicion]
) -> Ended:
    """Move; under `force`, over what is in the way, which is saved first and told by `warnings`."""
    if not job.options.force:
        return await _move(job, found, commit, over=False)
    in_the_way = await _in_the_way(job, found, commit)
    if local_work or in_the_way:
        saved = await _save(job, found, work, local_work or _UNTRACKED, in_the_way)
        if isinstance(saved, Ended):
            return saved
        warnings.append(saved)
    moved = await _move(job, found, commit, over=bool(warnings))
    if warnings or moved.failure is not FailureClass.LOCAL_CHANGES:
        return moved
    saved = await _save(job, found, work, _UNTRACKED)  # a folder where a file is to be
    if isinstance(saved, Ended):
        return saved
    warnings.append(saved)
    return await _move(job, found, commit, over=True)


async def _move(job: Job, found: Found, commit: str, *, over: bool) -> Ended:
    """Check the commit out. While that goes on a marker says from where to where.

    `over` what is in the way, untracked files as well: all of it was saved.

    A branch of the ref's own name moves along; from any other place HEAD is detached, as in a fresh
    checkout.
    """
    job.enter("checkout")
    started = time.monotonic()
    git = replace(job.git, on_progress=job.progress)
    if is_partial(found.git_dir):  # files that it lacks are fetched
        git = git.reaching(parse_url(job.request.url))
    here = git.at(found.git_dir, found.git_dir.parent)
    marker = found.git_dir / MARKER
    mark = found.git_dir.is_dir()
    if mark:
        marker.write_text(f"{found.commit} {commit}\n", "ascii")
    force = ["--force"] if over else ["--no-overwrite-ignore"]
    on_its_branch = found.branch and found.branch == job.request.ref.removeprefix("refs/heads/")
    where = ["-B", found.branch, commit] if on_its_branch else ["--detach", commit]
    ended = _whole(await here.run("checkout", "--progress", *force, *where))
    if mark and (ended.ok or ended.failure in _UNTOUCHED):
        marker.unlink()
    job.outcome.add("checkout", time.monotonic() - started)
    return ended


def _whole(ended: Ended) -> Ended:
    """Take a checkout that could not write a file for a failure: git itself doesn't, it only says so."""
    if ended.ok and _UNWRITTEN.search(ended.words):
        return replace(ended, failure=classify(ended.words))
    return ended


async def _set_origin(job: Job, found: Found) -> None:
    """Let origin be the URL as written (RECLONE does)."""
    if not found.origin or not same_url(found.origin, job.request.url):
        here = job.git.at(found.git_dir, found.git_dir.parent)
        await here.run("config", "remote.origin.url", parse_url(job.request.url).url)
