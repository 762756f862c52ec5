"""What the delivery's tests do again and again: mirrors here, checkouts there, parcels between."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

import msgspec

from asyncstack.checkouts.values import FetchOptions, FetchRequest, FetchResult
from asyncstack.delivery import (
    Parcel,
    clone_on_node,
    open_depot,
)
from asyncstack.events import Event
from asyncstack.git.refs import extra_refspec
from asyncstack.model import Node
from asyncstack.transports.base import Process
from asyncstack.transports.local import LocalTransport
from tests.helpers.gitserver import git, rev

__all__ = ["Counting", "Lab", "tree_of"]

E = TypeVar("E", bound=Event)


class Counting(LocalTransport):
    """A local node that counts the commands it was given."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.commands: list[str] = []

    def open_process(self, command: str) -> AbstractAsyncContextManager[Process]:
        self.commands.append(command)
        return super().open_process(command)


class Lab:
    """Mirrors below `root`, and a DEST for each node."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mirrors = root / "mirrors"
        self.events: list[Event] = []
        self.transport = Counting(Node("node1"))

    @property
    def dest(self) -> Path:
        return self.root / self.transport.node.name

    def mirror(self, origin: Path, *refs: str) -> Path:
        """Make, or bring up to date, the mirror of a repository."""
        path = self.mirrors / origin.name
        if not path.exists():
            git("clone", "-q", "--bare", "--no-local", origin, path)
        specs = [spec for ref in refs if (spec := extra_refspec(ref))]
        heads = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        keep = ["-c", "fetch.unpackLimit=1"]
        git("-C", path, *keep, "fetch", "-q", "--prune", "--no-tags", origin, *heads, *specs)
        git("-C", path, "pack-refs", "--all")
        return path

    def parcel(self, ref: str = "master", name: str = "plugin", **changes: object) -> Parcel:
        mirror = self.mirrors / f"{name}.git"
        kept = extra_refspec(ref).partition(":")[2]
        parcel = Parcel(
            plugin=name,
            url=f"https://example.org/{name}.git",
            ref=ref,
            directory=str(self.dest / name),
            target=rev(mirror, kept or ref),
            mirror=mirror,
        )
        return msgspec.structs.replace(parcel, **changes)

    async def deliver(self, *parcels: Parcel, **options: object) -> list[FetchResult]:
        with open_depot() as depot:
            settings = FetchOptions(**options)  # type: ignore[arg-type]
            return await depot.deliver(self.transport, parcels, settings, self.events.append)

    async def one(self, ref: str = "master", **options: object) -> FetchResult:
        return (await self.deliver(self.parcel(ref), **options))[0]

    async def clone(self, *requests: FetchRequest, **options: object) -> list[FetchResult]:
        settings = FetchOptions(**options)  # type: ignore[arg-type]
        return await clone_on_node(self.transport, requests, settings, self.events.append)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def program(self, name: str, script: str) -> str:
        """Make a program that stands before the real one; return the PATH that finds it."""
        folder = self.root / "bin"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(f"#!/bin/sh\nreal={shutil.which(name)}\n{script}\n")
        path.chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"


def tree_of(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []
