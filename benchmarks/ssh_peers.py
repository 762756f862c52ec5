"""The same steps on many nodes behind a slow link: asyncstack, Ansible, pyinfra and plain ssh.

    python -m benchmarks.ssh_peers [--nodes 8] [--rtt 0.02] [--rounds 2]

10 plugins × 5 phases of trivial steps, as in ssh_barrier.py, which also has the plain ssh: one a
node, the whole loop, no barriers. For Ansible and pyinfra each step is a task of its own, since
that is what gives them a timing and a failure for each; they keep step after every one of them.
Ansible: strategy linear, the raw module (shell would measure Python on the nodes), no facts,
pipelining, one kept connection and one fork a node. Interpreter start included everywhere.

Goals: at most 0.12 × Ansible and 0.2 × pyinfra. What isn't found on PATH is left out.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.ssh_barrier import PHASES, PLUGINS, client_cpu_s, ours, plain, trivial_lab
from tests.ssh.lab import SshLab

T = TypeVar("T")

_GOALS = {"ansible": 0.12, "pyinfra": 0.2}


def steps() -> Iterator[tuple[str, str]]:
    """A name and a command for each; the node's DEST is its current directory by then."""
    for phase in PHASES:
        for number in range(PLUGINS):
            script = f". ./plugin{number}/devstack/plugin.sh stack {phase}"
            yield f"{phase} plugin{number}", f"bash -c {shlex.quote(script)}"


def run(lab: SshLab, line: list[str], environment: Mapping[str, str]) -> float:
    """Seconds that a program takes; it has to end well."""
    # Their own bytecode, where pip has put it.
    own = {k: v for k, v in lab.environment.items() if not k.startswith("PYTHON")}
    started = time.perf_counter()
    done = subprocess.run(
        line,
        cwd=lab.root,
        env={**own, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()[-2000:] + done.stderr.decode()[-2000:]
    return time.perf_counter() - started


def ansible(lab: SshLab, program: str) -> Callable[[], float]:
    """A play of 50 tasks."""
    tasks = "".join(
        f"    - {{name: {name}, raw: {_quoted(f'cd {{{{ dest }}}} && {command}')}}}\n"
        for name, command in steps()
    )
    play = "- hosts: all\n  gather_facts: false\n  strategy: linear\n  tasks:\n"
    (lab.root / "play.yaml").write_text(play + tasks)
    hosts = "".join(
        f"    {node.name}: {{ansible_host: 127.0.0.1, ansible_port: {node.port}, dest: {node.dest}, "
        f"ansible_user: {node.user}, ansible_ssh_private_key_file: {node.sshd.key}}}\n"
        for node in lab.nodes.values()
    )
    (lab.root / "ansible.yaml").write_text(f"all:\n  hosts:\n{hosts}")
    environment = {
        "ANSIBLE_HOME": str(lab.root / "ansible"),
        "ANSIBLE_FORKS": str(len(lab.nodes)),
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_SSH_COMMON_ARGS": f"-F none -o UserKnownHostsFile={lab.known_hosts}",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(lab.root / "cp"),
        "ANSIBLE_NOCOLOR": "1",
    }
    line = [program, "-i", str(lab.root / "ansible.yaml"), str(lab.root / "play.yaml")]

    def timed() -> float:
        seconds = run(lab, line, environment)
        _end_kept_connections(lab)
        return seconds

    return timed


def _end_kept_connections(lab: SshLab) -> None:
    """Each round makes its own, as a run of anybody's does."""
    for path in (lab.root / "cp").iterdir():
        command = ["ssh", "-F", "none", "-o", f"ControlPath={path}", "-O", "exit", "any"]
        subprocess.run(command, capture_output=True, check=False)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def pyinfra(lab: SshLab, program: str) -> Callable[[], float]:
    """A deploy of 50 operations."""
    hosts = [
        (
            node.name,
            {
                "ssh_hostname": "127.0.0.1",
                "ssh_port": node.port,
                "ssh_user": node.user,
                "ssh_key": str(node.sshd.key),
                "ssh_known_hosts_file": str(lab.known_hosts),
                "dest": str(node.dest),
            },
        )
        for node in lab.nodes.values()
    ]
    (lab.root / "hosts.py").write_text(f"nodes = {hosts!r}\n")
    operations = "".join(
        f"server.shell(name={name!r}, commands=['cd ' + host.data.dest + ' && ' + {command!r}])\n"
        for name, command in steps()
    )
    head = "from pyinfra import host\nfrom pyinfra.operations import server\n"
    (lab.root / "deploy.py").write_text(head + operations)
    line = [program, str(lab.root / "hosts.py"), str(lab.root / "deploy.py"), "-y"]
    return lambda: run(lab, line, {})


def with_cpu(measure: Callable[[], T]) -> tuple[T, float]:
    """What it measures, and the CPU seconds of the clients that it ran."""
    before = client_cpu_s()
    return measure(), client_cpu_s() - before


def peers(lab: SshLab) -> dict[str, Callable[[], float]]:
    """Those that there are, by name; a notice for each that there isn't."""
    found = {}
    for name, program, prepare in (
        ("ansible", "ansible-playbook", ansible),
        ("pyinfra", "pyinfra", pyinfra),
    ):
        path = shutil.which(program)
        if path is None:
            print(f"{name} is left out: there is no {program} on PATH")
        else:
            found[name] = prepare(lab, path)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--rtt", type=float, default=0.02)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with trivial_lab(options.nodes, options.rtt) as (lab, _):
        others = peers(lab)
        ratios: dict[str, list[float]] = {name: [] for name in others}
        for _ in range(options.rounds):
            (mine, _), cpu = with_cpu(lambda: ours(lab))
            floor, floor_cpu = with_cpu(lambda: plain(lab, list(lab.nodes.values())))
            shown = f"asyncstack {mine:5.2f} s, CPU {cpu:.1f} s   "
            shown += f"plain ssh {floor:5.2f} s, CPU {floor_cpu:.1f} s"
            for name, measure in others.items():
                seconds, its_cpu = with_cpu(measure)
                ratios[name].append(mine / seconds)
                shown += f"   {name} {seconds:5.2f} s, CPU {its_cpu:.1f} s ({mine / seconds:.3f})"
            print(shown)
        for name, values in ratios.items():
            print(f"asyncstack / {name}: {statistics.median(values):.3f} (goal {_GOALS[name]:.2f})")


if __name__ == "__main__":
    main()
