"""Lend kept connections to whoever talks to a server without git, and threads to block in."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio

from asyncstack.checkouts.values import FetchOptions
from asyncstack.git.commands import Git
from asyncstack.git.pktline import Advertised
from asyncstack.git.smart_http import Conversation, Trouble, is_plain
from asyncstack.git.urls import Address

__all__ = ["Conversations", "ask_for_refs", "in_daemon_thread"]

T = TypeVar("T")

#: Stall limits for the question for refs: to connect, to agree on TLS and to wait may take one each.
_LONGEST = 3
#: What of a user's configuration changes how git connects, or what it accepts.
_SPECIAL = r"^(http|url)\.|^(fetch|transfer)\.fsck"


@dataclass(slots=True)
class Conversations:
    """All conversations of one batch that nobody is having at the moment."""

    idle: dict[tuple[str, str], list[Conversation]] = field(default_factory=dict)
    _plain: bool | None = None
    _looking: anyio.Lock = field(default_factory=anyio.Lock)

    async def possible(self, address: Address, git: Git) -> bool:
        """Say whether git would connect to an address in no special way: one git call a batch."""
        if not is_plain(address, os.environ):
            return False
        async with self._looking:
            if self._plain is None:
                ended = await git.run("config", "--name-only", "--get-regexp", _SPECIAL)
                self._plain = not ended.stdout.strip()
        return self._plain

    @contextmanager
    def lend(self, address: Address, options: FetchOptions) -> Iterator[Conversation]:
        """Lend a conversation with an address's server; one that isn't over by then is given up."""
        idle = self.idle.setdefault((address.scheme, address.host), [])
        conversation = idle.pop() if idle else _open(address, options)
        try:
            yield conversation
        except BaseException:
            conversation.abandon()
            raise
        if conversation.is_over:
            conversation.abandon()
        else:
            idle.append(conversation)

    def close(self) -> None:
        """Hang up everywhere."""
        for conversations in self.idle.values():
            for conversation in conversations:
                conversation.close()


async def ask_for_refs(
    conversation: Conversation, options: FetchOptions, url: str, prefixes: Sequence[str] = ()
) -> Advertised | Trouble | None:
    """Ask a server for a repository's refs (`Conversation.refs`), in a thread.

    A server that sends a byte now and then is never silent, and never done: git has limits for that.
    """
    with anyio.move_on_after(_LONGEST * options.stall_s or None):
        return await in_daemon_thread(lambda: conversation.refs(url, prefixes))
    conversation.abandon()
    return None


def _open(address: Address, options: FetchOptions) -> Conversation:
    return Conversation(address, options.stall_s, os.environ.get("GIT_SSL_CAINFO", ""))


async def in_daemon_thread(work: Callable[[], T]) -> T:
    """Run something that blocks in a thread that no exit of the process waits for.

    anyio's own worker threads are waited for, and a name server or a host that swallows packets
    would keep an interrupted user for half a minute. Raises OSError if there can't be a thread.
    """
    ended: Future[T] = Future()
    ours, theirs = socket.socketpair()

    def run() -> None:
        with theirs:  # its end of file is the wake-up call
            try:
                ended.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                ended.set_exception(error)

    with ours:
        try:
            threading.Thread(target=run, daemon=True, name="asyncstack conversation").start()
        except RuntimeError as error:
            theirs.close()
            raise OSError(errno.EAGAIN, str(error)) from error
        await anyio.wait_readable(ours)
    return ended.result()
