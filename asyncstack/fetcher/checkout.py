"""Make a checkout from a source, beside its final place, and move it there in one step."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio.to_thread

from asyncstack.fetcher.attempts import Job, failed_by, read_from_mirror
from asyncstack.fetcher.cache import Mirror
from asyncstack.fetcher.files import share_packs
from asyncstack.fetcher.mirror import Source
from asyncstack.git.commands import populate
from asyncstack.git.layout import write_config, write_packed_refs
from asyncstack.git.process import Ended
from asyncstack.git.urls import parse_url

__all__ = ["make_checkout", "move_into_place", "write_repository"]


async def make_checkout(job: Job, source: Source, work: Path) -> Path | Ended:
    """Build a complete checkout below `work`; return it, or how that failed.

    HEAD is written last: a repository without it is none.
    """
    job.begin()  # unless there was something to ask or to fetch, this is where work begins
    job.enter("checkout")
    tree = work / "checkout"
    started = time.monotonic()
    try:
        await anyio.to_thread.run_sync(write_repository, tree, source.mirror, job.request.url)
    except OSError as error:
        return failed_by(error)
    git = replace(job.git, on_progress=job.progress)
    ended = read_from_mirror(await populate(git, tree, source.commit))
    if not ended.ok:
        return ended
    (tree / ".git" / "HEAD").write_text(f"{source.commit}\n", "ascii")
    job.outcome.add("checkout", time.monotonic() - started)
    return tree


def write_repository(tree: Path, mirror: Mirror, url: str) -> None:
    """Write a `.git` that shares a mirror's packs and has its branches as origin's."""
    git_dir = tree / ".git"
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        (git_dir / folder).mkdir(parents=True)
    sha256 = any(len(oid) == 64 for oid in mirror.refs.names.values())  # noqa: PLR2004
    write_config(git_dir, parse_url(url).url, sha256=sha256)
    share_packs(mirror.path, git_dir)
    with suppress(FileNotFoundError):  # where the history of a shallow origin ends
        (git_dir / "shallow").write_bytes((mirror.path / "shallow").read_bytes())
    write_packed_refs(git_dir, mirror.refs.as_origin())
    (git_dir / "HEAD").write_text("ref: refs/heads/master\n", "ascii")
    if mirror.default_branch:
        head = git_dir / "refs" / "remotes" / "origin" / "HEAD"
        head.parent.mkdir(parents=True)
        branch = mirror.default_branch.removeprefix("refs/heads/")
        head.write_text(f"ref: refs/remotes/origin/{branch}\n", "utf-8")


def move_into_place(tree: Path, directory: Path) -> str:
    """Rename a complete checkout to its place; return what stood in the way, '' if nothing did.

    Another asyncstack may have been faster: rename refuses to replace a directory that has content.
    """
    try:
        tree.rename(directory)
    except OSError as error:
        return error.strerror or str(error)
    return ""
