"""Cancelled or killed at any moment: no survivor, no rubbish, never half a checkout."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from asyncstack.events import FetchFinished
from asyncstack.model import FetchStatus
from tests.helpers.fetching import Bench
from tests.helpers.gitserver import (
    GitDaemon,
    Proxy,
    SmartHttp,
    commit_files,
    git,
    make_repository,
    rev,
)

ROOT = Path(__file__).parents[2]


def processes_about(text: str) -> list[str]:
    """Return the command lines of all processes that mention a path of this test's."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if text in line and path.parent.name != str(os.getpid()):
            found.append(line)
    return found


@pytest.mark.anyio
@pytest.mark.parametrize("protocol", ["git", "http"])
@pytest.mark.parametrize("after", [0, 300, 30_000])
async def test_cancelling_leaves_nothing(
    protocol: str, after: int, served: Path, bench: Bench
) -> None:
    """Ctrl-C while gits, or we, wait for their server: every process is gone, DEST is empty."""
    make_repository(served / "big.git", payload=50_000)
    connected = threading.Event()

    def fate(number: int) -> tuple[str, int] | None:
        if number == 3:
            connected.set()
        return ("freeze", after)

    serve = GitDaemon if protocol == "git" else SmartHttp
    with serve(served) as server, Proxy(server.port, fate=fate) as proxy:
        url = f"{protocol}://127.0.0.1:{proxy.port}/big.git"
        requests = [bench.request(url, name=f"p{number}") for number in range(4)]
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: bench.fetch(*requests, cache_directory=""))
            await anyio.to_thread.run_sync(connected.wait)
            assert processes_about(str(bench.dest)) or protocol == "http"
            group.cancel_scope.cancel()
    assert processes_about(str(bench.dest)) == []
    assert list(bench.dest.iterdir()) == []
    ends = bench.of(FetchFinished)
    assert [event.status for event in ends] == [FetchStatus.CANCELLED] * 4


class Worker:
    """A process that fetches on demand, so that it can be killed."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.fetch_worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def start(self, urls: list[str], dest: Path, cache: Path, *, update: bool = False) -> int:
        assert self.process.stdin is not None
        job = {"urls": urls, "dest": str(dest), "cache": str(cache), "update": update}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return self._line()

    def wait(self) -> int:
        return self._line()

    def _line(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def worker() -> Iterator[Worker]:
    running = Worker()
    yield running
    running.close()


def children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    found = [int(child) for child in text.split()]
    return found + [grandchild for child in found for grandchild in children(child)]


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def kill_asyncstack(pid: int) -> None:
    kill(pid)


def kill_git(pid: int) -> None:
    gits = children(pid)
    if gits:
        kill(random.choice(gits))


def kill_both(pid: int) -> None:
    gits = children(pid)
    kill(pid)
    for child in gits:
        kill(child)


def check_complete(checkout: Path) -> None:
    """HEAD is a commit, every file is there, every object can be read."""
    assert git("-C", checkout, "status", "--porcelain") == "", checkout
    assert git("-C", checkout, "rev-parse", "HEAD") == git(
        "-C", checkout, "rev-parse", "origin/master"
    )


@pytest.mark.slow
@pytest.mark.timeout(300)  # a busy machine is no failure
@pytest.mark.parametrize(
    ("victim", "kills"), [(kill_asyncstack, 40), (kill_git, 20), (kill_both, 40)]
)
@pytest.mark.parametrize("serve", [GitDaemon, SmartHttp])
def test_killed_at_random_moments(
    serve: type[GitDaemon | SmartHttp],
    victim: Callable[[int], None],
    kills: int,
    tmp_path: Path,
    worker: Worker,
) -> None:
    """Two hundred kills in all: the next run completes what was cut off.

    At no moment after a kill does DEST hold anything but complete checkouts.
    """
    served, dest, cache = tmp_path / "served", tmp_path / "dest", tmp_path / "cache"
    names = [f"p{number}" for number in range(10)]
    for name in names:
        make_repository(served / f"{name}.git", commits=2, branches=[], tags=[], refs=[])
    with serve(served) as server:
        urls = [server.url(f"{name}.git") for name in names]
        checked: set[tuple[int, int]] = set()
        began = time.monotonic()
        worker.start(urls, dest, cache)
        assert worker.wait() == 0
        usual = time.monotonic() - began
        for number in range(kills):
            if sum((dest / name).exists() for name in names) == len(names):
                shutil.rmtree(dest)
                if number % 2:
                    shutil.rmtree(cache)
            pid = worker.start(urls, dest, cache)
            time.sleep(random.uniform(0, usual))  # the moment is what is random here
            victim(pid)
            worker.wait()
            for checkout in dest.glob("p*"):
                made = checkout.stat().st_ino, checkout.stat().st_ctime_ns
                if made not in checked:
                    check_complete(checkout)
                    checked.add(made)
        worker.start(urls, dest, cache)
        assert worker.wait() == 0
    assert sorted(path.name for path in dest.iterdir()) == names
    for checkout in dest.iterdir():
        check_complete(checkout)
    assert processes_about(str(dest)) == []


def test_two_processes_at_once(tmp_path: Path) -> None:
    """One DEST, one cache, the same list: both end well, again and again, and nothing is left over."""
    served, dest, cache = tmp_path / "served", tmp_path / "dest", tmp_path / "cache"
    names = [f"p{number}" for number in range(4)]
    for name in names:
        make_repository(served / f"{name}.git", commits=2, branches=[], tags=[], refs=[])
    workers = [Worker(), Worker()]
    try:
        with GitDaemon(served) as daemon:
            urls = [daemon.url(f"{name}.git") for name in names]
            for kept in (False, True, False):  # the cache
                for worker in workers:
                    worker.start(urls, dest, cache)
                assert [worker.wait() for worker in workers] == [0, 0]
                assert sorted(path.name for path in dest.iterdir()) == names
                for name in names:
                    check_complete(dest / name)
                shutil.rmtree(dest)
                if not kept:
                    shutil.rmtree(cache)
    finally:
        for worker in workers:
            worker.close()


@pytest.mark.slow
@pytest.mark.timeout(300)  # a busy machine is no failure
def test_an_update_killed_at_random_moments(tmp_path: Path, worker: Worker) -> None:
    """The next run finishes it, be it an update or not: files, index and HEAD agree."""
    served, dest, cache = tmp_path / "served", tmp_path / "dest", tmp_path / "cache"
    repository = make_repository(served / "p.git", commits=2, branches=[], tags=[], refs=[])
    url, checkout = str(repository), dest / "p"
    names = [f"folder{number % 7}/file{number}" for number in range(250)]
    commit_files(repository, dict.fromkeys(names, "0"))
    worker.start([url], dest, cache)
    assert worker.wait() == 0
    usual = 0.2
    for number in range(1, 25):
        commit = commit_files(repository, dict.fromkeys(names[number:], f"{number}"))
        began = time.monotonic()
        pid = worker.start([url], dest, cache, update=True)
        time.sleep(random.uniform(0, usual))  # the moment is what is random here
        kill_both(pid)
        if worker.wait() == 0:
            usual = time.monotonic() - began
        worker.start([url], dest, cache, update=bool(number % 2))
        assert worker.wait() == 0
        assert git("-C", checkout, "status", "--porcelain") == ""
        if number % 2:
            assert rev(checkout) == commit
