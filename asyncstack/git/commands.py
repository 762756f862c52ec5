"""The git commands that the fetcher is made of, each one function; none raises for git's failure.

Every ref, URL and path that comes from outside stands behind `--` or inside a refspec, after
`check_url`, `check_ref` and `check_name` have seen it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from asyncstack.git.environment import config_options, credential_options
from asyncstack.git.layout import pack_files
from asyncstack.git.process import Ended, Limits, run_git
from asyncstack.git.progress import Progress
from asyncstack.git.urls import Address

__all__ = [
    "Git",
    "check_objects",
    "clone_filtered",
    "clone_mirror",
    "fetch_branches",
    "fetch_mirror",
    "fetch_shallow",
    "index_pack",
    "ls_remote",
    "pack_refs",
    "populate",
    "repack",
    "resolve_commit",
]

OnProgress = Callable[[Progress], None]
_ORIGINS_BRANCHES = "+refs/heads/*:refs/remotes/origin/*"
_IN_THE_WAY = re.compile(r"exists; cannot create|refname conflict|old, conflicting branches")
_BRANCHES_AND_TAGS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


@dataclass(frozen=True, slots=True)
class Git:
    """How git is started: environment, limits and who is told about progress."""

    environment: Mapping[str, str]
    limits: Limits = field(default_factory=Limits)
    options: Sequence[str] = ()
    on_progress: OnProgress | None = None
    directory: Path | None = None

    def reaching(self, address: Address, **environment: str) -> Git:
        """Return a git that has an address's own credentials, and more environment."""
        options, secrets = credential_options(address)
        low_speed = (
            [
                "-c",
                "http.lowSpeedLimit=1",
                "-c",
                f"http.lowSpeedTime={int(self.limits.stall_s) + 5}",
            ]
            if self.limits.stall_s
            else []
        )
        return replace(
            self,
            options=(*self.options, *options, *low_speed),
            environment={**self.environment, **secrets, **environment},
        )

    def at(self, git_dir: Path, work_tree: Path | None = None) -> Git:
        """Return a git that works on this repository and looks for no other.

        A named repository is not subject to `safe.directory` and `safe.bareRepository`, and a
        broken one is never mistaken for the repository around it.
        """
        place = [f"--git-dir={git_dir}", *([f"--work-tree={work_tree}"] if work_tree else [])]
        return replace(self, options=(*self.options, *place), directory=git_dir.parent)

    async def run(
        self,
        *arguments: str,
        stdin: int = subprocess.DEVNULL,
        moved: Callable[[], int] = lambda: 0,
    ) -> Ended:
        """Run `git <arguments>`; the rest is for `run_git`."""
        return await run_git(
            ["git", *config_options(), *self.options, *arguments],
            env=self.environment,
            cwd=self.directory,
            limits=self.limits,
            on_progress=self.on_progress,
            stdin=stdin,
            moved=moved,
        )


async def index_pack(git: Git, git_dir: Path, stdin: int, moved: Callable[[], int]) -> Ended:
    """Unpack what comes on `stdin` into a repository that is empty; it has to be whole in itself.

    That is what `clone` has index-pack check, in place of a walk over the whole history. Its index
    is one that `packindex` can read.
    """
    check = "--check-self-contained-and-connected"
    arguments = ("index-pack", "-v", "--stdin", "--index-version=2", check)
    return await git.at(git_dir).run(*arguments, stdin=stdin, moved=moved)


async def clone_mirror(git: Git, url: str, target: Path, refspecs: Sequence[str]) -> Ended:
    """Clone all branches and tags, and what the refspecs add, bare, into a path that doesn't exist.

    `clone` rather than `init` and `fetch`: index-pack proves connectivity while it unpacks, which
    spares the walk over the whole history that `fetch` does afterwards.
    """
    more = [part for spec in refspecs for part in ("-c", f"remote.origin.fetch={spec}")]
    return await git.run(
        *more, "clone", "--bare", "--progress", "--no-local", "--template=", "--", url, str(target)
    )


async def fetch_mirror(git: Git, url: str, mirror: Path, refspecs: Sequence[str]) -> Ended:
    """Bring a mirror up to date, deleted branches and tags included."""
    arguments = ("fetch", "--progress", "--prune", "--no-tags", "--", url)
    return await git.at(mirror).run(*arguments, *_BRANCHES_AND_TAGS, *refspecs)


async def fetch_branches(
    git: Git, url: str, git_dir: Path, work_tree: Path, refspecs: Sequence[str]
) -> Ended:
    """Bring a checkout origin's branches, and what the refspecs add; deleted ones stay.

    But where a branch took the place of a folder of branches, or the other way round, the old ones
    have to go first.
    """
    here = git.at(git_dir, work_tree)
    specs = (_ORIGINS_BRANCHES, *refspecs)
    ended = await here.run("fetch", "--progress", "--", url, *specs)
    if not ended.ok and _IN_THE_WAY.search(ended.words):
        ended = await here.run("fetch", "--progress", "--prune", "--", url, _ORIGINS_BRANCHES)
        if ended.ok and refspecs:
            ended = await here.run("fetch", "--progress", "--", url, *specs)
    return ended


async def pack_refs(git: Git, git_dir: Path) -> Ended:
    """Put all refs into packed-refs, tags peeled: what a checkout's refs are made from."""
    return await git.at(git_dir).run("pack-refs", "--all")


async def repack(git: Git, git_dir: Path) -> Ended:
    """Put everything that the refs reach into one pack and drop the others."""
    here = git.at(git_dir)
    return await here.run("-c", "repack.writeBitmaps=false", "repack", "-a", "-d", "-q")


async def fetch_shallow(git: Git, url: str, git_dir: Path, ref: str, depth: int) -> Ended:
    """Fetch one ref, `depth` commits deep (0: all of them), into FETCH_HEAD."""
    deep = [f"--depth={depth}"] if depth else []
    return await git.at(git_dir).run("fetch", "--progress", "--no-tags", *deep, "--", url, ref)


async def clone_filtered(
    git: Git, url: str, target: Path, refspecs: Sequence[str], spec: str
) -> Ended:
    """Clone without the objects that a filter leaves out; a server that can't sends them all."""
    more = [part for refspec in refspecs for part in ("-c", f"remote.origin.fetch={refspec}")]
    arguments = ("clone", "--no-checkout", "--progress", "--no-local", "--template=")
    return await git.run(*more, *arguments, f"--filter={spec}", "--", url, str(target))


async def ls_remote(git: Git, url: str) -> Ended:
    """Ask a server for its branches and tags: one connection, no objects.

    The two options are the only filter that reaches the server; without one, a Gerrit would send
    a line for every change it ever saw.
    """
    return await git.run("ls-remote", "--heads", "--tags", "--", url)


async def populate(git: Git, work_tree: Path, commit: str) -> Ended:
    """Fill an empty work tree and its index from a commit; HEAD is left alone."""
    repository = git.at(work_tree / ".git", work_tree)
    return await repository.run("read-tree", "--reset", "-u", "-v", commit)


async def resolve_commit(git: Git, git_dir: Path, name: str) -> str:
    """Return the commit that a name means in a repository on disk; '' if it has none."""
    ended = await git.at(git_dir).run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    return ended.stdout.strip() if ended.ok else ""


async def check_objects(git: Git, git_dir: Path) -> Ended:
    """Read every object of every pack and see that whatever the refs need is there.

    `fsck --full` does the same, but also finds fault with what people committed long ago: a
    malformed time zone is no damage.
    """
    here = git.at(git_dir)
    indexes = [str(path) for path in pack_files(git_dir) if path.suffix == ".idx"]
    if indexes:
        ended = await here.run("verify-pack", "--", *indexes)
        if not ended.ok:
            return ended
    return await here.run("fsck", "--connectivity-only", "--no-dangling", "--no-progress")
