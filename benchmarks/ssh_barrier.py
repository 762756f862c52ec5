"""Many nodes behind a slow link: a run in step against one plain ssh a node, in one go.

    python -m benchmarks.ssh_barrier [--nodes 8] [--rtt 0.02] [--rounds 3]

10 plugins × 5 phases of trivial steps on real sshd processes on loopback, behind a proxy that adds
the round trip. The plain ssh runs the same loop on the node, without barriers and without timing:
that is the floor. Interpreter start included, bytecode compiled before, as it is once installed.

The ratio is what counts. Beside it stands what other programs on the machine can't change: the
connections, the CPU seconds of either side's clients (they compete with eight nodes for the CPUs of one
machine, which no lab does), and the round trips. These are told by doing it once more with nodes so far
away that nothing else takes any time: how many of them fit into the whole of a run, and into a barrier.

Below that ratio there is a limit, printed along: a program that keeps the nodes in step can't end before
the plain ssh's time, a round trip for each barrier, and the start of a Python that imports asyncssh.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from asyncstack.events import BarrierOpened, PhaseFinished

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.helpers.gitserver import Proxy
from tests.ssh.lab import NodeOfLab, SshLab

PLUGINS = 10
PHASES = ("pre-install", "install", "post-config", "extra", "test-config")
_STEP = 'printf "%s %s\\n" "$1" "$2"\n'
#: Seconds to nodes that are so far away that only round trips count.
_FAR_S = 1.0


def plain(lab: SshLab, nodes: list[NodeOfLab]) -> float:
    """One `ssh` a node, all at once, each with the whole loop."""
    folders = " ".join(f"plugin{number}" for number in range(PLUGINS))
    loop = f"for phase in {' '.join(PHASES)}; do for p in {folders}; do"
    started = time.perf_counter()
    running = []
    for node in nodes:
        script = f"cd {node.dest}; {loop} . ./$p/devstack/plugin.sh stack $phase; done; done"
        options = ["-o", f"UserKnownHostsFile={lab.known_hosts}", "-o", "BatchMode=yes"]
        line = ["ssh", "-F", "none", *options, "-i", str(node.sshd.key), "-p", str(node.port)]
        command = [*line, f"{node.sshd.user}@127.0.0.1", f"bash -c '{script}'"]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE))
    for process in running:
        output, _ = process.communicate()
        assert process.returncode == 0
        assert output.count(b"\n") == PLUGINS * len(PHASES)
    return time.perf_counter() - started


def importing() -> float:
    """Seconds that Python takes to start and to import the ssh library, before it can connect."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import asyncssh"], check=True)
    return time.perf_counter() - started


def ours(lab: SshLab) -> tuple[float, list[float]]:
    """A run whose plugins are there already; and the seconds from each barrier to the next."""
    started = time.perf_counter()
    outcome = lab.stack("--quiet", "--from-phase", "pre-install")
    seconds = time.perf_counter() - started
    assert outcome.code == 0, outcome
    assert len(outcome.of(PhaseFinished)) >= len(lab.nodes) * len(PHASES)
    times = [time_of(event.timestamp) for event in outcome.of(BarrierOpened)]
    return seconds, [b - a for a, b in itertools.pairwise(times)]


def client_cpu_s() -> float:
    """CPU seconds of all children so far: of clients, for the nodes' processes aren't ours."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def time_of(stamp: str) -> float:
    """Seconds of a timestamp of the journal."""
    return dt.datetime.fromisoformat(stamp).timestamp()


@contextmanager
def trivial_lab(nodes: int, rtt_s: float) -> Iterator[tuple[SshLab, list[Proxy]]]:
    """Nodes behind proxies that add the round trip; plugins that do nothing are there already."""
    with ExitStack() as stack:
        lab = SshLab(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(lab.close)
        del lab.environment["PYTHONDONTWRITEBYTECODE"]
        lab.environment["PYTHONPYCACHEPREFIX"] = str(lab.root / "bytecode")
        proxies = []
        for number in range(nodes):
            daemon = lab.daemon()
            proxies.append(stack.enter_context(Proxy(daemon.port, rtt_s=rtt_s)))
            lab.node(f"node{number}", daemon, port=proxies[-1].port)
        for number in range(PLUGINS):
            lab.plugin(f"plugin{number}", _STEP)
        lab.write_conf(lab.enable(*(f"plugin{number}" for number in range(PLUGINS))))
        lab.write_inventory()
        assert lab.stack("--quiet").code == 0  # delivers the plugins
        yield lab, proxies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--rtt", type=float, default=0.02)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with trivial_lab(options.nodes, options.rtt) as (lab, proxies):
        nodes = list(lab.nodes.values())
        ratios, cpu_ratios, limits = [], [], []
        for _ in range(options.rounds):
            before = [proxy.connections for proxy in proxies]
            begun = client_cpu_s()
            mine, barriers = ours(lab)
            halfway = client_cpu_s()
            made = {p.connections - b for p, b in zip(proxies, before, strict=True)}
            floor = plain(lab, nodes)
            cpu, plain_cpu = halfway - begun, client_cpu_s() - halfway
            ratios.append(mine / floor)
            in_step = (len(barriers) + 1) * options.rtt
            limits.append((floor + in_step + importing()) / floor)
            cpu_ratios.append(cpu / plain_cpu)
            print(
                f"asyncstack {mine:6.2f} s ({cpu:.2f} s of CPU)   "
                f"plain ssh {floor:6.2f} s ({plain_cpu:.2f} s)   "
                f"ratio {mine / floor:5.2f}   connections a node {sorted(made)}   "
                f"barrier to barrier {statistics.median(barriers) * 1000:.0f} ms"
            )
        for proxy in proxies:
            proxy.rtt_s = _FAR_S
        mine, barriers = ours(lab)
        floor = plain(lab, nodes)
        print(
            f"round trips: a run {mine / _FAR_S:.1f}, plain ssh {floor / _FAR_S:.1f}, "
            f"a barrier {statistics.median(barriers) / _FAR_S:.2f}"
        )
        print(
            f"ratio: median {statistics.median(ratios):.2f}, best {min(ratios):.2f} "
            f"(limit {statistics.median(limits):.2f}); of the clients' CPU: {statistics.median(cpu_ratios):.2f}"
        )


if __name__ == "__main__":
    main()
