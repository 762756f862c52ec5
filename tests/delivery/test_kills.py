"""The node's side dies at every point: a checkout is complete or absent, and the next run mends it."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from asyncstack.checkouts.values import FetchOptions
from asyncstack.delivery import open_depot
from asyncstack.events import Event, FetchFinished, FetchProgress
from asyncstack.model import FetchStatus
from tests.helpers.delivering import Lab, tree_of
from tests.helpers.gitserver import commit_files, git, make_repository, rev

pytestmark = pytest.mark.anyio

#: Kills the whole process group that it runs in, as a node that goes down would.
_BEFORE = 'case "$*" in {words}) kill -9 0 ;; esac\nexec "$real" "$@"'
_AFTER = '"$real" "$@"; status=$?; case "$*" in {words}) kill -9 0 ;; esac; exit "$status"'

NEW = [("tar", "*"), ("mkdir", "*.asyncstack_delivery*"), ("git", "*read-tree*"), ("mv", "*")]


@pytest.mark.parametrize("script", [_BEFORE, _AFTER], ids=["before", "after"])
@pytest.mark.parametrize(("program", "words"), NEW)
async def test_a_new_one_is_complete_or_absent(
    program: str, words: str, script: str, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("PATH", lab.program(program, script.format(words=words)))
        result = await lab.one()
    assert result.status is FetchStatus.FAILED
    checkout = lab.dest / "plugin"
    if checkout.exists():
        assert (program, script) == ("mv", _AFTER)
        assert rev(checkout) == lab.parcel().target
        assert git("-C", checkout, "status", "--porcelain") == ""
    again = await lab.one()
    assert again.status.good
    assert rev(checkout) == lab.parcel().target
    assert tree_of(lab.dest) == ["plugin"]


UPDATE = ["*status*", "*index-pack*", "*update-ref*", "*checkout*"]


@pytest.mark.parametrize("script", [_BEFORE, _AFTER], ids=["before", "after"])
@pytest.mark.parametrize("words", UPDATE)
async def test_an_update_is_finished_by_the_next(
    words: str, script: str, lab: Lab, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.one()
    commit = commit_files(origin, {"a/new": "1", "README": "2"})
    lab.mirror(origin)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", lab.program("git", script.format(words=words)))
        assert (await lab.one(update=True)).status is FetchStatus.FAILED
    checkout = lab.dest / "plugin"
    assert git("-C", checkout, "fsck", "--no-dangling") == ""
    again = await lab.one(update=True)
    assert (again.status.good, again.commit, again.message) == (True, commit, "")
    assert git("-C", checkout, "status", "--porcelain") == ""
    assert rev(checkout) == rev(checkout, "origin/master") == commit
    assert tree_of(lab.dest) == ["plugin"]


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.9, 1.0])
async def test_cancelled_while_it_is_sent(fraction: float, lab: Lab) -> None:
    """Every parcel ends as cancelled; what is in its place is complete, and the next run tidies up."""
    lab.mirror(make_repository(lab.root / "served" / "big.git", payload=700_000))
    parcels = [lab.parcel(name="big"), lab.parcel()]
    events: list[Event] = []
    with open_depot() as depot, anyio.CancelScope() as scope:

        def watch(event: Event) -> None:
            events.append(event)
            if isinstance(event, FetchProgress) and (event.fraction or 0) >= fraction:
                scope.cancel()

        await depot.deliver(lab.transport, parcels, FetchOptions(), watch)
    assert scope.cancelled_caught
    ends = [event.status for event in events if isinstance(event, FetchFinished)]
    assert ends == [FetchStatus.CANCELLED, FetchStatus.CANCELLED]
    for name in {"big", "plugin"} & set(tree_of(lab.dest)):
        assert git("-C", lab.dest / name, "status", "--porcelain") == ""
    results = await lab.deliver(*parcels)
    assert all(result.status.good for result in results)
    assert tree_of(lab.dest) == ["big", "plugin"]


async def test_a_node_without_git(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the shell says about it is what the user reads."""
    parcel = lab.parcel()
    (lab.root / "bin").mkdir()
    for program in ("sh", "tar", "mkdir", "mv", "rm", "tr", "tail", "dd", "uname", "mktemp"):
        lab.program(program, 'exec "$real" "$@"')
    lab.program("mkfifo", 'exec "$real" "$@"')
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(lab.root / "bin"))
        (result,) = await lab.deliver(parcel)
    assert result.status is FetchStatus.FAILED
    assert "git: not found" in result.message


async def test_two_controllers_deliver_the_same(lab: Lab, tmp_path: Path) -> None:
    """One of them is first; to the other its checkout is as good as its own."""
    results = []

    async def serve() -> None:
        results.extend(await lab.deliver(lab.parcel()))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(serve)
    assert {result.status for result in results} <= {FetchStatus.CLONED, FetchStatus.PRESENT}
    assert FetchStatus.CLONED in {result.status for result in results}
    assert tree_of(lab.dest) == ["plugin"]
