"""Ten repositories to eight nodes: delivery against clones, bundles and rsync, in the same run.

The nodes are directories of this machine, so that controller, server (a file:// URL) and nodes
share its processors and no network is between them: only ratios mean anything. The others are given a head
start: the bundles and the tree that rsync copies are made before the clock starts, and nothing of
theirs crosses a connection. Rounds are interleaved; each figure is a median.

    PYTHONPATH=. python benchmarks/delivery.py [ROUNDS]
"""

from __future__ import annotations

import random
import resource
import shlex
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio

from asyncstack.checkouts.values import FetchOptions
from asyncstack.delivery import (
    Depot,
    Parcel,
    clone_on_node,
    open_depot,
)
from asyncstack.events import Event
from asyncstack.model import FetchStatus, Node
from asyncstack.transports.local import LocalTransport
from tests.helpers.gitserver import commit_files, git, rev

REPOSITORIES, NODES, COMMITS = 10, 8, 300
FOLLOWING = "changed"


def make_history(path: Path, seed: int) -> None:
    """A few hundred commits over eighty files of text: about 5 MB packed, 1 MB checked out."""
    noise = random.Random(seed)
    git("init", "-q", "--bare", "--initial-branch=master", path)
    words = [f"{noise.getrandbits(48):x}" for _ in range(4000)]
    files = {
        f"lib/{n // 10}/module{n}.py": [noise.choices(words, k=9) for _ in range(150)]
        for n in range(80)
    }
    stream = bytearray()
    for number in range(COMMITS):
        stream += b"commit refs/heads/master\nmark :%d\n" % (number + 1)
        stream += b"committer A U Thor <author@example.org> %d +0000\ndata 1\nc\n" % (
            1700000000 + number
        )
        changed = list(files) if number == 0 else noise.sample(list(files), 8)
        for name in changed:
            for _ in range(60 if number else 0):
                files[name][noise.randrange(150)] = [f"{noise.getrandbits(96):x}", *words[:3]]
            text = "\n".join(" ".join(line) for line in files[name]).encode()
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(text), text)
        if number % 30 == 0:
            stream += b"reset refs/tags/%d.0\nfrom :%d\n\n" % (number, number + 1)
    git("-C", path, "fast-import", "--quiet", stdin=bytes(stream))
    git("-C", path, "repack", "-adfq", "--depth=20", "--window=10")


class Rig:
    """Repositories, their mirrors, and what the others start from."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names = [f"repository{number}" for number in range(REPOSITORIES)]

    def prepare(self) -> None:
        for number, name in enumerate(self.names):
            make_history(self.root / "served" / name, number)
            git("clone", "-q", "--bare", self.root / "served" / name, self.mirror(name))
            git("-C", self.mirror(name), "pack-refs", "--all")
            git("clone", "-q", self.mirror(name), self.root / "tree" / name)
            bundle = self.root / "bundles" / name
            bundle.parent.mkdir(exist_ok=True)
            git("-C", self.mirror(name), "bundle", "create", "-q", bundle, "--all")

    def mirror(self, name: str) -> Path:
        return self.root / "mirrors" / f"{name}.git"

    def change(self) -> None:
        for name in self.names:
            served = self.root / "served" / name
            commit_files(served, {FOLLOWING: str(time.time_ns())})
            git("-C", self.mirror(name), "fetch", "-q", served, "+refs/heads/*:refs/heads/*")
            git("-C", self.mirror(name), "repack", "-q", "-d")
            git("-C", self.mirror(name), "pack-refs", "--all")

    def parcels(self, dest: Path) -> list[Parcel]:
        return [
            Parcel(
                plugin=name,
                url=f"file://{self.root / 'served' / name}",
                ref="master",
                directory=str(dest / name),
                target=rev(self.mirror(name), "master"),
                mirror=self.mirror(name),
            )
            for name in self.names
        ]


Way = Callable[[LocalTransport, Path], Coroutine[Any, Any, None]]


def ignore(_event: Event) -> None:
    """No display."""


def delivered(rig: Rig, depot: Depot, wanted: FetchStatus, *, update: bool = False) -> Way:
    prepared: list[Parcel] = []

    async def way(transport: LocalTransport, dest: Path) -> None:
        if not prepared:
            prepared.extend(rig.parcels(Path("/")))
        parcels = [
            Parcel(
                plugin=p.plugin,
                url=p.url,
                ref=p.ref,
                directory=str(dest / p.plugin),
                target=p.target,
                mirror=p.mirror,
            )
            for p in prepared
        ]
        results = await depot.deliver(transport, parcels, FetchOptions(update=update), ignore)
        assert {r.status for r in results} == {wanted}, results

    return way


def cloned(rig: Rig) -> Way:
    async def way(transport: LocalTransport, dest: Path) -> None:
        results = await clone_on_node(transport, rig.parcels(dest), FetchOptions(), ignore)
        assert all(result.status is FetchStatus.CLONED for result in results), results

    return way


def shell(command: str) -> Way:
    async def way(transport: LocalTransport, dest: Path) -> None:
        completed = await transport.run(
            f"mkdir -p {dest}; dest={shlex.quote(str(dest))}; {command}"
        )
        assert completed.ok, completed

    return way


async def on_all_nodes(root: Path, way: Way) -> tuple[float, float]:
    """Run a way on all nodes at once; return wall and processor seconds."""
    before, started = _cpu(), time.perf_counter()
    async with anyio.create_task_group() as group:
        for number in range(NODES):
            node = f"node{number}"
            group.start_soon(way, LocalTransport(Node(node)), root / "dest" / node)
    return time.perf_counter() - started, _cpu() - before


def _cpu() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


async def measure(rig: Rig, rounds: int) -> dict[str, list[tuple[float, float]]]:
    figures: dict[str, list[tuple[float, float]]] = {}
    new, kept, moved = FetchStatus.CLONED, FetchStatus.PRESENT, FetchStatus.UPDATED
    bundles, tree = rig.root / "bundles", rig.root / "tree"
    clone = f"ls {bundles} | xargs -P2 -I@ git clone -q {bundles}/@ $dest/@"
    pull = "for each in $dest/*; do git -C $each fetch -q && git -C $each checkout -q --detach origin/master; done"
    for _ in range(rounds):
        with open_depot() as depot:
            ways: list[tuple[str, Way, bool]] = [
                ("each node clones by itself", cloned(rig), True),
                ("  and fetches one new commit", shell(pull), False),
                ("a bundle each, cloned there", shell(clone), True),
                ("delivery, all new", delivered(rig, depot, new), True),
                ("  nothing changed", delivered(rig, depot, kept, update=True), False),
                ("  one new commit each", delivered(rig, depot, moved, update=True), False),
            ]
            if shutil.which("rsync"):
                copy = f"rsync -a --delete {tree}/ $dest/"
                ways += [
                    ("rsync, all new", shell(copy), True),
                    ("  nothing changed ", shell(copy), False),
                ]
            for name, way, fresh in ways:
                if fresh:
                    shutil.rmtree(rig.root / "dest", ignore_errors=True)
                elif "new commit" in name:
                    rig.change()
                figures.setdefault(name, []).append(await on_all_nodes(rig.root, way))
    return figures


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory(prefix="delivery-") as folder:
        root = Path(folder)
        (root / "served").mkdir()
        rig = Rig(root)
        rig.prepare()
        size = sum(p.stat().st_size for p in root.glob("mirrors/*/objects/pack/*.pack"))
        print(f"{REPOSITORIES} repositories, {size / 1e6:.0f} MB of packs, {NODES} nodes")
        figures = anyio.run(measure, rig, rounds)
    reference = statistics.median(wall for wall, _ in figures["delivery, all new"])
    print(f"{'':32}{'wall s':>8}{'CPU s':>8}{'ratio':>8}")
    for name, pairs in figures.items():
        wall, cpu = (statistics.median(values) for values in zip(*pairs, strict=True))
        print(f"{name:32}{wall:8.2f}{cpu:8.2f}{wall / reference:8.2f}")


if __name__ == "__main__":
    main()
