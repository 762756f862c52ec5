"""Where payloads are made, on the controller: once for all nodes that need the same."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread

from asyncstack.delivery.payloads import Content, refs_of_update
from asyncstack.delivery.seed import refspec_of
from asyncstack.delivery.survey import Found
from asyncstack.delivery.values import Parcel
from asyncstack.git.commands import Git
from asyncstack.git.environment import base_environment
from asyncstack.git.layout import pack_files, read_head, write_config, write_packed_refs
from asyncstack.git.process import Ended
from asyncstack.git.refs import RefTable, read_refs
from asyncstack.git.urls import parse_url

__all__ = ["Workshop", "open_workshop"]

_FOLDERS = ("objects/info/", "objects/pack/", "refs/heads/", "refs/tags/", "info/")
#: Packs that are made at once: pack-objects uses all processors by itself.
_BUNDLES = 2


@dataclass(slots=True)
class Workshop:
    """Makes the contents of payloads and keeps what it made while it is open."""

    folder: Path
    git: Git
    _skeletons: dict[tuple[Path, str], tuple[Content, ...]] = field(default_factory=dict)
    _bundles: dict[tuple[Path, frozenset[str]], Path | Ended | None] = field(default_factory=dict)
    _shallow: dict[tuple[Path, str, str, int], tuple[Content, ...] | Ended] = field(
        default_factory=dict
    )
    _locks: dict[object, anyio.Lock] = field(default_factory=dict)
    _limiter: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_BUNDLES))

    async def new(self, parcel: Parcel) -> list[Content]:
        """Return a whole `.git`: the mirror's packs and indexes as they are, refs packed.

        Raises OSError if the mirror can't be read.
        """
        # Refs before packs: whatever is added meanwhile, the packs have all that the refs name.
        key = (parcel.mirror, parse_url(parcel.url).url)
        async with self._locks.setdefault(key, anyio.Lock()):
            if key not in self._skeletons:
                self._skeletons[key] = await anyio.to_thread.run_sync(self._skeleton, *key)
        folder = ".git/objects/pack"
        packs = [Content(f"{folder}/{path.name}", path=path) for path in pack_files(parcel.mirror)]
        return [*self._skeletons[key], *packs]

    def _skeleton(self, mirror: Path, url: str) -> tuple[Content, ...]:
        refs = read_refs(mirror)
        git_dir = Path(tempfile.mkdtemp(dir=self.folder))
        sha256 = any(len(oid) == 64 for oid in refs.names.values())  # noqa: PLR2004
        write_config(git_dir, url, sha256=sha256)
        write_packed_refs(git_dir, refs.as_origin())
        (git_dir / "HEAD").write_text("ref: refs/heads/master\n", "ascii")
        names = ["config", "packed-refs", "HEAD"]
        branch = read_head(mirror).removeprefix("ref: ")
        if branch in refs.names:
            head = git_dir / "refs" / "remotes" / "origin" / "HEAD"
            head.parent.mkdir(parents=True)
            name = branch.removeprefix("refs/heads/")
            head.write_text(f"ref: refs/remotes/origin/{name}\n", "utf-8", "surrogateescape")
            names.append("refs/remotes/origin/HEAD")
        return (
            *(Content(f".git/{name}") for name in _FOLDERS),
            *(Content(f".git/{name}", (git_dir / name).read_bytes()) for name in names),
        )

    async def shallow(self, parcel: Parcel, depth: int) -> list[Content] | Ended:
        """Return a `.git` with so many commits of what is wanted, and nothing else: GIT_DEPTH's.

        Returns how making it failed, if it did. Raises OSError if the mirror can't be read.
        """
        key = (parcel.mirror, refspec_of(parcel), parcel.target, depth)
        async with self._locks.setdefault(key, anyio.Lock()):
            if key not in self._shallow:
                async with self._limiter:
                    self._shallow[key] = await self._make_shallow(parcel, depth)
        made = self._shallow[key]
        return made if isinstance(made, Ended) else list(made)

    async def _make_shallow(self, parcel: Parcel, depth: int) -> tuple[Content, ...] | Ended:
        git_dir = Path(tempfile.mkdtemp(dir=self.folder))
        sha256 = len(parcel.target) == 64  # noqa: PLR2004
        for folder in ("objects", "refs"):
            (git_dir / folder).mkdir()
        write_config(git_dir, parse_url(parcel.url).url, sha256=sha256)
        (git_dir / "HEAD").write_text("ref: refs/heads/master\n", "ascii")
        here = self.git.at(git_dir)
        source = ("--", str(parcel.mirror), refspec_of(parcel, as_branch=True))
        ended = await here.run("fetch", "--quiet", "--no-tags", f"--depth={depth}", *source)
        if ended.ok:
            ended = await here.run("pack-refs", "--all")
        if not ended.ok:
            return ended
        files = ["config", "HEAD", "packed-refs", "shallow"]
        packs = [f"objects/pack/{path.name}" for path in pack_files(git_dir)]
        return (
            *(Content(f".git/{name}") for name in _FOLDERS),
            *(
                Content(f".git/{name}", path=git_dir / name)
                for name in (*files, *packs)
                if (git_dir / name).exists()
            ),
        )

    async def update(self, parcel: Parcel, found: Found) -> list[Content] | Ended:
        """Return what brings an older checkout here, or how making it failed.

        Raises OSError if the mirror can't be read.
        """
        refs = await anyio.to_thread.run_sync(read_refs, parcel.mirror)
        gone, changed = refs_of_update(refs, parcel.ref, found.refs)
        contents = [Content("gone", gone), Content("refs", changed)]
        if found.commit == parcel.target:
            return contents
        # What a shallow or partial clone has of a commit's history can't be known: it gets all.
        tips = {found.commit, *found.refs.values()} if not found.reduced else set[str]()
        git = self.git.at(parcel.mirror)
        known = await _existing(git, tips, refs)
        if found.commit in known:  # then no commit there is local work: no need to search for some
            contents.append(Content("published"))
        bundle = await self._bundle(git, parcel, known)
        if isinstance(bundle, Ended):
            return bundle
        return (
            contents
            if bundle is None
            else [*contents, Content("pack", path=bundle, skip=_header(bundle))]
        )

    async def _bundle(self, git: Git, parcel: Parcel, known: frozenset[str]) -> Path | Ended | None:
        """Make the thin bundle of what a checkout lacks; None if that is nothing."""
        key = (parcel.mirror, known)
        async with self._locks.setdefault(key, anyio.Lock()):
            if key not in self._bundles:
                async with self._limiter:
                    self._bundles[key] = await self._make_bundle(git, known)
        return self._bundles[key]

    async def _make_bundle(self, git: Git, known: frozenset[str]) -> Path | Ended | None:
        path = self.folder / f"bundle-{len(self._bundles)}"
        negatives = [f"^{commit}" for commit in sorted(known)]
        ended = await git.run("bundle", "create", "--quiet", str(path), "--all", *negatives)
        if "empty bundle" in ended.words:
            return None
        return path if ended.ok else ended


def _header(bundle: Path) -> int:
    """Return where a bundle's pack begins: behind lines that end with an empty one."""
    with bundle.open("rb") as file:
        return sum(len(line) for line in iter(file.readline, b"\n")) + 1


#: Commits on one command line.
_MANY = 1000


async def _existing(git: Git, tips: set[str], refs: RefTable) -> frozenset[str]:
    """Return those of a checkout's commits that the mirror has, too."""
    known = tips & {*refs.names.values(), *refs.peeled.values()}
    doubtful: Sequence[str] = sorted(tips - known)[:_MANY]
    if doubtful:
        ended = await git.run("rev-list", "--no-walk", "--ignore-missing", *doubtful)
        known |= set(ended.stdout.split())
    return frozenset(sorted(known)[:_MANY])


@contextmanager
def open_workshop() -> Iterator[Workshop]:
    """Open a workshop in a temporary directory, which goes with it."""
    with tempfile.TemporaryDirectory(prefix="asyncstack-") as folder:
        yield Workshop(Path(folder), Git(base_environment(os.environ)))
