"""Ten repositories to eight nodes over sshd: delivery against rsync, bundles and clones, in one run.

The nodes are sshd processes of this machine, so that controller and nodes share its processors: only
ratios mean anything, and those of CPU seconds more than those of time. The others have a head start:
bundles and the tree that rsync copies are made before the clock starts, and clones find their server
on the node itself. Everybody's connections are open by then (OpenSSH's by ControlMaster). Rounds are
interleaved; each figure is a median. Below the table is a line a scenario: ours as a multiple of
each other way.

    PYTHONPATH=. python benchmarks/delivery.py [ROUNDS]
"""

from __future__ import annotations

import os
import random
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from asyncstack.checkouts.values import FetchOptions
from asyncstack.delivery import Depot, Parcel, open_depot
from asyncstack.events import Event
from asyncstack.model import FetchStatus, Node
from asyncstack.transports.ssh import SshAccess, SshOptions, SshTransport
from tests.helpers.gitserver import commit_files, git, rev
from tests.helpers.sshd import Sshd, start_sshd

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
    files["devstack/plugin.sh"] = [["#", "nothing", str(line)] for line in range(150)]
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
        self.targets: dict[str, str] = {}

    def prepare(self) -> None:
        for number, name in enumerate(self.names):
            make_history(self.root / "served" / name, number)
            git("clone", "-q", "--bare", self.root / "served" / name, self.mirror(name))
            git("-C", self.mirror(name), "pack-refs", "--all")
            git("clone", "-q", self.mirror(name), self.root / "tree" / name)
            bundle = self.root / "bundles" / name
            bundle.parent.mkdir(exist_ok=True)
            git("-C", self.mirror(name), "bundle", "create", "-q", bundle, "--all")
            self.targets[name] = rev(self.mirror(name), "master")

    @property
    def url(self) -> str:
        return f"file://{self.root}/served"

    def mirror(self, name: str) -> Path:
        return self.root / "mirrors" / f"{name}.git"

    def change(self) -> None:
        for name in self.names:
            served = self.root / "served" / name
            commit_files(served, {FOLLOWING: str(time.time_ns())})
            git("-C", self.mirror(name), "fetch", "-q", served, "+refs/heads/*:refs/heads/*")
            git("-C", self.mirror(name), "repack", "-q", "-d")
            git("-C", self.mirror(name), "pack-refs", "--all")
            git("-C", self.root / "tree" / name, "pull", "-q")
            self.targets[name] = rev(self.mirror(name), "master")

    def parcels(self, dest: Path) -> list[Parcel]:
        return [
            Parcel(
                plugin=name,
                url=f"{self.url}/{name}",
                ref="master",
                directory=str(dest / name),
                target=self.targets[name],
                mirror=self.mirror(name),
            )
            for name in self.names
        ]


@dataclass(frozen=True)
class Machine:
    """A node: our connection to its sshd, and the one that OpenSSH keeps for everybody else."""

    name: str
    transport: SshTransport
    ssh: str
    dest: Path


@dataclass(frozen=True)
class Figure:
    """What one way has cost: seconds, processor seconds of everything, bytes to each node."""

    wall: float
    cpu: float
    sent: int


#: Brings everything to one machine; returns the bytes that it sent.
Way = Callable[[Machine], Awaitable[int]]


def ignore(_event: Event) -> None:
    """No display."""


@asynccontextmanager
async def open_machines(root: Path) -> AsyncIterator[list[Machine]]:
    async with AsyncExitStack() as stack:
        daemons = ExitStack()
        stack.push_async_callback(anyio.to_thread.run_sync, daemons.close)
        machines = []
        access = SshAccess()
        for number in range(NODES):
            daemon = start_sshd(root / f"sshd{number}")
            daemons.callback(daemon.stop)
            options = SshOptions(key_file=str(daemon.key), known_hosts=str(daemon.known_hosts))
            node = Node(f"node{number}", "127.0.0.1", daemon.user, daemon.port)
            transport = await stack.enter_async_context(SshTransport(node, options, access))
            ssh = daemons.enter_context(master(daemon))
            dest = root / "dest" / node.name
            dest.parent.mkdir(exist_ok=True)
            machines.append(Machine(node.name, transport, ssh, dest))
        yield machines


@contextmanager
def master(daemon: Sshd) -> Iterator[str]:
    """Keep a connection open; yields the ssh command that uses it."""
    words = ["ssh", "-F", "none", "-p", str(daemon.port), "-i", str(daemon.key)]
    words += ["-o", f"UserKnownHostsFile={daemon.known_hosts}", "-o", "BatchMode=yes"]
    words += ["-o", f"ControlPath={daemon.root}/c"]
    host = f"{daemon.user}@127.0.0.1"
    keeper = [*words, "-o", "ControlMaster=yes", "-N", host]
    process = subprocess.Popen(keeper, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while subprocess.run([*words, "-O", "check", host], capture_output=True).returncode:  # noqa: PLW1510
        if time.monotonic() > deadline:
            raise TimeoutError("ssh makes no connection")
        time.sleep(0.05)
    try:
        yield shlex.join(words)
    finally:
        process.terminate()
        process.wait()


def delivered(rig: Rig, depot: Depot, wanted: FetchStatus) -> Way:
    async def way(machine: Machine) -> int:
        results = await depot.deliver(
            machine.transport, rig.parcels(machine.dest), FetchOptions(update=True), ignore
        )
        assert {r.status for r in results} == {wanted}, results
        return sum(r.received_bytes for r in results)

    return way


def copied(rig: Rig) -> Way:
    async def way(machine: Machine) -> int:
        words = ["rsync", "-a", "--delete", "--stats", "-e", machine.ssh]
        said = await run([*words, f"{rig.root}/tree/", f"127.0.0.1:{machine.dest}/"])
        (line,) = (line for line in said.splitlines() if line.startswith("Total bytes sent"))
        return int(line.partition(": ")[2].replace(",", ""))

    return way


def bundled(rig: Rig) -> Way:
    async def way(machine: Machine) -> int:
        sent = 0
        for name in rig.names:
            bundle, place = rig.root / "bundles" / name, machine.dest / name
            command = (
                f"mkdir -p {place} && cat >{place}.bundle && "
                f"git clone -q {place}.bundle {place} && rm {place}.bundle"
            )
            await run([*shlex.split(machine.ssh), "127.0.0.1", command], stdin=bundle)
            sent += bundle.stat().st_size
        return sent

    return way


def remotely(command: str) -> Way:
    async def way(machine: Machine) -> int:
        script = f"mkdir -p {machine.dest}; dest={machine.dest}; {command}"
        await run([*shlex.split(machine.ssh), "127.0.0.1", script])
        return 0

    return way


async def run(words: list[str], stdin: Path | None = None) -> str:
    """Run a command to its end; raises if it fails."""
    with (stdin or Path(os.devnull)).open("rb") as source:
        done = await anyio.run_process(words, stdin=source, stderr=None)
    return done.stdout.decode()


async def on_all(machines: list[Machine], way: Way) -> Figure:
    sent: list[int] = []

    async def one(machine: Machine) -> None:
        sent.append(await way(machine))

    before, started = processor_seconds(), time.perf_counter()
    async with anyio.create_task_group() as group:
        for machine in machines:
            group.start_soon(one, machine)
    wall = time.perf_counter() - started
    return Figure(wall, processor_seconds() - before, max(sent))


def processor_seconds() -> float:
    """What this process, all below it, and whoever of those has ended has used so far."""
    ticks: dict[int, tuple[int, int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        ticks[int(path.parent.name)] = (int(fields[1]), sum(map(int, fields[11:15])))
    ours = {os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, (parent, _) in ticks.items() if parent in ours} - ours
        ours |= more
        grown = bool(more)
    return sum(ticks[pid][1] for pid in ours if pid in ticks) / os.sysconf("SC_CLK_TCK")


NEW, SAME, MOVED = "all new", "nothing changed", "one new commit each"
OURS = "delivery"


def scenarios(rig: Rig, depot: Depot) -> list[tuple[str, str, Way]]:
    """What is measured: the scenario, the way, and what it does; each way keeps its own checkouts."""
    clone = f"echo {' '.join(rig.names)} | xargs -n1 -P4 -I@ git clone -q {rig.url}/@ $dest/@"
    clone = clone.replace("-n1 -P4 -I@", "-d' ' -P4 -I@").replace("echo ", "echo -n ")
    look = "ls $dest | xargs -P4 -I@ git -C $dest/@ fetch -q"
    pull = f"{look} && ls $dest | xargs -P4 -I@ git -C $dest/@ checkout -q --detach origin/master"
    return [
        (NEW, OURS, delivered(rig, depot, FetchStatus.CLONED)),
        (SAME, OURS, delivered(rig, depot, FetchStatus.PRESENT)),
        (MOVED, OURS, delivered(rig, depot, FetchStatus.UPDATED)),
        (NEW, "rsync", copied(rig)),
        (SAME, "rsync", copied(rig)),
        (MOVED, "rsync", copied(rig)),
        (NEW, "bundles", bundled(rig)),
        (NEW, "clones", remotely(clone)),
        (SAME, "clones", remotely(pull)),
        (MOVED, "clones", remotely(pull)),
    ]


async def measure(rig: Rig, rounds: int) -> dict[tuple[str, str], list[Figure]]:
    figures: dict[tuple[str, str], list[Figure]] = {}
    async with open_machines(rig.root) as machines:
        for _ in range(rounds):
            with open_depot() as depot:
                for scenario, name, way in scenarios(rig, depot):
                    if name == "rsync" and not shutil.which("rsync"):
                        continue
                    if scenario == NEW:
                        shutil.rmtree(rig.root / "dest")
                        (rig.root / "dest").mkdir()
                    if scenario == MOVED:
                        rig.change()
                    figures.setdefault((scenario, name), []).append(await on_all(machines, way))
    return figures


def median(figures: list[Figure]) -> Figure:
    return Figure(
        statistics.median(figure.wall for figure in figures),
        statistics.median(figure.cpu for figure in figures),
        figures[-1].sent,
    )


def report(figures: dict[tuple[str, str], list[Figure]]) -> None:
    found = {key: median(values) for key, values in figures.items()}
    print(f"{'':32}{'wall s':>8}{'CPU s':>8}{'MB a node':>11}")
    for (scenario, name), one in sorted(found.items()):
        sent = f"{one.sent / 1e6:11.2f}" if one.sent else ""
        print(f"{scenario + ', ' + name:32}{one.wall:8.2f}{one.cpu:8.2f}{sent}")
    for scenario in (NEW, MOVED, SAME):
        ours = found[scenario, OURS]
        others = [
            f"{ours.wall / one.wall:.2f} × {name} (CPU {ours.cpu / max(one.cpu, 0.01):.2f} ×)"
            for (which, name), one in found.items()
            if which == scenario and name != OURS
        ]
        print(f"{scenario}: {ours.wall:.2f} s = {', '.join(others)}")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory(prefix="d-") as folder:
        root = Path(folder)
        (root / "served").mkdir()
        rig = Rig(root)
        rig.prepare()
        size = sum(p.stat().st_size for p in root.glob("mirrors/*/objects/pack/*.pack"))
        print(f"{REPOSITORIES} repositories, {size / 1e6:.0f} MB of packs, {NODES} nodes")
        report(anyio.run(measure, rig, rounds))


if __name__ == "__main__":
    main()
