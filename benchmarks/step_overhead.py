"""What a step that does nothing costs, and a whole run of them.

    python -m benchmarks.step_overhead [--plugins 10] [--repeat 5]

A step: driver and controller together, as seen in one run of many plugins, against a plain bash
loop that sources the same files. A run: 10 plugins × 5 phases, the start of the interpreter, the
fetch of checkouts that are there, and the end included.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from asyncstack.events import PhaseFinished
from asyncstack.journal import read_events

_PHASES = ("pre-install", "install", "post-config", "extra", "test-config")
_STACK = (sys.executable, "-m", "asyncstack", "stack", "-q")
_PLAIN = """
set -e
for phase in {phases}; do
    for plugin in {names}; do
        source {dest}/$plugin/devstack/plugin.sh stack $phase
    done
done
"""


def make_plugins(root: Path, count: int) -> list[str]:
    """Repositories of plugins that do nothing."""
    names = [f"p{n}" for n in range(count)]
    for name in names:
        folder = root / "repositories" / name
        (folder / "devstack").mkdir(parents=True)
        (folder / "devstack/plugin.sh").write_text("# nothing\n")
        script = (
            "git init -q -b master && git add -A && "
            "git -c user.name=a -c user.email=a@example.org commit -q -m first"
        )
        subprocess.run(["sh", "-c", script], cwd=folder, check=True)
    lines = [f"enable_plugin {name} {root}/repositories/{name}" for name in names]
    head = f"[[local|localrc]]\nDEST={root}/dest\nDATA_DIR=$DEST/data\ndisable_all_services\n"
    (root / "local.conf").write_text(head + "\n".join(lines) + "\n")
    return names


def environment(root: Path) -> dict[str, str]:
    """A home of the benchmark's own."""
    source = str(Path(__file__).parents[1])
    home = {"HOME": str(root), "XDG_STATE_HOME": f"{root}/state", "XDG_CACHE_HOME": f"{root}/cache"}
    return {**os.environ, **home, "PYTHONPATH": source}


def stack(root: Path, run: str) -> Path:
    """One run, and where it is kept."""
    directory = root / run
    subprocess.run(
        [*_STACK, str(root / "local.conf"), "--run-dir", str(directory)],
        env=environment(root),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return directory


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_phases(directory: Path) -> float:
    """From the first begin of a phase of mode stack to the last end, by the controller's clock."""
    stamps = [
        dt.datetime.fromisoformat(event.timestamp).timestamp()
        for event in read_events(directory / "events.jsonl")
        if isinstance(event, PhaseFinished)
    ]
    # The first three are the loads and the packages.
    return stamps[-1] - stamps[2]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--plugins", type=int, default=10)
    parser.add_argument("--many", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole_run(Path(folder), options.plugins, options.repeat)
    with tempfile.TemporaryDirectory() as folder:
        one_step(Path(folder), options.many, options.repeat)


def whole_run(root: Path, count: int, repeat: int) -> None:
    """The wall time of a run of `count` plugins whose checkouts are there."""
    make_plugins(root, count)
    stack(root, "first")
    times = [seconds(lambda n=n: stack(root, f"run-{n}")) for n in range(repeat)]  # type: ignore[misc]
    print(
        f"a run of {count} plugins x {len(_PHASES)} phases: "
        f"median {statistics.median(times):.3f} s, best {min(times):.3f} s (target: under 1 s)"
    )


def one_step(root: Path, count: int, repeat: int) -> None:
    """The cost of a step among many, against a plain loop over the same files."""
    names = make_plugins(root, count)
    stack(root, "first")
    steps = count * len(_PHASES)
    ours = [in_phases(stack(root, f"run-{n}")) / steps for n in range(repeat)]
    loop = root / "plain.bash"
    loop.write_text(
        _PLAIN.format(phases=" ".join(_PHASES), names=" ".join(names), dest=root / "dest")
    )
    plain = [seconds(lambda: subprocess.run(["bash", loop], check=True)) for _ in range(repeat)]
    per_step = [value / steps for value in plain]
    a, b = statistics.median(ours), statistics.median(per_step)
    print(
        f"a step that does nothing, of {steps}: {a * 1e3:.3f} ms with driver and controller, "
        f"{b * 1e3:.3f} ms in a plain bash loop; overhead {(a - b) * 1e3:.3f} ms "
        "(target: under 1 ms)"
    )


if __name__ == "__main__":
    main()
