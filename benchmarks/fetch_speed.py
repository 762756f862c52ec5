"""How fast repositories come, beside what people would use instead, in one interleaved run.

    python -m benchmarks.fetch_speed cold --rtt 0 0.05 0.2
    python -m benchmarks.fetch_speed cold --bandwidth 25e6
    python -m benchmarks.fetch_speed shallow warm relab slow

Each table gives medians of wall seconds, ratios to the first row, CPU seconds of the client and of
the servers (both on this machine), and for full clones the limit: the slowest single clone, all
bytes over the bandwidth, or the CPU seconds of plain clones over all cores, whichever is most.
`repo` takes part where the command is and REPO_URL names a copy of it that can be had.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.fetch_rig import (
    COMPETITORS,
    Measured,
    Served,
    asyncstack,
    devstack,
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
    count: int,
    keep: Path | None = None,
    prepare: Mapping[str, Callable[[Path], None]] = {},
) -> dict[str, Measured]:
    """Run everybody in turn, `rounds` times; return each one's median by wall time.

    Raises RuntimeError for one that hasn't made `count` checkouts. Each run has a directory of its own (or all of them `keep`), and nothing is removed before the
    end: ext4 makes files at half its speed for a while after many were deleted.
    """
    taken: dict[str, list[Measured]] = {name: [] for name, _ in contenders}
    for _ in range(rounds):
        for name, run in contenders:
            dest = keep or fresh(scratch)
            if name in prepare:
                prepare[name](dest)
            taken[name].append(measure(rig, lambda run=run, dest=dest: run(dest)))  # type: ignore[misc]
            made = len(list(dest.glob("[!.]*/devstack/plugin.sh")))
            if made != count:
                raise RuntimeError(f"{name} made {made} checkouts of {count}")
    return {
        name: sorted(runs, key=lambda m: m.wall_s)[len(runs) // 2] for name, runs in taken.items()
    }


def show(title: str, medians: dict[str, Measured]) -> None:
    first = next(iter(medians.values())).wall_s
    print(f"\n{title}")
    print(f"  {'':34}{'wall s':>8}{'ratio':>8}{'CPU s':>8}{'server':>8}")
    for name, m in medians.items():
        ratio = m.wall_s / first
        print(f"  {name:34}{m.wall_s:8.2f}{ratio:8.2f}{m.cpu_s:8.2f}{m.server_cpu_s:8.2f}")


def cold(rig: Served, urls: list[str], scratch: Path, rounds: int, title: str) -> None:
    contenders: list[Contender] = [
        ("DevStack, serial", lambda dest: devstack(urls, dest)),
        (
            "asyncstack, new cache",
            lambda dest: asyncstack(urls, dest, cache_directory=str(dest / ".c")),
        ),
        ("asyncstack, no cache", lambda dest: asyncstack(urls, dest, cache_directory="")),
    ]
    prepared: dict[str, Callable[[Path], None]] = {}
    for one in COMPETITORS:
        if missing := one.missing(urls, fresh(scratch)):
            print(f"  (without {one.name}: {missing})")
            continue
        contenders.append((one.name, lambda dest, one=one: one.run(urls, dest)))  # type: ignore[misc]
        prepared[one.name] = lambda dest, one=one: one.prepare(urls, dest)  # type: ignore[misc]
    medians = compare(rig, contenders, scratch, rounds, len(urls), prepare=prepared)
    show(f"cold, full history, {title}", medians)
    show_limit(rig, urls, scratch, medians)


def show_limit(rig: Served, urls: list[str], scratch: Path, medians: dict[str, Measured]) -> None:
    """Print what nobody can be faster than, and how near each one came."""
    xargs = medians["xargs -P16 git clone"]
    limits = {
        "slowest single clone": measure(
            rig, lambda: xargs_clone([urls[-3]], fresh(scratch))
        ).wall_s,
        "bytes / bandwidth": rig.bytes_of(urls) / rig.bandwidth if rig.bandwidth else 0.0,
        "CPU seconds / cores": (xargs.cpu_s + xargs.server_cpu_s) / (os.cpu_count() or 1),
    }
    limit = max(limits.values())
    print("  limit: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in limits.items()))
    near = (f"{name} {m.wall_s / limit:.2f}" for name, m in medians.items())
    print("  times the limit: " + ", ".join(near))


def fresh(scratch: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=scratch))


def shallow(rig: Served, urls: list[str], scratch: Path, rounds: int, title: str) -> None:
    contenders: list[Contender] = [
        ("DevStack, serial, GIT_DEPTH=1", lambda dest: devstack(urls, dest, depth=1)),
        ("asyncstack, GIT_DEPTH=1", lambda dest: asyncstack(urls, dest, depth=1)),
        ("xargs -P16 git clone --depth 1", lambda dest: xargs_clone(urls, dest, depth=1)),
    ]
    show(f"cold, shallow, {title}", compare(rig, contenders, scratch, rounds, len(urls)))


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
    medians = compare(rig, contenders, scratch, rounds, len(urls), keep=dest)
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
    show(f"fresh DEST, warm cache, {title}", compare(rig, contenders, scratch, rounds, len(urls)))


SCENARIOS = {"cold": cold, "shallow": shallow, "warm": warm, "relab": relab}


def slow(folder: Path, names: list[str], scratch: Path, think_s: float) -> None:
    with serving(folder, think_s=think_s) as rig:
        urls = [rig.url(name) for name in names]
        contenders: list[Contender] = [
            ("DevStack, serial", lambda dest: devstack(urls, dest)),
            ("asyncstack", lambda dest: asyncstack(urls, dest)),
            ("xargs -P16 git clone", lambda dest: xargs_clone(urls, dest)),
        ]
        show(f"server thinks {think_s} s", compare(rig, contenders, scratch, 1, len(urls)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="+", choices=[*SCENARIOS, "slow"])
    parser.add_argument("--rtt", type=float, nargs="+", default=[0.05], help="seconds")
    parser.add_argument("--bandwidth", type=float, default=0.0, help="bytes/s; 0: no limit")
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
            with serving(folder, rtt_s=rtt, bandwidth=args.bandwidth) as rig:
                urls = [rig.url(name, args.protocol) for name in names]
                for scenario in args.scenario:
                    if scenario in SCENARIOS:
                        title = f"{len(urls)} repositories, {args.protocol}, {rtt * 1000:.0f} ms"
                        SCENARIOS[scenario](rig, urls, scratch, args.rounds, title)


if __name__ == "__main__":
    main()
