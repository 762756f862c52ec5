"""A repository that a node doesn't have: it ends with an ordinary clone."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import msgspec
import pytest

from asyncstack.checkouts.values import FetchOptions, FetchResult
from asyncstack.delivery import open_depot
from asyncstack.events import FetchFinished, FetchProgress, FetchStarted
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus, Node
from asyncstack.transports.local import LocalTransport
from tests.helpers.delivering import Lab, tree_of
from tests.helpers.gitserver import commit_files, git, make_repository, rev

pytestmark = pytest.mark.anyio

REFS = ["master", "stable/2025.1", "1.0.0", "refs/changes/12/3412/5", "refs/heads/master"]


@pytest.mark.parametrize("ref", REFS)
async def test_is_an_ordinary_clone(ref: str, lab: Lab, origin: Path) -> None:
    """origin is the real URL, HEAD detached at the commit, history, branches and tags are there."""
    lab.mirror(origin, ref)
    parcel = lab.parcel(ref)
    (result,) = await lab.deliver(parcel)
    checkout = lab.dest / "plugin"
    assert (result.status, result.commit, result.message) == (
        FetchStatus.CLONED,
        parcel.target,
        "",
    )
    assert rev(checkout) == parcel.target == rev(origin, ref)
    assert git("-C", checkout, "status", "--porcelain", "--branch") == "## HEAD (no branch)\n"
    assert git("-C", checkout, "remote", "get-url", "origin") == f"{parcel.url}\n"
    assert git("-C", checkout, "describe", "--all", "--always") != ""
    assert rev(checkout, "origin/master") == rev(checkout, "origin/HEAD") == rev(origin, "master")
    assert rev(checkout, "1.0.0") == rev(origin, "1.0.0")
    assert git("-C", checkout, "fsck", "--strict", "--no-dangling") == ""
    assert git("-C", checkout, "rev-list", "--count", "HEAD") == git(
        "-C", origin, "rev-list", "--count", ref
    )


async def test_its_next_fetch_is_ordinary(lab: Lab, origin: Path) -> None:
    """git itself takes it up from there."""
    await lab.one()
    checkout = lab.dest / "plugin"
    git("-C", checkout, "remote", "set-url", "origin", origin)
    git("-C", checkout, "fetch", "-q")
    git("-C", checkout, "checkout", "-q", "-b", "mine", "origin/stable/2025.1")
    assert rev(checkout) == rev(origin, "stable/2025.1")


async def test_packs_come_as_they_are(lab: Lab, origin: Path) -> None:
    """No node indexes again: the index is the mirror's, to the byte; nothing is left beside it."""
    await lab.one()
    there = lab.dest / "plugin" / ".git" / "objects" / "pack"
    here = lab.mirrors / "plugin.git" / "objects" / "pack"
    assert tree_of(there) == tree_of(here)
    for path in here.iterdir():
        assert (there / path.name).read_bytes() == path.read_bytes()
    assert tree_of(lab.dest) == ["plugin"]


async def test_two_round_trips_whatever_the_number(lab: Lab, origin: Path) -> None:
    """One command asks about all of them, one brings all; with nothing to bring, one."""
    for name in ("a", "b", "c"):
        lab.mirror(make_repository(lab.root / "served" / f"{name}.git"))
    parcels = [lab.parcel(name=name) for name in ("a", "b", "c", "plugin")]
    results = await lab.deliver(*parcels)
    assert [result.plugin for result in results] == ["a", "b", "c", "plugin"]
    assert {result.status for result in results} == {FetchStatus.CLONED}
    assert len(lab.transport.commands) == 2
    again = await lab.deliver(*parcels, update=True)
    assert {result.status for result in again} == {FetchStatus.PRESENT}
    assert {result.received_bytes for result in again} == {0}
    assert len(lab.transport.commands) == 3


async def test_events(lab: Lab) -> None:
    """Started, progress up to the whole, finished, each with its node; sizes are what was sent."""
    result = await lab.one()
    (started,) = lab.of(FetchStarted)
    (finished,) = lab.of(FetchFinished)
    assert (started.node, finished.node) == ("node1", "node1")
    assert lab.of(FetchProgress)[-1].fraction == 1.0
    assert finished.received_bytes == result.received_bytes > 0
    assert set(finished.stages) == {"send", "checkout"}
    assert finished.status is FetchStatus.CLONED
    assert finished.start <= finished.end


async def test_credentials_stay_here(lab: Lab) -> None:
    """Neither the URL on the node nor an event has them."""
    parcel = lab.parcel(url="https://user:hunter2@example.org/plugin.git")
    (result,) = await lab.deliver(parcel)
    assert result.url == "https://example.org/plugin.git"
    config = (lab.dest / "plugin" / ".git" / "config").read_text()
    assert "hunter2" not in config + repr(lab.events) + "".join(lab.transport.commands)


@pytest.mark.parametrize("name", ["a b", "$(touch pwned)", "it's", "ünï", "a;b", "*", "a\\nb"])
async def test_names_mean_nothing_to_the_shell(name: str, lab: Lab) -> None:
    """Whatever a plugin is called, that is its directory."""
    directory = lab.root / "dest $HOME'" / name
    (result,) = await lab.deliver(lab.parcel(directory=str(directory)))
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    assert tree_of(directory.parent) == [name]
    assert tree_of(lab.root).count("pwned") == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"directory": "relative"},
        {"directory": "/tmp/a\nb"},
        {"directory": "/tmp/../b"},
        {"directory": "/tmp/-x"},
        {"url": "ext::sh -c id"},
        {"url": "--upload-pack=x"},
        {"ref": "-x"},
        {"ref": "a b"},
        {"target": "master"},
    ],
)
async def test_what_no_node_is_told(changes: dict[str, str], lab: Lab) -> None:
    """An option in disguise, or a way out of the directory, is refused here."""
    (result,) = await lab.deliver(msgspec.structs.replace(lab.parcel(), **changes))
    assert (result.status, result.failure) == (FetchStatus.FAILED, FailureClass.REFUSED_BY_US)
    assert lab.transport.commands == []


async def test_one_that_fails_stops_no_other(lab: Lab, origin: Path) -> None:
    """It is told in git's own words, and leaves nothing behind."""
    broken = make_repository(lab.root / "served" / "broken.git", payload=5000)
    (pack,) = (lab.mirror(broken) / "objects" / "pack").glob("*.pack")
    data = bytearray(pack.read_bytes())
    for place in range(200, len(data) - 40, 64):
        data[place] ^= 0xFF
    parcel = lab.parcel(name="broken")
    pack.chmod(0o644)
    pack.write_bytes(data)
    bad, good = await lab.deliver(parcel, lab.parcel())
    assert (bad.status, good.status) == (FetchStatus.FAILED, FetchStatus.CLONED)
    assert bad.message
    assert tree_of(lab.dest) == ["plugin"]


async def test_a_mirror_that_is_gone(lab: Lab, tmp_path: Path) -> None:
    """Nothing is sent for it; the others go on."""
    gone = lab.parcel(name="plugin", directory=str(lab.dest / "gone"), mirror=tmp_path / "none")
    bad, good = await lab.deliver(gone, lab.parcel())
    assert (bad.status, good.status) == (FetchStatus.FAILED, FetchStatus.CLONED)
    assert tree_of(lab.dest) == ["plugin"]


async def test_dest_that_can_not_be_made(lab: Lab) -> None:
    """mkdir's own words, and the payload behind it isn't taken for the next line."""
    lab.dest.mkdir()
    (lab.dest / "file").touch()
    blocked = lab.parcel(directory=str(lab.dest / "file" / "plugin"))
    bad, good = await lab.deliver(blocked, lab.parcel())
    assert bad.status is FetchStatus.FAILED
    assert "mkdir" in bad.message
    assert good.status is FetchStatus.CLONED


async def test_many_nodes_at_once(lab: Lab, tmp_path: Path) -> None:
    """One depot serves them all; each has its own checkout."""
    results: dict[str, FetchResult] = {}
    parcel = lab.parcel()
    with open_depot() as depot:

        async def serve(name: str) -> None:
            mine = lab.parcel(directory=str(tmp_path / name / "plugin"))
            (results[name],) = await depot.deliver(
                LocalTransport(Node(name)), [mine], FetchOptions(), lab.events.append
            )

        async with anyio.create_task_group() as group:
            for number in range(6):
                group.start_soon(serve, f"n{number}")
    assert {result.status for result in results.values()} == {FetchStatus.CLONED}
    assert {rev(tmp_path / name / "plugin") for name in results} == {parcel.target}
    assert {event.node for event in lab.of(FetchFinished)} == set(results)


async def test_abandoned_work_is_swept_and_work_in_progress_is_not(lab: Lab) -> None:
    """What a killed delivery left goes with the next one; a live owner's stays."""
    machine = os.uname().nodename
    own = f"/proc/{os.getpid()}/stat"
    started = Path(own).read_text().rpartition(")")[2].split()[19]
    live = lab.dest / f".asyncstack_delivery.{machine}@{os.getpid()}.{started}"
    reused = lab.dest / f".asyncstack_delivery.{machine}@{os.getpid()}.1"
    dead = lab.dest / f".asyncstack_delivery.{machine}@999999999.1"
    for folder in (live, reused, dead):
        folder.mkdir(parents=True)
    await lab.one()
    assert tree_of(lab.dest) == sorted([live.name, "plugin"])


@pytest.mark.parametrize("ref", [*REFS, "SHA"])
async def test_depth(ref: str, lab: Lab, origin: Path) -> None:
    """GIT_DEPTH: that many commits of the ref, nothing of the others, made once for all nodes."""
    ref = rev(origin, "master~1") if ref == "SHA" else ref
    lab.mirror(origin, ref)
    parcel = lab.parcel(ref)
    (result,) = await lab.deliver(parcel, depth=1)
    checkout = lab.dest / "plugin"
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    assert rev(checkout) == parcel.target == rev(origin, ref)
    assert git("-C", checkout, "rev-list", "--all", "--count").strip() == "1"
    assert git("-C", checkout, "status", "--porcelain", "--branch") == "## HEAD (no branch)\n"
    assert git("-C", checkout, "fsck", "--strict", "--no-dangling") == ""
    commit = commit_files(origin, {"new": "1"})
    lab.mirror(origin)
    updated = await lab.one(depth=1, update=True)
    assert (updated.status, updated.commit, updated.message) == (FetchStatus.UPDATED, commit, "")
