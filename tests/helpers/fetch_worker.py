"""Fetch again and again, each time in a process of its own that can be killed.

Reads a line of JSON from stdin: `{"urls": [...], "dest": "...", "cache": "...", "update": false}`; forks a child that
fetches, prints its pid, waits for it, prints how it ended. Forking spares the imports, so that hundreds
of runs fit into a test.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import anyio

from asyncstack.fetcher import FetchOptions, FetchRequest, fetch


def run(urls: list[str], dest: str, cache: str, *, update: bool) -> int:
    """Fetch; return how many failed."""
    requests = [
        FetchRequest(name, url, "master", str(Path(dest) / name))
        for url in urls
        for name in (url.rsplit("/", 1)[-1].removesuffix(".git"),)
    ]
    options = FetchOptions(cache_directory=cache, backoff_s=0.01, jobs=4, update=update)
    results = anyio.run(fetch, requests, options, lambda _event: None)
    for result in results:
        if not result.status.good:
            sys.stderr.write(f"{result}\n")
    return sum(not result.status.good for result in results)


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(run(**job))
        _say(child)
        _, status = os.waitpid(child, 0)
        _say(os.waitstatus_to_exitcode(status))


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
