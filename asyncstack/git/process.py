"""Run one git to its end, or to ours: its process group never outlives this call.

asyncio's own subprocesses are not used: their `wait` waits for the pipes as well, which a grandchild
(a credential daemon, an ssh master) may hold open for hours. Here the end of the process is what
its pidfd says, and the pipes get a moment's grace after that.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread

from asyncstack.git.activity import activity
from asyncstack.git.failures import FailureClass, classify
from asyncstack.git.progress import Progress, ProgressParser

__all__ = ["Ended", "Limits", "run_git"]

#: Seconds between TERM and KILL, and that the pipes get after the process has ended.
_GRACE_S = 2.0
#: Seconds between two looks at what a running git says: it writes a line for each percent of each stage.
_PAUSE_S = 0.1
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Limits:
    """When to give up on a git: `timeout_s` in all, `stall_s` without any sign of life; 0 = never."""

    timeout_s: float = 0.0
    stall_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a git ended. `failure` is None exactly if it did what it was told.

    `retry_after_s` is how long a server wants to be left alone, as far as we heard it ourselves.
    """

    returncode: int
    stdout: str
    words: str
    failure: FailureClass | None
    seconds: float
    received_bytes: int = 0
    objects: int = 0
    retry_after_s: float = 0.0

    @property
    def ok(self) -> bool:
        return self.failure is None


class _Watched:
    """What the readers and the watchdog share about one running git."""

    def __init__(
        self, process: subprocess.Popen[bytes], limits: Limits, moved: Callable[[], int]
    ) -> None:
        self.process = process
        self.limits = limits
        self.moved = moved
        self.started = self.last_sign = time.monotonic()
        self.last_activity = -1
        self.given_up: FailureClass | None = None
        self.parser = ProgressParser()
        self.stdout = bytearray()
        self.ended = anyio.Event()

    def sign_of_life(self) -> None:
        self.last_sign = time.monotonic()

    def check(self) -> FailureClass | None:
        """Is a limit exceeded? The kernel is only asked once git has been silent for a while."""
        now, limits = time.monotonic(), self.limits
        if limits.timeout_s and now - self.started >= limits.timeout_s:
            return FailureClass.TIMEOUT
        if not limits.stall_s or now - self.last_sign < limits.stall_s / 2:
            return None
        seen = activity(self.process.pid) + self.moved()
        if seen != self.last_activity:
            # The first look only takes the measure: silence so far stays counted.
            first, self.last_activity = self.last_activity < 0, seen
            if not first:
                self.last_sign = now
                return None
        return FailureClass.STALL if now - self.last_sign >= limits.stall_s else None


async def run_git(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | Path | None = None,
    limits: Limits = Limits(),
    on_progress: Callable[[Progress], None] | None = None,
    stdin: int = subprocess.DEVNULL,
    moved: Callable[[], int] = lambda: 0,
) -> Ended:
    """Run a git command line in its own process group and say how it ended; raises nothing for git.

    `stdin` is a descriptor. `moved` gives the bytes that something of ours has moved for this git:
    they are a sign of life as well. On cancellation the whole group gets TERM, then KILL, before the cancellation goes on.
    """
    await anyio.lowlevel.checkpoint_if_cancelled()
    try:
        process = subprocess.Popen(  # noqa: ASYNC220 - vfork: a millisecond, and no thread
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        return _not_started(error, argv[0])
    watched = _Watched(process, limits, moved)
    try:
        await _attend(watched, on_progress)
    finally:
        _close(process)
    return _ended(watched)


def _not_started(error: FileNotFoundError, program: str) -> Ended:
    missing = error.filename == program
    failure = FailureClass.GIT_MISSING if missing else FailureClass.OTHER
    words = f"{program} is not installed" if missing else str(error)
    return Ended(127, "", words, failure, 0.0)


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _ended(watched: _Watched) -> Ended:
    process, words = watched.process, watched.parser.words
    failure = watched.given_up
    if failure is not None:
        words += f"\n{_given_up(failure, watched.limits)}"
    elif process.returncode != 0:
        failure = classify(words)
        if process.returncode < 0 and failure is FailureClass.OTHER:
            failure = FailureClass.RESET  # killed from outside: another try may do
            words += f"\ngit was killed by signal {-process.returncode}"
    return Ended(
        returncode=process.returncode,
        stdout=watched.stdout.decode("utf-8", "surrogateescape"),
        words=words.replace("\0", "").lstrip("\n"),  # servers' words may hold one
        failure=failure,
        seconds=time.monotonic() - watched.started,
        received_bytes=watched.parser.received_bytes,
        objects=watched.parser.objects,
    )


def _given_up(failure: FailureClass, limits: Limits) -> str:
    if failure is FailureClass.STALL:
        return f"git was ended: for {limits.stall_s:g} s nothing moved"
    return f"git was ended: it took longer than {limits.timeout_s:g} s"


async def _attend(watched: _Watched, on_progress: Callable[[Progress], None] | None) -> None:
    """Read both pipes and watch the limits until the process has ended; reap it in any case."""
    try:
        async with anyio.create_task_group() as readers:
            readers.start_soon(_read_stderr, watched, on_progress)
            readers.start_soon(_read_stdout, watched)
            async with anyio.create_task_group() as watchers:
                if watched.limits.timeout_s or watched.limits.stall_s:
                    watchers.start_soon(_watch, watched)
                await _wait_unreaped(watched.process)
                if watched.given_up is not None:  # git is gone, its helpers may hang on
                    _signal_group(watched.process.pid, signal.SIGKILL)
                watched.process.wait()
                watched.ended.set()
                watchers.cancel_scope.cancel()
            readers.cancel_scope.deadline = anyio.current_time() + _GRACE_S
    finally:
        if watched.process.returncode is None:
            with anyio.CancelScope(shield=True):
                await _kill_group(watched.process)


async def _watch(watched: _Watched) -> None:
    limits = [limit for limit in (watched.limits.timeout_s, watched.limits.stall_s) if limit]
    pause = min(1.0, min(limits) / 8)
    while (given_up := watched.check()) is None:  # noqa: ASYNC110 - nobody tells us of silence
        await anyio.sleep(pause)
    watched.given_up = given_up
    _signal_group(watched.process.pid, signal.SIGTERM)
    await anyio.sleep(_GRACE_S)
    _signal_group(watched.process.pid, signal.SIGKILL)


async def _read_stderr(watched: _Watched, report: Callable[[Progress], None] | None) -> None:
    assert watched.process.stderr is not None
    descriptor = watched.process.stderr.fileno()
    while data := await _read(descriptor):
        watched.sign_of_life()
        progress = watched.parser.feed(data)
        if progress is not None and report is not None:
            report(progress)
        with anyio.move_on_after(_PAUSE_S):
            await watched.ended.wait()


async def _read_stdout(watched: _Watched) -> None:
    assert watched.process.stdout is not None
    descriptor = watched.process.stdout.fileno()
    while data := await _read(descriptor):
        watched.sign_of_life()
        watched.stdout += data


async def _read(descriptor: int) -> bytes:
    await anyio.wait_readable(descriptor)
    return os.read(descriptor, _CHUNK)


async def _wait_unreaped(process: subprocess.Popen[bytes]) -> None:
    """Wait for the process's end; on Linux it stays a zombie, so that its group id stays ours."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, or a kernel before 5.3
        await anyio.to_thread.run_sync(process.wait, abandon_on_cancel=True)
        return
    try:
        await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)


async def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """TERM to the group, KILL to what is left of it when the leader has ended or time is up."""
    _signal_group(process.pid, signal.SIGTERM)
    with anyio.move_on_after(_GRACE_S):
        await _wait_unreaped(process)
    _signal_group(process.pid, signal.SIGKILL)
    with anyio.move_on_after(_GRACE_S):
        await _wait_unreaped(process)
        process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return
