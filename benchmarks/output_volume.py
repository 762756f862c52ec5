"""One step that prints a lot: how fast it is taken in, and what it costs the controller.

    python -m benchmarks.output_volume [--megabytes 200]

Against the same command with its output into a file. Every line is checked.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
from pathlib import Path

from asyncstack.events import StepFinished
from asyncstack.journal import read_events
from benchmarks.step_overhead import make_plugins, seconds, stack

_LINE = 100


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=200)
    lines = parser.parse_args().megabytes * 1_000_000 // _LINE
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), lines)


def measure(root: Path, lines: int) -> None:
    """Run it, and print the figures."""
    make_plugins(root, 1)
    print_all = f'seq -f "%0{_LINE - 1}.0f" {lines}'
    plugin = root / "repositories/p0"
    (plugin / "devstack/plugin.sh").write_text(f'[[ "$2" != install ]] || {print_all}\n')
    commit = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qam", "x"]
    subprocess.run(commit, cwd=plugin, check=True)
    plain = seconds(
        lambda: subprocess.run(["sh", "-c", f"{print_all} >plain"], cwd=root, check=True)
    )
    wall = seconds(lambda: stack(root, "run"))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    (step,) = (
        event
        for event in read_events(root / "run/events.jsonl")
        if isinstance(event, StepFinished) and event.phase == "install"
    )
    with (root / "run" / step.log).open("rb") as log:
        kept = sum(1 for n, line in enumerate(log, start=1) if int(line) == n)
    megabytes = step.output_bytes / 1e6
    print(
        f"{megabytes:.0f} MB in {lines} lines: the step took {step.duration_s:.2f} s, into a file "
        f"{plain:.2f} s ({step.duration_s / plain:.2f} x); the run {wall:.2f} s "
        f"({megabytes / wall:.0f} MB/s); {kept} lines kept; peak of the largest process "
        f"{peak:.0f} MB (target: under 100 MB)"
    )
    assert kept == lines


if __name__ == "__main__":
    main()
