"""How fast repositories come, beside what people would use instead, in one interleaved run.

    python -m benchmarks.fetch_speed cold --rtt 0.05
    python -m benchmarks.fetch_speed shallow warm relab slow present

Each table gives medians of wall seconds, ratios to the first row, CPU seconds of the client and of
the servers (both on this machine), and for full clones the limit of this machine: the slowest single
clone, or all CPU seconds over all cores, whichever is more.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.fetch_rig import (
    COMPETITORS,
    Measured,
    Served,
    asyncstack,
    devstack,
    have,
    ls_remote_all,
    make_repositories,
    measure,
    serving,
    xargs_clone,
)

Contender = tuple[str, Callable[[Path], None]]


def compare(
    rig: Served,
    contenders: Sequence[Contender],
    scratch: Path,
    rounds: int,
    keep: Path | None = None,
) -> dict[str, Measured]:
    """Run everybody in turn, `rounds` times; return each one's median by wall time.

    Each run has a directory of its own (or all of them `keep`), and nothing is removed before the
    end: ext4 makes files at half its speed for a while after many were deleted.
    """
    taken: dict[str, list[Measured]] = {name: [] for name, _ in contenders}
    for _ in range(rounds):
        for name, run in contenders:
            dest = keep or fresh(scratch)
            taken[name].append(measure(rig, lambda run=run, dest=dest: run(dest)))  # type: ignore[misc]
    return {
        name: sorted(runs, key=lambda m: m.wall_s)[len(runs) // 2] for name, runs in taken.items()
    }


def show(title: str, medians: dict[str, Measured], limit_s: float = 0.0) -> None:
    first = next(iter(medians.values())).wall_s
    print(f"\n{title}")
    print(f"  {'':34}{'wall s':>8}{'ratio':>8}{'CPU s':>8}{'server':>8}")
    for name, m in medians.items():
        ratio = m.wall_s / first
        print(f"  {name:34}{m.wall_s:8.2f}{ratio:8.2f}{m.cpu_s:8.2f}{m.server_cpu_s:8.2f}")
    if limit_s:
        print(f"  {'limit of this machine':34}{limit_s:8.2f}{limit_s / first:8.2f}")


def cold(rig: Served, urls: list[str], scratch: Path, rounds: int, title: str) -> None:
    contenders: list[Contender] = [
        ("DevStack, serial", lambda dest: devstack(urls, dest)),
        (
            "asyncstack, new cache",
            lambda dest: asyncstack(urls, dest, cache_directory=str(dest / ".c")),
        ),
        ("asyncstack, no cache", lambda dest: asyncstack(urls, dest, cache_directory="")),
    ]
    for name, program, run in COMPETITORS:
        if have(program):
            contenders.append((name, lambda dest, run=run: run(urls, dest)))  # type: ignore[misc]
        else:
            print(f"  ({name}: {program} is not installed)")
    medians = compare(rig, contenders, scratch, rounds)
    xargs = medians["xargs -P16 git clone"]
    slowest = measure(rig, lambda: xargs_clone([urls[-3]], fresh(scratch))).wall_s
    cpu = (xargs.cpu_s + xargs.server_cpu_s) / (os.cpu_count() or 1)
    show(f"cold, full history, {title}", medians, max(slowest, cpu))


def fresh(scratch: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=scratch))


def shallow(rig: Served, urls: list[str], scratch: Path, rounds: int, title: str) -> None:
    contenders: list[Contender] = [
        ("DevStack, serial, GIT_DEPTH=1", lambda dest: devstack(urls, dest, depth=1)),
        ("asyncstack, GIT_DEPTH=1", lambda dest: asyncstack(urls, dest, depth=1)),
        ("xargs -P16 git clone --depth 1", lambda dest: xargs_clone(urls, dest, depth=1)),
    ]
    show(f"cold, shallow, {title}", compare(rig, contenders, scratch, rounds))


def warm(rig: Served, urls: list[str], scratch: Path, rounds: int, title: str) -> None:
    cache = str(scratch / "cache")
    dest = fresh(scratch)
    asyncstack(urls, dest, cache_directory=cache)
    contenders: list[Contender] = [
        ("DevStack, RECLONE, serial", lambda dest: devstack(urls, dest, update=True)),
        (
            "asyncstack --update",
            lambda dest: asyncstack(
                urls, dest, update=True, jobs=30, jobs_per_host=30, cache_directory=cache
            ),
        ),
        ("30 git ls-remote at once", lambda dest: ls_remote_all(urls, dest)),
        ("asyncstack, present", lambda dest: asyncstack(urls, dest, cache_directory=cache)),
    ]
    medians = compare(rig, contenders, scratch, rounds, keep=dest)
    show(f"nothing changed upstream, {title}", medians)


def relab(rig: Served, urls: list[str], scratch: Path, rounds: int, title: str) -> None:
    cache = str(scratch / "cache")
    asyncstack(urls, fresh(scratch), cache_directory=cache)
    contenders: list[Contender] = [
        (
            "asyncstack, warm cache, new DEST",
            lambda dest: asyncstack(urls, dest, cache_directory=cache),
        ),
        ("same, OFFLINE", lambda dest: asyncstack(urls, dest, offline=True, cache_directory=cache)),
    ]
    show(f"fresh DEST, warm cache, {title}", compare(rig, contenders, scratch, rounds))


SCENARIOS = {"cold": cold, "shallow": shallow, "warm": warm, "relab": relab}


def slow(folder: Path, names: list[str], scratch: Path, think_s: float) -> None:
    with serving(folder, think_s=think_s) as rig:
        urls = [rig.url(name) for name in names]
        contenders: list[Contender] = [
            ("DevStack, serial", lambda dest: devstack(urls, dest)),
            ("asyncstack", lambda dest: asyncstack(urls, dest)),
            ("xargs -P16 git clone", lambda dest: xargs_clone(urls, dest)),
        ]
        show(f"server thinks {think_s} s", compare(rig, contenders, scratch, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="+", choices=[*SCENARIOS, "slow"])
    parser.add_argument("--rtt", type=float, nargs="+", default=[0.05], help="seconds")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--protocol", choices=["http", "git"], default="http")
    parser.add_argument("--repositories", type=Path, help="keep, or take, repositories here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="asyncstack-bench-") as name:
        scratch = Path(name)
        folder = args.repositories or scratch / "served"
        names = make_repositories(folder, args.count, scale=args.scale)
        if "slow" in args.scenario:
            slow(folder, names, scratch, 1.5)
        for rtt in args.rtt:
            with serving(folder, rtt_s=rtt) as rig:
                urls = [rig.url(name, args.protocol) for name in names]
                for scenario in args.scenario:
                    if scenario in SCENARIOS:
                        title = f"{len(urls)} repositories, {args.protocol}, {rtt * 1000:.0f} ms"
                        SCENARIOS[scenario](rig, urls, scratch, args.rounds, title)


if __name__ == "__main__":
    main()
