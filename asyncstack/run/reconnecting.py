"""A connection that was lost, to be had again."""

from __future__ import annotations

import anyio

from asyncstack.errors import HostKeyError, TransportError
from asyncstack.runtime.session import reconnect_delays
from asyncstack.transports.base import Transport

__all__ = ["connect_again"]


async def connect_again(transport: Transport, give_up: float) -> bool:
    """Have a connection again; False if there is none to be had until then, by anyio's clock."""
    for delay in reconnect_delays():
        try:
            await transport.connect()
        except HostKeyError:
            return False  # which doesn't change by itself
        except TransportError:
            if anyio.current_time() + delay > give_up:
                return False
            await anyio.sleep(delay)
        else:
            break
    return anyio.current_time() <= give_up
