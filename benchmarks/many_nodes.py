"""Two hundred nodes in step: the time of a barrier and the controller's memory.

    python -m benchmarks.many_nodes [--nodes 200] [--plugins 1]

The nodes are embedded ones, served by another process on loopback; each has its own connection and
its own driver, so that this machine carries the controller and all nodes at once. Steps do
nothing. A barrier is the time from the end of one phase to the end of the next: a command to every
node, every node's steps, and word of all of them. Goals on two cores: under 1 s, and the
controller's memory under 300 MB at its peak.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from asyncstack.events import BarrierOpened
from asyncstack.journal import read_events
from asyncstack.transports.embedded import ADDRESS, USER, EmbeddedServer

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.helpers.lab import Lab

_GOAL_S, _GOAL_MB = 1.0, 300


class Figures(msgspec.Struct, frozen=True):
    """Of one run: seconds of all of it, seconds of each barrier, MB of the controller's peak."""

    seconds: float
    barriers: list[float]
    peak_mb: float


def prepare(lab: Lab, server: EmbeddedServer, plugins: int) -> Path:
    """Plugins that do nothing, and the inventory (JSON is YAML)."""
    names = [f"plugin{number}" for number in range(plugins)]
    for name in names:
        lab.plugin(name, ":\n")
    repositories = "".join(f"enable_plugin {name} {lab.repositories / name}\n" for name in names)
    lab.conf.write_text(
        f"[[local|localrc]]\nDEST=$HOME/dest\nDATA_DIR=$HOME/data\ndisable_all_services\n{repositories}"
    )
    known_hosts = lab.home / ".ssh" / "known_hosts"
    known_hosts.parent.mkdir(mode=0o700)
    known_hosts.write_bytes(server.lab.known_hosts.read_bytes())
    hosts = {node.name: {"ansible_port": node.port} for node in server.lab.nodes}
    common = {
        "ansible_host": ADDRESS,
        "ansible_user": USER,
        "ansible_ssh_private_key_file": str(server.lab.key),
    }
    inventory = lab.root / "lab.yaml"
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))
    return inventory


def measure(lab: Lab, inventory: Path) -> Figures:
    """One run of the program, in a process of its own."""
    line, directory = lab.command("stack", lab.conf, "-i", inventory, "--quiet")
    started = time.perf_counter()
    process = subprocess.Popen(
        line, cwd=lab.root, env=lab.environment, stdin=subprocess.DEVNULL, stdout=sys.stderr
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, directory
    opened = [
        dt.datetime.fromisoformat(event.timestamp).timestamp()
        for event in read_events(directory / "events.jsonl")
        if isinstance(event, BarrierOpened)
    ]
    barriers = [later - earlier for earlier, later in itertools.pairwise(opened)]
    return Figures(seconds, barriers, usage.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--plugins", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    names = [f"node{number}" for number in range(options.nodes)]
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        with EmbeddedServer(Path(folder) / "nodes", names) as server:
            server.wait()
            inventory = prepare(lab, server, options.plugins)
            for turn in range(options.rounds):
                figures = measure(lab, inventory)
                print(
                    f"{options.nodes} nodes, {'plugins delivered' if turn == 0 else 'plugins there'}: "
                    f"run {figures.seconds:6.2f} s   barrier median "
                    f"{statistics.median(figures.barriers):.2f} s, worst {max(figures.barriers):.2f} s "
                    f"(goal {_GOAL_S:.0f} s)   controller at most {figures.peak_mb:.0f} MB "
                    f"(goal {_GOAL_MB} MB)"
                )


if __name__ == "__main__":
    main()
