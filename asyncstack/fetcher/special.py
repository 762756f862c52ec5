"""Shallow and partial clones: made directly from the server, since a mirror can't hold them."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

from asyncstack.checkouts.telling import warn
from asyncstack.checkouts.wording import about_contents, about_unfiltered
from asyncstack.fetcher.attempts import Job, failed, try_all
from asyncstack.fetcher.cache import Mirror
from asyncstack.fetcher.checkout import write_repository
from asyncstack.fetcher.conversations import Conversations
from asyncstack.fetcher.direct import Fetched, fetch_shallow_directly, goes_on_directly
from asyncstack.fetcher.workspace import remove_tree
from asyncstack.git.commands import (
    Git,
    clone_filtered,
    fetch_branches,
    fetch_shallow,
    populate,
    resolve_commit,
)
from asyncstack.git.failures import FailureClass
from asyncstack.git.layout import write_config
from asyncstack.git.process import Ended
from asyncstack.git.refs import RefKind, RefTable, extra_refspec, kind_of_ref
from asyncstack.git.urls import parse_url
from asyncstack.model import Suspicion

__all__ = ["clone_partial", "clone_shallow", "fetch_directly", "fetch_one_ref"]

_OTHER_FORMAT = "mismatched algorithms"
_UNFILTERED = "filtering not recognized by server"
_SHA256_DIGITS = 64
_FETCHED = re.compile(r"([0-9a-f]{40,64})\t[^\t]*\t(?:(branch|tag) '([^']+)')?")


async def fetch_one_ref(job: Job, git_dir: Path, work: Path) -> str | Ended:
    """Bring a shallow or partial checkout the one commit that is wanted; return it."""
    wanted = job.request.commit or job.request.ref
    depth = job.options.depth or (1 if (git_dir / "shallow").exists() else 0)
    commit = ""

    async def attempt(git: Git, url: str) -> Ended:
        nonlocal commit
        ended = _explained(await fetch_shallow(git, url, git_dir, wanted, depth), wanted)
        if ended.ok:
            name, oid = _name_fetched(git_dir, wanted)
            commit = await _commit_of(job.git, git_dir, name, oid)
            if name:
                await job.git.at(git_dir).run("update-ref", name, oid)
        return ended

    ended = await try_all(job, attempt, work)
    return commit if ended.ok else ended


async def fetch_directly(job: Job, git_dir: Path, work: Path, name: str) -> str | Ended:
    """Bring a full checkout all branches and what is wanted from the server; return the commit.

    `name` is what the server calls the ref; only that tag may be overwritten, others are followed.
    """
    wanted = job.request.commit or job.request.ref
    specs = [spec for spec in (extra_refspec(wanted),) if spec]
    if name.startswith("refs/tags/"):
        specs.append(f"+{name}:{name}")
    commit = ""

    async def attempt(git: Git, url: str) -> Ended:
        nonlocal commit
        ended = await fetch_branches(git, url, git_dir, git_dir.parent, specs)
        if not ended.ok:
            return ended
        commit = await _find(job.git, git_dir, wanted)
        return ended if commit else failed(FailureClass.REF_NOT_FOUND, f"there is no {wanted!r}")

    ended = await try_all(job, attempt, work)
    return commit if ended.ok else ended


async def clone_shallow(
    job: Job, conversations: Conversations, work: Path
) -> tuple[Path, str] | Ended:
    """Clone one ref, GIT_DEPTH commits deep; return the checkout and its commit."""
    fetched: tuple[Path, str] | None = None
    directly = True
    wanted = job.request.commit or job.request.ref

    async def attempt(git: Git, url: str) -> Ended:
        nonlocal directly, fetched
        tree = work / f"shallow-{job.outcome.attempts}"
        write_repository(tree, Mirror(work / "nothing", RefTable()), job.request.url)
        git_dir = tree / ".git"
        there = (
            await fetch_shallow_directly(job, conversations, git, url, git_dir)
            if directly
            else None
        )
        if there is None:
            remove_tree(tree)
            write_repository(tree, Mirror(work / "nothing", RefTable()), job.request.url)
            there = await _fetch_in_its_format(job, git, url, git_dir)
        if isinstance(there, Ended):
            directly = directly and goes_on_directly(there)
            return _explained(there, wanted)
        ended, name, oid = there
        commit = await _commit_of(job.git, git_dir, name, oid)
        if not commit:
            return replace(
                ended, failure=FailureClass.REF_NOT_FOUND, words=f"{wanted!r} is no commit"
            )
        _write_ref(git_dir, name, oid)
        fetched = tree, commit
        return ended

    ended = await try_all(job, attempt, work)
    if fetched is None:
        return ended
    # Another repository may have our place at the server meanwhile.
    filled = await _fill(job, *fetched, job.git)
    return fetched if filled.ok else filled


async def _commit_of(git: Git, git_dir: Path, name: str, oid: str) -> str:
    """Return the commit that was fetched, '' if it is none; a branch can't be anything else."""
    return oid if name.startswith("refs/remotes/") else await resolve_commit(git, git_dir, oid)


async def _fetch_in_its_format(job: Job, git: Git, url: str, git_dir: Path) -> Fetched | Ended:
    """Fetch one ref into an empty repository, of the object format that the server's has."""
    wanted, depth = job.request.commit or job.request.ref, job.options.depth
    ended: Ended | None = None
    if kind_of_ref(wanted) is not RefKind.COMMIT or len(wanted) != _SHA256_DIGITS:
        ended = await fetch_shallow(git, url, git_dir, wanted, depth)
    # A clone would find out by itself. To ask before would cost everybody a connection.
    if ended is None or (not ended.ok and _OTHER_FORMAT in ended.words):
        write_config(git_dir, parse_url(job.request.url).url, sha256=True)
        ended = await fetch_shallow(git, url, git_dir, wanted, depth)
    return (ended, *_name_fetched(git_dir, wanted)) if ended.ok else ended


def _explained(ended: Ended, wanted: str) -> Ended:
    """Say why a server doesn't know a commit that everybody else does."""
    missing = ended.failure is FailureClass.REF_NOT_FOUND
    if not missing or kind_of_ref(wanted) is not RefKind.ABBREVIATED:
        return ended
    words = (
        f"no branch or tag is called {wanted!r}, and a server knows no abbreviated commits: "
        "write it in full, or fetch the whole history"
    )
    return replace(ended, words=words)


def _name_fetched(git_dir: Path, ref: str) -> tuple[str, str]:
    """Return the ref to keep what FETCH_HEAD names, and the object: it says branch or tag."""
    matched = _FETCHED.match((git_dir / "FETCH_HEAD").read_text("utf-8", "replace"))
    if matched is None:
        return "", ""
    if matched[2] == "branch":
        return f"refs/remotes/origin/{matched[3]}", matched[1]
    if matched[2] == "tag":
        return f"refs/tags/{matched[3]}", matched[1]
    spec = extra_refspec(ref)
    return spec.partition(":")[2], matched[1]


def _write_ref(git_dir: Path, name: str, oid: str) -> None:
    if not name:
        return
    path = git_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{oid}\n", "ascii")


async def _fill(job: Job, tree: Path, commit: str, git: Git) -> Ended:
    job.enter("checkout")
    started = time.monotonic()
    ended = await populate(replace(git, on_progress=job.progress), tree, commit)
    if ended.ok:
        (tree / ".git" / "HEAD").write_text(f"{commit}\n", "ascii")
        job.outcome.add("checkout", time.monotonic() - started)
    return ended


async def clone_partial(job: Job, work: Path) -> tuple[Path, str] | Ended:
    """Clone without what the filter leaves out; the checkout fetches what it needs itself."""
    done: tuple[Path, str] | None = None
    wanted = job.request.commit or job.request.ref

    async def attempt(git: Git, url: str) -> Ended:
        nonlocal done
        tree = work / f"partial-{job.outcome.attempts}"
        spec = extra_refspec(wanted)
        ended = await clone_filtered(git, url, tree, [spec] if spec else [], job.options.filter)
        if not ended.ok:
            return ended
        commit = await _find(job.git, tree / ".git", wanted)
        if not commit:
            words = f"the repository has no {wanted!r}"
            return replace(ended, failure=FailureClass.REF_NOT_FOUND, words=words)
        filled = await _fill(job, tree, commit, git)
        if filled.ok:
            done = (tree, commit)
            # Not before all blobs have come from where the others did.
            url_of_origin = ("config", "remote.origin.url", parse_url(job.request.url).url)
            filled = await job.git.at(tree / ".git").run(*url_of_origin)
            for warning in _about_partial(job, unfiltered=_UNFILTERED in ended.words):
                warn(warning, job.options.node, job.emit)
        return filled if not filled.ok else ended

    ended = await try_all(job, attempt, work)
    return done if done is not None else ended


def _about_partial(job: Job, *, unfiltered: bool) -> list[Suspicion]:
    directory, plugin = job.request.directory, job.request.plugin
    if unfiltered:
        return [about_unfiltered(directory, plugin)]
    login = parse_url(job.request.url).credentials is not None
    return about_contents(directory, plugin, ["filter-login"] if login else [])


async def _find(git: Git, git_dir: Path, wanted: str) -> str:
    kind = kind_of_ref(wanted)
    names = [extra_refspec(wanted).partition(":")[2]]
    if kind in (RefKind.NAMED, RefKind.ABBREVIATED):
        short = wanted.removeprefix("refs/heads/")
        names = [f"refs/tags/{wanted.removeprefix('refs/tags/')}", f"refs/remotes/origin/{short}"]
    if kind is RefKind.ABBREVIATED:
        names.append(wanted)
    for name in names:
        if commit := await resolve_commit(git, git_dir, name):
            return commit
    return ""
