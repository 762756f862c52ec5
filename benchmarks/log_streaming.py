"""Eight nodes that print as much as they can, all at once, against eight plain ssh processes.

    python -m benchmarks.log_streaming [--nodes 8] [--megabytes 50] [--rounds 3]

Real sshd processes on loopback. The plugin's one step prints a file of text. With asyncstack the
bytes go to the journal on the node's disk, over ssh, through redaction and framing into the step's
log, and the time is the phase's, from the barrier before it to its own. The plain ssh runs the same
plugin, its output goes straight into a file, and the time is that of all processes together. Every
log is compared with what was printed. Goal: at least 80 % of the plain ssh's throughput.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from asyncstack.events import BarrierOpened, StepFinished
from asyncstack.model import Mode

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.ssh.lab import NodeOfLab, SshLab

_MB = 1_000_000
_GOAL = 0.8


def text(size: int) -> bytes:
    """Lines as programs print them, of many lengths; ASCII, with a path or a number here and there."""
    chooser = random.Random(20)
    words = [
        "Unpacking",
        "Setting up",
        "/usr/lib/python3/dist-packages",
        "(1.2.3-4)",
        "...",
        "done",
        "==",
    ]
    block = b""
    while len(block) < _MB:
        block += " ".join(chooser.choices(words, k=chooser.randint(1, 20))).encode() + b"\n"
    return (block * (size // len(block) + 1))[:size]


def plain(lab: SshLab, nodes: list[NodeOfLab], output: Path) -> float:
    """Seconds for one `ssh` a node, all at once, each into a file."""
    started = time.perf_counter()
    running = []
    for node in nodes:
        script = f"cd {node.dest}/printer; . devstack/plugin.sh stack install"
        options = ["-o", f"UserKnownHostsFile={lab.known_hosts}", "-o", "BatchMode=yes"]
        line = ["ssh", "-F", "none", *options, "-i", str(node.sshd.key), "-p", str(node.port)]
        with (output / node.name).open("wb") as target:
            command = [*line, f"{node.sshd.user}@127.0.0.1", f"bash -c '{script}'"]
            running.append(subprocess.Popen(command, stdout=target))
    assert [process.wait() for process in running] == [0] * len(nodes)
    return time.perf_counter() - started


def ours(lab: SshLab, expected: bytes) -> float:
    """Seconds of the phase that prints."""
    outcome = lab.stack("--quiet", "--from-phase", "pre-install", "--until-phase", "install")
    assert outcome.code == 0, outcome
    logs = [outcome.directory / s.log for s in outcome.of(StepFinished) if s.phase == "install"]
    assert [log.read_bytes() == expected for log in logs] == [True] * len(lab.nodes)
    opened = [e for e in outcome.of(BarrierOpened) if e.mode is Mode.STACK]
    # A virtual machine pays for each page that it never had before: both ways write where it had some.
    shutil.rmtree(outcome.directory)
    (seconds,) = [
        (
            dt.datetime.fromisoformat(b.timestamp) - dt.datetime.fromisoformat(a.timestamp)
        ).total_seconds()
        for a, b in itertools.pairwise(opened)
        if b.phase == "install"
    ]
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    expected = text(options.megabytes * _MB)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        lab = SshLab(root)
        stack.callback(lab.close)
        for number in range(options.nodes):
            lab.node(f"node{number}")
        (root / "text").write_bytes(expected)
        lab.plugin("printer", f'[[ $1 != stack || $2 != install ]] || cat "{root}/text"\n')
        lab.write_conf(lab.enable("printer"))
        lab.write_inventory()
        assert lab.stack("--quiet", "--until-phase", "pre-install").code == 0  # delivers the plugin
        output = root / "plain"
        output.mkdir()
        ratios = []
        total = options.nodes * options.megabytes
        for _ in range(options.rounds):
            floor = plain(lab, list(lab.nodes.values()), output)
            mine = ours(lab, expected)
            ratios.append(floor / mine)
            print(
                f"asyncstack {mine:6.2f} s, {total / mine:5.0f} MB/s   "
                f"plain ssh {floor:6.2f} s, {total / floor:5.0f} MB/s   share {floor / mine:.0%}"
            )
        print(
            f"share: median {statistics.median(ratios):.0%}, best {max(ratios):.0%} (goal {_GOAL:.0%})"
        )


if __name__ == "__main__":
    main()
