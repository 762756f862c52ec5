"""How often a batch completes when many of its connections fall silent.

    python -m benchmarks.fetch_stalls --chance 0.3 --runs 100 --protocol http

Each run fetches ten small repositories through a proxy that freezes a connection with the given
chance after a random number of bytes. Printed: how many runs completed, and what the stalls cost.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio

from asyncstack.events import Event, FetchRetried
from asyncstack.fetcher import FetchOptions, FetchRequest, fetch
from tests.helpers.gitserver import GitDaemon, Proxy, SmartHttp, make_repository

REPOSITORIES = 10


def fate(rng: random.Random, chance: float) -> Callable[[int], tuple[str, int] | None]:
    return lambda _number: ("freeze", rng.randrange(3000)) if rng.random() < chance else None


def one_run(server: str, dest: Path, stall_s: float) -> tuple[bool, int, float]:
    """Fetch everything; return whether all came, the number of retries, and the seconds."""
    events: list[Event] = []
    requests = [
        FetchRequest(f"p{n}", f"{server}/p{n}.git", "master", str(dest / f"p{n}"))
        for n in range(REPOSITORIES)
    ]
    options = FetchOptions(stall_s=stall_s, tries=3, backoff_s=0.05)
    began = time.monotonic()
    results = anyio.run(fetch, requests, options, events.append)
    retries = sum(isinstance(event, FetchRetried) for event in events)
    good = all(result.status.good for result in results)
    return good, retries, time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chance", type=float, default=0.3)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--stall", type=float, default=0.5, help="seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--protocol", choices=["git", "http"], default="git")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="asyncstack-bench-") as name:
        scratch = Path(name)
        for number in range(REPOSITORIES):
            make_repository(scratch / "served" / f"p{number}.git")
        chance = fate(random.Random(args.seed), args.chance)
        serve = GitDaemon if args.protocol == "git" else SmartHttp
        with serve(scratch / "served") as server, Proxy(server.port, fate=chance) as proxy:
            url = f"{args.protocol}://127.0.0.1:{proxy.port}"
            runs = [
                one_run(url, scratch / f"dest{number}", args.stall) for number in range(args.runs)
            ]
    good = sum(complete for complete, _, _ in runs)
    print(f"{good} of {args.runs} runs completed; {REPOSITORIES} repositories each,")
    print(f"{args.chance:.0%} of connections fell silent, given up after {args.stall} s, 3 tries")
    print(f"retries a run: {statistics.mean(retries for _, retries, _ in runs):.1f}")
    print(f"seconds a run: {statistics.median(seconds for _, _, seconds in runs):.1f}")


if __name__ == "__main__":
    main()
