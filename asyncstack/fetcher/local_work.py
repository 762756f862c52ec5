"""What a user has done in a checkout, found before an update and, if need be, saved from it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from asyncstack.checkouts.wording import local_work
from asyncstack.fetcher.inspection import Found
from asyncstack.git.commands import Git
from asyncstack.git.process import Ended

__all__ = ["find_local_work", "save_local_work"]

_QUIT: Mapping[str, Sequence[tuple[str, ...]]] = {
    "rebase": [("rebase", "--quit")],
    "rebase or am": [("rebase", "--quit"), ("am", "--quit")],
    "merge": [("merge", "--quit")],
    "cherry-pick": [("cherry-pick", "--quit")],
    "revert": [("revert", "--quit")],
    "bisect": [("bisect", "reset", "HEAD")],
}
_IDENTITY = {
    "GIT_AUTHOR_NAME": "asyncstack",
    "GIT_AUTHOR_EMAIL": "asyncstack@localhost",
    "GIT_COMMITTER_NAME": "asyncstack",
    "GIT_COMMITTER_EMAIL": "asyncstack@localhost",
}


async def find_local_work(git: Git, found: Found) -> str:
    """Say what an update would destroy: unfinished business, changed files, commits; '' if nothing."""
    here = git.at(found.git_dir, found.git_dir.parent)
    return local_work(
        found.unfinished, await _changed_files(here), await _local_commits(here, found)
    )


async def _changed_files(here: Git) -> list[str]:
    ended = await here.run(
        "status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=all"
    )
    if not ended.ok:
        return [f"(git status failed: {ended.words})"]
    entries = iter(ended.stdout.split("\0"))
    files = []
    for entry in entries:
        if entry:
            files.append(entry[3:])
            if entry[0] in "RC":
                next(entries, None)  # where it came from
    return files


async def _local_commits(here: Git, found: Found) -> list[str]:
    """Return commits that nothing fetched reaches, newest first: hash and subject.

    What DevStack fetched by a ref of its own is in FETCH_HEAD; what we did, under refs/asyncstack.
    """
    known = ["--remotes", "--tags", "--glob=refs/asyncstack/*", *_fetch_head(found.git_dir)]
    ended = await here.run("rev-list", "--ignore-missing", "--oneline", "HEAD", "--not", *known)
    return ended.stdout.splitlines() if ended.ok else [f"(git rev-list failed: {ended.words})"]


def _fetch_head(git_dir: Path) -> list[str]:
    try:
        text = (git_dir / "FETCH_HEAD").read_text("utf-8", "replace")
    except OSError:
        return []
    return re.findall(r"^([0-9a-f]{40,64})\t", text, re.MULTILINE)


async def save_local_work(
    git: Git, found: Found, work: Path, *, also: Sequence[str] = ()
) -> str | Ended:
    """Keep everything in a commit of its own; return the ref that names it.

    Of ignored files only those that `also` names, which an update would go over.

    The commit is made through an index of our own, so that neither conflicts nor a missing
    identity are in the way. Then end what is unfinished.
    """
    here = git.at(found.git_dir, found.git_dir.parent)
    index = {"GIT_INDEX_FILE": str(work / "index")}
    snapshot = replace(here, environment={**here.environment, **_IDENTITY, **index})
    ended = await snapshot.run("read-tree", "HEAD")
    if ended.ok:
        ended = await snapshot.run("add", "--all", "--", ".")
    if ended.ok and also:
        ended = await snapshot.run("--literal-pathspecs", "add", "--force", "--", *also)
    if not ended.ok:
        return ended
    tree = await snapshot.run("write-tree")
    message = f"Local work in {found.git_dir.parent}"
    commit = await snapshot.run(
        "commit-tree", "-p", "HEAD", "-m", message, tree.stdout.strip() or "missing"
    )
    oid = commit.stdout.strip() or "missing"
    # Twice in a second is possible: what follows an interrupted update may go over something, too.
    name = f"refs/asyncstack/saved/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{oid[:8]}"
    named = await here.run("update-ref", "--create-reflog", name, oid)
    if not named.ok:
        return named
    for arguments in _QUIT.get(found.unfinished, []):
        await here.run(*arguments)
    return name
