"""How long `asyncstack report` takes on a run of 10,000 steps.

Two shapes: a lab (100 plugins, 5 phases, 20 nodes) and the worst case for the table (2,000
plugins, 5 phases, one node). Each stage is given in seconds and as a ratio to reading the same
bytes with json.loads in the same run, which cancels most of what a busy machine adds.

    python -m benchmarks.report_10k
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from asyncstack.events import (
    BarrierOpened,
    ClockCompared,
    Event,
    RunFinished,
    RunStarted,
    StepFinished,
    encode,
)
from asyncstack.journal import read_events
from asyncstack.model import Mode, Status
from asyncstack.reports.export import to_json
from asyncstack.reports.spreadsheet import to_csv
from asyncstack.reports.summary import summarise
from asyncstack.reports.table import report_lines

PHASES = ("pre-install", "install", "post-config", "extra", "test-config")
ROUNDS = 5
RUN_ID = "20260101-000000-0000"


def write_journal(path: Path, plugins: int, nodes: int) -> None:
    head = RunStarted(run_id=RUN_ID, command="stack", version="0")
    tail = RunFinished(run_id=RUN_ID, status=Status.OK, exit_code=0, duration_s=1.0)
    names = [f"node{number}" for number in range(nodes)]
    clocks = [ClockCompared(run_id=RUN_ID, node=n, offset_s=5.0, uncertainty_s=0.01) for n in names]
    steps: list[Event] = []
    for phase in PHASES:
        steps += [
            step(name, phase, f"plugin-{plugin:04d}", 0.001 * (plugin + number))
            for number, name in enumerate(names)
            for plugin in range(plugins)
        ]
        steps += [BarrierOpened(run_id=RUN_ID, mode=Mode.STACK, phase=phase)] if nodes > 1 else []
    events = (head, *clocks, *steps, tail)
    path.write_bytes(b"".join(encode(event) + b"\n" for event in events))


def step(node: str, phase: str, plugin: str, seconds: float) -> StepFinished:
    return StepFinished(
        run_id=RUN_ID,
        timestamp="2026-01-01T00:00:00.000000Z",
        node=node,
        mode=Mode.STACK,
        phase=phase,
        plugin=plugin,
        status=Status.OK,
        commit="ab" * 20,
        exit_code=0,
        start=1_767_225_600.0,
        end=1_767_225_600.0 + seconds,
        duration_s=seconds,
        user_cpu_s=seconds / 2,
        log=f"logs/{node}/00-stack-{phase}/{plugin}.log",
    )


def best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def load_json(path: Path) -> list[object]:
    with path.open("rb") as stream:
        return [json.loads(line) for line in stream]


def command(path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-c",
            "from asyncstack.cli.report import report; import sys;report(sys.argv[1])",
            str(path.parent),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "140"},
    )


def measure(plugins: int, nodes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        write_journal(path, plugins, nodes)
        baseline = best(lambda: load_json(path))
        summary = summarise(read_events(path))
        stages: dict[str, Callable[[], object]] = {
            "json.loads": lambda: load_json(path),
            "read_events": lambda: list(read_events(path)),
            "… and summarise": lambda: summarise(read_events(path)),
            "table lines": lambda: report_lines(summary, 140),
            "json": lambda: to_json(summary),
            "csv": lambda: to_csv(summary),
            "whole command, table": lambda: command(path),
        }
        print(f"{plugins} plugins, {nodes} nodes, {len(summary.steps)} steps")
        for name, work in stages.items():
            seconds = best(work)
            print(f"  {name:22} {seconds:7.3f} s   {seconds / baseline:6.2f} × json.loads")


if __name__ == "__main__":
    measure(plugins=100, nodes=20)
    measure(plugins=2000, nodes=1)
