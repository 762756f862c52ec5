"""The proof that a run has lost nothing and did nothing twice, whatever was done to it.

Three accounts of a run are held against each other: events.jsonl and logs/ of the controller; the
journal of each node's driver, of which the first plugin keeps a hard link; and what the plugins
themselves wrote down on the node's disk.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from asyncstack.events import Event, RunFinished, StepFinished, StepStarted
from asyncstack.journal import RunRecord, read_events
from asyncstack.model import PhaseKey, Status
from asyncstack.runtime.framing import Frame, FrameParser
from tests.ssh.lab import NodeOfLab, SshLab, Step

__all__ = [
    "KEEP_JOURNAL",
    "assert_nothing_lost",
    "chance_of_test",
    "enable_witnesses",
    "kept_journal",
]

#: For a settings file: the run removes the journal at its end, but not this.
KEEP_JOURNAL = """
mkdir -p "$HOME/journals"
ln "$TOP_DIR/../journal" "$HOME/journals/$(basename "${TOP_DIR%/*/*}").$NODE_NAME"
ln "$TOP_DIR/../nonce" "$HOME/journals/$(basename "${TOP_DIR%/*/*}").$NODE_NAME.nonce"
"""


def chance_of_test() -> random.Random:
    """Chance that can be had again: what is printed is shown when a test fails."""
    seed = int(os.environ.get("SEED", "0")) or random.randrange(1, 10**6)
    print(f"SEED={seed}")  # noqa: T201
    return random.Random(seed)


def enable_witnesses(lab: SshLab, *names: str, more: str = ":", kib: int = 6) -> None:
    """Plugins that write down what they do and print `kib` of noise a step; the journal is kept."""
    lab.witnesses(*names, more=f"{_noise(names, kib)}\n{more}")
    lab.plugin("keeper", settings=KEEP_JOURNAL)
    lab.write_conf(lab.enable("keeper", *names))


def _noise(names: tuple[str, ...], kib: int) -> str:
    # The place of the copy is what WITNESS makes it: of the plugin that runs.
    assert names
    return f'head -c {kib}K /dev/urandom | tee -a "$DEST/printed/$plugin.${{2:-$1}}"'


def assert_nothing_lost(lab: SshLab, directory: Path) -> dict[Step, Status]:
    """Hold the three accounts of a run that is over against each other; how each step ended.

    No process of it may live.
    """
    events = list(read_events(directory / "events.jsonl"))
    record = RunRecord.read(directory / "run.json")
    finals = _finals(events)
    assert record.finished is not None
    assert record.status.final
    assert sum(isinstance(event, RunFinished) for event in events) == 1
    names = {node for node, *_ in finals}
    for name in names:
        _assert_every_step_is_told(record, name, finals)
        _assert_done_once(lab.nodes[name], name, finals, events)
        _assert_logs(lab.nodes[name], record.run_id, directory, events)
    assert lab.driven() == []
    return finals


def _finals(events: list[Event]) -> dict[Step, Status]:
    told = [event for event in events if isinstance(event, StepFinished)]
    counts = Counter(_step(event) for event in told)
    assert {step: n for step, n in counts.items() if n != 1} == {}
    assert [event for event in told if not event.status.final] == []
    started = Counter(_step(event) for event in events if isinstance(event, StepStarted))
    assert {step: n for step, n in started.items() if n != 1} == {}
    assert started.keys() <= counts.keys()
    return {_step(event): event.status for event in told}


def _step(event: StepStarted | StepFinished) -> Step:
    return event.node, event.plugin, PhaseKey(event.mode, event.phase).name


def _assert_every_step_is_told(record: RunRecord, node: str, finals: Mapping[Step, Status]) -> None:
    plugins = [plugin.name for plugin in record.plugins]
    planned = {(node, step, p.key.name) for p in record.plan for step in p.steps(plugins)}
    told = {step for step in finals if step[0] == node}
    assert planned == told, planned ^ told


def _assert_done_once(
    node: NodeOfLab, name: str, finals: Mapping[Step, Status], events: list[Event]
) -> None:
    """What the plugins wrote down is what events.jsonl says, each once."""
    started = {_step(event) for event in events if isinstance(event, StepStarted)}
    wrote = Counter(
        (plugin, "source" if phase == "settings" else phase, what)
        for _, plugin, phase, what in node.witness()
    )
    assert {line: n for line, n in wrote.items() if n != 1} == {}, name
    witnesses = {plugin for plugin, *_ in wrote}
    for (where, plugin, phase), status in finals.items():
        if where != name or plugin not in witnesses or phase == "override_defaults":
            continue
        begun, ended = (wrote[plugin, phase, what] for what in ("begin", "end"))
        assert begun == ((name, plugin, phase) in started), (plugin, phase, status)
        if status is Status.OK:
            assert ended, (plugin, phase)
        if status in (Status.ABORTED, Status.SKIPPED):
            assert not begun, (plugin, phase)


def kept_journal(node: NodeOfLab, run_id: str) -> tuple[str, bytes] | None:
    """The nonce and the content of a driver's journal; None if it never came to keep it."""
    kept = node.sshd.home / "journals" / f"{run_id}.{node.name}"
    if not kept.exists():
        return None
    return kept.with_name(f"{kept.name}.nonce").read_text().strip(), kept.read_bytes()


def _assert_logs(node: NodeOfLab, run_id: str, directory: Path, events: list[Event]) -> None:
    """The logs are what the journal holds between its events, byte for byte, and no more."""
    kept = kept_journal(node, run_id)
    if kept is None:
        return
    paths = (e.log for e in events if isinstance(e, StepStarted) and e.node == node.name)
    expected: dict[str, bytes] = {}
    for log, data in _outputs(*kept, paths, f"logs/{node.name}/driver.log"):
        expected[log] = expected.get(log, b"") + data
    folder = directory / "logs" / node.name
    found = {str(path.relative_to(directory)): path.read_bytes() for path in folder.rglob("*.log")}
    assert found.keys() == expected.keys()
    different = {
        log: (len(found[log]), len(data)) for log, data in expected.items() if found[log] != data
    }
    assert different == {}, "log: (bytes on the controller, bytes on the node)"


def _outputs(
    nonce: str, journal: bytes, paths: Iterator[str], between: str
) -> Iterator[tuple[str, bytes]]:
    """(log, output) in order: what each step printed, and what came between them."""
    parser = FrameParser(nonce)
    log = between
    items = parser.feed(journal)
    for item in (*items, parser.finish()):
        if isinstance(item, Frame):
            if item.kind == "begin":
                log = next(paths, "a step that the controller hasn't heard of")
            elif item.kind in ("end", "exited"):
                log = between
        elif item:
            yield log, item
