"""Waiting for a driver to have evaluated localrc."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from asyncstack.events import NodeBooted
from asyncstack.executor.boot import Boot, BootCollector
from asyncstack.executor.conversation import Conversation

__all__ = ["hear_boot"]


async def hear_boot(
    conversation: Conversation, localrc_path: Path, on_secret: Callable[[str], None]
) -> Boot:
    """Wait until the driver has evaluated localrc; `on_secret` is told what must not be printed.

    Raises LocalConfError, PluginError, UnfitNodeError for what the boot found wrong, and
    ConnectionLostError if the driver was killed.
    """
    started = time.monotonic()
    collector = BootCollector(conversation.node, localrc_path)
    known = 0
    # What localrc prints waits until it is known what in it is secret.
    held: list[bytes] = []
    try:
        async for item in conversation.heard():
            if isinstance(item, bytes):
                held.append(item)
                continue
            boot = collector.feed(item)
            for secret in collector.secrets[known:]:
                on_secret(secret)
            known = len(collector.secrets)
            if boot is not None:
                conversation.tell([_booted(conversation.node, boot, time.monotonic() - started)])
                return boot
        conversation.ended = True
        raise collector.ended()
    finally:
        conversation.print(b"".join(held))


def _booted(node: str, boot: Boot, duration_s: float) -> NodeBooted:
    return NodeBooted(
        node=node,
        pid=boot.pid,
        directory=boot.directory,
        duration_s=round(duration_s, 6),
        dest=boot.dest,
        facts=boot.facts,
    )
