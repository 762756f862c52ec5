"""Ask servers what their refs are: over kept connections where that is plain, else with git."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from asyncstack.checkouts.rules import sources
from asyncstack.fetcher.attempts import Job, try_all
from asyncstack.fetcher.conversations import Conversations, ask_for_refs
from asyncstack.git.commands import Git, ls_remote
from asyncstack.git.pktline import Advertised
from asyncstack.git.process import Ended
from asyncstack.git.refs import RefTable, parse_ls_remote
from asyncstack.git.smart_http import Trouble
from asyncstack.git.urls import Address, parse_url

__all__ = ["Questions"]

#: Connections a host, at most: each is asked again and again, so that more gain little.
_CONNECTIONS = 16


@dataclass(slots=True)
class Questions:
    """All questions of one batch."""

    conversations: Conversations
    limiters: dict[str, anyio.CapacityLimiter] = field(default_factory=dict)

    async def ask(self, job: Job, work: Path) -> RefTable | Ended:
        """Return a repository's branches and tags, or why they can't be had."""
        address = parse_url(sources(job.request.url, job.options.mirrors)[0])
        if await self.conversations.possible(address, job.git):
            answer = await self._converse(job, address)
            if answer is not None:
                return answer
        return await _ask_git(job, work)

    async def _converse(self, job: Job, address: Address) -> RefTable | None:
        queued = anyio.current_time()
        # Those that have their answer are cloning already: one cap for both.
        async with self._limiter(job, address), job.throttle.slot(address.host) as host:
            job.begin()
            job.outcome.add("queue", anyio.current_time() - queued)
            if job.throttle.closed(host):
                return None  # git's turn, which says so
            started = time.monotonic()
            answer: Advertised | Trouble | None = None
            with (
                anyio.move_on_after(job.options.timeout_s or None),
                self.conversations.lend(address, job.options) as conversation,
            ):
                answer = await ask_for_refs(conversation, job.options, address.url)
        if answer is None or isinstance(answer, Trouble):
            return None
        job.outcome.attempts += 1
        job.outcome.add("negotiate", time.monotonic() - started)
        return answer.refs

    def _limiter(self, job: Job, address: Address) -> anyio.CapacityLimiter:
        if address.host not in self.limiters:
            most = min(_CONNECTIONS, job.options.jobs_per_host, job.options.jobs)
            self.limiters[address.host] = anyio.CapacityLimiter(max(1, most))
        return self.limiters[address.host]


async def _ask_git(job: Job, work: Path) -> RefTable | Ended:
    async def attempt(git: Git, url: str) -> Ended:
        return await ls_remote(git, url)

    ended = await try_all(job, attempt, work)
    return parse_ls_remote(ended.stdout) if ended.ok else ended
