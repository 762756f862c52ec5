"""Ask servers what their refs are: over kept connections where that is plain, else with git."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from asyncstack.checkouts.rules import sources
from asyncstack.fetcher.attempts import Job, try_all
from asyncstack.git.commands import Git, ls_remote
from asyncstack.git.process import Ended
from asyncstack.git.refs import RefTable, parse_ls_remote
from asyncstack.git.smart_http import Conversation, is_plain
from asyncstack.git.urls import Address, parse_url

__all__ = ["Questions"]

#: Kept connections a host, at most: each is asked again and again, so that more gain little.
_CONNECTIONS = 16


@dataclass(slots=True)
class _Host:
    limiter: anyio.CapacityLimiter
    idle: list[Conversation] = field(default_factory=list)


@dataclass(slots=True)
class Questions:
    """All questions of one batch. `plain` is None until the user's git configuration was looked at."""

    hosts: dict[tuple[str, str], _Host] = field(default_factory=dict)
    plain: bool | None = None
    looking: anyio.Lock = field(default_factory=anyio.Lock)

    async def ask(self, job: Job, work: Path) -> RefTable | Ended:
        """Return a repository's branches and tags, or why they can't be had."""
        url = sources(job.request.url, job.options.mirrors)[0]
        address = parse_url(url)
        if is_plain(address, os.environ) and await self._is_plain(job.git):
            answer = await self._converse(job, address)
            if answer is not None:
                return answer
        return await _ask_git(job, work)

    async def _is_plain(self, git: Git) -> bool:
        """Say whether the user's git connects in no special way: one git call a batch."""
        async with self.looking:
            if self.plain is None:
                ended = await git.run("config", "--name-only", "--get-regexp", r"^(http|url)\.")
                self.plain = not ended.stdout.strip()
        return self.plain

    async def _converse(self, job: Job, address: Address) -> RefTable | None:
        host = self._host(job, address)
        async with host.limiter:
            job.begin()
            started = time.monotonic()
            conversation = host.idle.pop() if host.idle else _converser(job, address)
            with _interrupted_on_cancel(conversation):
                answer = await _in_daemon_thread(lambda: conversation.ask(address.url))
            host.idle.append(conversation)
        if answer is not None:
            job.outcome.attempts += 1
            job.outcome.add("negotiate", time.monotonic() - started)
        return answer

    def _host(self, job: Job, address: Address) -> _Host:
        key = address.scheme, address.host
        if key not in self.hosts:
            most = min(_CONNECTIONS, job.options.jobs_per_host, job.options.jobs)
            self.hosts[key] = _Host(anyio.CapacityLimiter(max(1, most)))
        return self.hosts[key]

    def close(self) -> None:
        """Hang up."""
        for host in self.hosts.values():
            for conversation in host.idle:
                conversation.close()


def _converser(job: Job, address: Address) -> Conversation:
    limits = [limit for limit in (job.options.timeout_s, job.options.stall_s) if limit]
    return Conversation(address, min(limits, default=0.0), os.environ.get("GIT_SSL_CAINFO", ""))


@contextmanager
def _interrupted_on_cancel(conversation: Conversation) -> Iterator[None]:
    """Wake the thread of a conversation that nobody waits for any more."""
    try:
        yield
    except BaseException:
        conversation.interrupt()
        raise


async def _in_daemon_thread(ask: Callable[[], RefTable | None]) -> RefTable | None:
    """Run something that blocks in a thread that no exit of the process waits for.

    anyio's own worker threads are waited for, and a name server or a host that swallows packets
    would keep an interrupted user for half a minute.
    """
    answers: list[RefTable | None] = []
    ours, theirs = socket.socketpair()

    def work() -> None:
        with theirs:  # its end of file is the wake-up call
            answers.append(ask())

    with ours:
        threading.Thread(target=work, daemon=True, name="asyncstack question").start()
        await anyio.wait_readable(ours)
    return answers[0] if answers else None


async def _ask_git(job: Job, work: Path) -> RefTable | Ended:
    async def attempt(git: Git, url: str) -> Ended:
        return await ls_remote(git, url)

    ended = await try_all(job, attempt, work)
    return parse_ls_remote(ended.stdout) if ended.ok else ended
