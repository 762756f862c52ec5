"""What the fetcher's tests do again and again."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from asyncstack.events import Event, FetchProgress
from asyncstack.fetcher import FetchOptions, FetchRequest, FetchResult, fetch

__all__ = ["Bench"]

E = TypeVar("E", bound=Event)


class Bench:
    """What the tests do again and again: ask for repositories, look at results and events."""

    def __init__(self, dest: Path, cache: Path) -> None:
        self.dest = dest
        self.cache = cache
        self.events: list[Event] = []

    def request(
        self, url: str, ref: str = "master", name: str = "plugin", commit: str = ""
    ) -> FetchRequest:
        return FetchRequest(name, url, ref, str(self.dest / name), commit)

    async def fetch(self, *requests: FetchRequest, **options: object) -> list[FetchResult]:
        settings = {"cache_directory": str(self.cache), "backoff_s": 0.01, **options}
        return await fetch(requests, FetchOptions(**settings), self.events.append)  # type: ignore[arg-type]

    async def one(self, url: str, ref: str = "master", **options: object) -> FetchResult:
        return (await self.fetch(self.request(url, ref), **options))[0]

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def lasting(self) -> list[Event]:
        return [event for event in self.events if not isinstance(event, FetchProgress)]
