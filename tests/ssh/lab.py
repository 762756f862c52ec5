"""Several nodes behind real sshd processes, and plugins that can't lie about what was run."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asyncstack.events import StepFinished
from asyncstack.model import PhaseKey
from tests.helpers.lab import Lab, Outcome, alive
from tests.helpers.sshd import Sshd, start_sshd

__all__ = ["WITNESS", "NodeOfLab", "SshLab", "Step"]

#: node, plugin, phase
Step = tuple[str, str, str]

# Each step says on the node's own disk when it ran and what it printed: bytes of all kinds. What
# is done twice, or lost, shows. {more} comes between the two halves of the output.
WITNESS = """
printf '%s %s %s begin\\n' "$EPOCHREALTIME" {name} "${{2:-$1}}" >>"$DEST/witness"
mkdir -p "$DEST/printed"
head -c 3000 /dev/urandom | tee -a "$DEST/printed/{name}.${{2:-$1}}"
{more}
head -c 3000 /dev/urandom | tee -a "$DEST/printed/{name}.${{2:-$1}}"
printf '%s %s %s end\\n' "$EPOCHREALTIME" {name} "${{2:-$1}}" >>"$DEST/witness"
"""


@dataclass(frozen=True)
class NodeOfLab:
    """A node: its name, its daemon, where its DEST lies, and the port that leads to it."""

    name: str
    sshd: Sshd
    dest: Path
    port: int
    user: str

    @property
    def state(self) -> Path:
        """What the drivers of its runs keep."""
        return self.sshd.home / "state/asyncstack/nodes"

    def forget(self) -> None:
        """Take away what its plugins wrote down, before another run."""
        (self.dest / "witness").unlink(missing_ok=True)
        shutil.rmtree(self.dest / "printed", ignore_errors=True)

    def witness(self) -> list[tuple[float, str, str, str]]:
        """time, plugin, phase, begin or end: what its plugins wrote down, in order."""
        try:
            lines = (self.dest / "witness").read_text().splitlines()
        except FileNotFoundError:
            return []
        words = [line.split() for line in lines]
        return [(float(w[0]), w[1], w[2], w[3]) for w in words]


class SshLab(Lab):
    """A lab whose nodes are behind ssh."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.nodes: dict[str, NodeOfLab] = {}
        self.daemons: list[Sshd] = []
        self.inventory = root / "lab.yaml"
        self.environment |= {"PYTHONFAULTHANDLER": "1"}
        self.known_hosts.parent.mkdir(mode=0o700)
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def known_hosts(self) -> Path:
        """The file that the controller looks into by itself."""
        return self.home / ".ssh/known_hosts"

    def close(self) -> None:
        """End the daemons, and every process that a test of ours has left in the background."""
        for process in self._started:
            process.kill()
            process.communicate()
        for daemon in self.daemons:
            daemon.stop()
        # A test that has failed may have left drivers behind.
        for left in self.driven(0):
            with suppress(ProcessLookupError):
                os.kill(int(left.split()[0]), signal.SIGKILL)

    def daemon(self, *extra: str) -> Sshd:
        """One more sshd."""
        daemon = start_sshd(self.root / f"sshd-{len(self.daemons)}", *extra)
        self.daemons.append(daemon)
        return daemon

    def node(
        self, name: str, daemon: Sshd | None = None, *, port: int = 0, trusted: bool = True
    ) -> NodeOfLab:
        """One more node; behind a daemon of its own unless one is given."""
        daemon = daemon or self.daemon()
        node = NodeOfLab(name, daemon, self.root / f"dest-{name}", port or daemon.port, daemon.user)
        self.nodes[name] = node
        if trusted:
            self.trust(node)
        return node

    def trust(self, node: NodeOfLab) -> None:
        """Write its host key down."""
        line = node.sshd.host_key_line().replace(f":{node.sshd.port}", f":{node.port}")
        with self.known_hosts.open("a") as stream:
            stream.write(line)

    def three(self) -> list[NodeOfLab]:
        """What most tests want."""
        return [self.node(name) for name in ("one", "two", "three")]

    def write_inventory(
        self,
        groups: Mapping[str, Sequence[str]] | None = None,
        localrc: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Path:
        """All nodes, each with its own DEST and so its own local.conf; JSON is YAML."""
        text = self.conf.read_text("utf-8", "surrogateescape")
        for node in self.nodes.values():
            mine = text.replace(f"DEST={self.dest}\n", f"DEST={node.dest}\n")
            self._conf_of(node).write_text(mine, "utf-8", "surrogateescape")
        hosts = {
            node.name: {
                "ansible_host": "127.0.0.1",
                "ansible_port": node.port,
                "ansible_user": node.user,
                "ansible_ssh_private_key_file": str(node.sshd.key),
                "local_conf": str(self._conf_of(node)),
                "localrc": {"NODE_NAME": node.name, **(localrc or {}).get(node.name, {})},
            }
            for node in self.nodes.values()
        }
        children: dict[str, dict[str, dict[str, None]]] = {
            group: {"hosts": dict.fromkeys(names)} for group, names in (groups or {}).items()
        }
        self.inventory.write_text(json.dumps({"all": {"hosts": hosts, "children": children}}))
        return self.inventory

    def _conf_of(self, node: NodeOfLab) -> Path:
        return self.root / f"{node.name}.conf"

    def witnesses(self, *names: str, more: str = ":") -> None:
        """Plugins that write down what they do, enabled in local.conf."""
        for name in names:
            self.plugin(
                name,
                WITNESS.format(name=name, more=more),
                settings=WITNESS.format(name=name, more=":").replace("${2:-$1}", "settings"),
            )
        self.write_conf(self.enable(*names))

    def stack(self, *options: str | Path, command: str = "stack") -> Outcome:
        """Stack what the inventory says."""
        return self.run(command, self.conf, "-i", self.inventory, *options)

    def start(self, *arguments: str | Path) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a run in the background; its process and its directory."""
        line, directory = self.command(*arguments)
        return self._start(line), directory

    def _start(self, line: list[str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            line,
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._started.append(process)
        return process

    def start_stack(self, *options: str | Path) -> tuple[subprocess.Popen[bytes], Path]:
        """Start to stack what the inventory says; its events come on stdout."""
        return self.start("stack", self.conf, "-i", self.inventory, "--json", *options)

    def start_again(self, verb: str, directory: Path, *options: str) -> subprocess.Popen[bytes]:
        """The same in the background."""
        return self._start([sys.executable, "-m", "asyncstack", verb, *options, str(directory)])

    def wait_for(self, process: subprocess.Popen[bytes], *wanted: Mapping[str, str]) -> None:
        """Read what a run says until it has said all of this, in any order."""
        assert process.stdout is not None
        missing = list(wanted)
        for line in process.stdout:
            event = json.loads(line)
            found = [one for one in missing if one.items() <= event.items()]
            if found:
                missing.remove(found[0])
            if not missing:
                return
        raise AssertionError(process.communicate())

    def again(self, verb: str, directory: Path, *options: str) -> Outcome:
        """`attach`, `stop` or `resume` of the run that lies there."""
        line = [sys.executable, "-m", "asyncstack", verb, *options, str(directory)]
        return self._outcome(line, directory, None, 100)

    def driven(self, patience_ms: int = 5000) -> list[str]:
        """What drivers and followers live on, on whichever node, and don't end in a while."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or not alive(entry.name):
                continue
            try:
                folder = (entry / "cwd").readlink()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            ours = folder.is_relative_to(self.root) and "asyncstack/nodes" in str(folder)
            if ours and not _ends(int(entry.name), patience_ms):
                found.append(f"{entry.name} {command[:200]}")
        return found


def _ends(pid: int, patience_ms: int) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(patience_ms))
    finally:
        os.close(descriptor)


def assert_exactly_once(lab: SshLab, outcome: Outcome, nodes: Sequence[str] = ()) -> None:
    """Every step ran once and has one final status; each log is what the step printed."""
    finals = Counter((s.node, s.mode, s.phase, s.plugin) for s in outcome.of(StepFinished))
    assert [step for step, count in finals.items() if count != 1] == []
    for name in nodes or lab.nodes:
        node = lab.nodes[name]
        ran = Counter((plugin, phase, what) for _, plugin, phase, what in node.witness())
        assert [step for step, count in ran.items() if count != 1] == [], name
        for step in outcome.of(StepFinished):
            if step.node != name or not step.log:
                continue
            phase = PhaseKey(step.mode, step.phase)
            printed = node.dest / "printed" / f"{step.plugin}.{_slot(phase)}"
            assert (outcome.directory / step.log).read_bytes() == printed.read_bytes(), step


def _slot(phase: PhaseKey) -> str:
    return phase.phase or ("settings" if phase.name == "source" else phase.name)
