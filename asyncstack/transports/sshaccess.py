"""What the ssh connections of all nodes of a run share: the right to connect, keys, jump hosts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import asyncssh
from anyio import CancelScope

from asyncstack.errors import TransportError
from asyncstack.model import Node
from asyncstack.transports.base import Ask
from asyncstack.transports.proxies import Proxy
from asyncstack.transports.sshkeys import KeyRing

__all__ = ["CONNECTS", "JumpHosts", "Link", "SharedLink", "SshAccess"]

#: Connections that are made at once: below the 10 at which an sshd, or a jump host that all of
#: them go through by a ProxyCommand, begins to drop what is not logged in yet (MaxStartups).
CONNECTS = 8

Route = tuple[Node, ...]


class Link:
    """A connection, and that to the jump host, or the ProxyCommand, that it goes through."""

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        through: SharedLink | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self.connection = connection
        self._through = through
        self._proxy = proxy

    async def aclose(self) -> None:
        """End the connection; that to the jump host as well if no other needs it."""
        self.connection.abort()
        with suppress(asyncssh.Error, OSError), anyio.move_on_after(1.0, shield=True):
            await self.connection.wait_closed()
        if self._proxy is not None:
            await self._proxy.aclose()
        if self._through is not None:
            await self._through.leave()


class SharedLink:
    """A link that several others go through, and that ends with the last of them."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._users = 0
        self._ended = False

    @property
    def connection(self) -> asyncssh.SSHClientConnection:
        return self._link.connection

    @property
    def usable(self) -> bool:
        return not self._ended and not self._link.connection.is_closed()

    def enter(self) -> SharedLink:
        """One more goes through it."""
        self._users += 1
        return self

    async def leave(self) -> None:
        """One less."""
        self._users -= 1
        if self._users == 0:
            self._ended = True
            with CancelScope(shield=True):
                await self._link.aclose()


class _Place:
    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.link: SharedLink | None = None
        self.failure: TransportError | None = None
        self.failed_at = 0.0


class JumpHosts:
    """One connection to each jump host, however many nodes are behind it.

    A jump host's sshd so sees one login instead of one a node, and never comes to drop any.
    """

    def __init__(self) -> None:
        self._places: dict[Route, _Place] = {}

    async def reach(self, route: Route, connect: Callable[[], Awaitable[Link]]) -> SharedLink:
        """A connection to the last host of `route`, for who leaves it afterwards.

        Raises what `connect` raises, for all who were waiting for it.
        """
        place = self._places.setdefault(route, _Place())
        began = anyio.current_time()
        async with place.lock:
            if place.link is None or not place.link.usable:
                if place.failure is not None and place.failed_at >= began:
                    raise place.failure
                try:
                    place.link = SharedLink(await connect())
                except TransportError as error:
                    place.failure, place.failed_at = error, anyio.current_time()
                    raise
            return place.link.enter()


class SshAccess:
    """Made once a run. `ask` asks the user for a passphrase; without it nobody is asked.

    `connects` bounds how many connections are being made at once.
    """

    def __init__(self, ask: Ask | None = None, connects: int = CONNECTS) -> None:
        self.connects = anyio.CapacityLimiter(connects)
        self.keys = KeyRing(ask)
        self.jumps = JumpHosts()
        self._accepted: dict[Route, dict[str, asyncssh.SSHKey]] = {}

    def accepted(self, route: Route) -> dict[str, asyncssh.SSHKey]:
        """The host keys that were accepted in this run behind these jump hosts, by the host's name.

        Not only in known_hosts: where they aren't written down a connection made anew must find
        the same. By the way there, for two networks may have the same addresses.
        """
        return self._accepted.setdefault(route, {})
