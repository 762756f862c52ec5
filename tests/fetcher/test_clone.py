"""A fresh clone: every kind of ref ends like DevStack's checkout, and costs three requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncstack.events import FetchFinished, FetchProgress, FetchStarted, Warned
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus
from tests.helpers.fetching import Bench
from tests.helpers.gitserver import GitDaemon, SmartHttp, commit_files, git, make_repository, rev

pytestmark = pytest.mark.anyio

REFS = [
    "master",
    "stable/2025.1",
    "1.0.0",
    "refs/changes/12/3412/5",
    "sha",
    "orphan",
    "refs/tags/1.0.0",
]


def resolve_ref(served: Path, ref: str) -> tuple[str, str]:
    repository = served / "plugin.git"
    if ref == "orphan":  # a commit that no ref reaches
        commit = commit_files(
            repository, {"orphan": "1"}, branch="lost", parent="refs/heads/master^0"
        )
        git("-C", repository, "branch", "-D", "lost")
        return commit, commit
    if ref == "sha":
        return rev(repository, "master~1"), rev(repository, "master~1")
    return ref, rev(repository, ref)


@pytest.mark.parametrize("ref", REFS)
@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
@pytest.mark.usefixtures("way")
async def test_every_kind_of_ref(
    ref: str, cached: bool, served: Path, server: SmartHttp, bench: Bench
) -> None:
    """Detached at the commit, branches as origin's, tags, clean, connected: one connection, three requests."""
    asked, commit = resolve_ref(served, ref)
    options = {} if cached else {"cache_directory": ""}
    result = await bench.one(server.url("plugin.git"), asked, **options)
    assert (result.status, result.commit, result.message) == (FetchStatus.CLONED, commit, "")
    checkout = bench.dest / "plugin"
    assert git("-C", checkout, "rev-parse", "--abbrev-ref", "HEAD") == "HEAD\n"
    assert rev(checkout) == commit
    assert rev(checkout, "origin/master") == rev(served / "plugin.git", "master")
    assert rev(checkout, "origin/HEAD") == rev(served / "plugin.git", "master")
    assert git("-C", checkout, "tag") == "1.0.0\n"
    assert git("-C", checkout, "status", "--porcelain") == ""
    assert git("-C", checkout, "remote", "get-url", "origin").strip() == server.url("plugin.git")
    git("-C", checkout, "fsck", "--strict", "--connectivity-only")
    assert len(server.requests) <= 3, server.requests
    assert server.connections == 1


async def test_only_the_checkout_is_left(server: SmartHttp, bench: Bench) -> None:
    """Nothing temporary survives, in DEST or in the cache."""
    await bench.one(server.url("plugin.git"))
    assert [path.name for path in bench.dest.iterdir()] == ["plugin"]
    assert not list(bench.cache.glob(".asyncstack-*"))


async def test_git_protocol(served: Path, bench: Bench) -> None:
    """`git://` works like http."""
    with GitDaemon(served) as daemon:
        result = await bench.one(daemon.url("plugin.git"), "refs/changes/12/3412/5")
    assert result.commit == rev(served / "plugin.git", "refs/changes/12/3412/5")


async def test_local_path(served: Path, bench: Bench) -> None:
    """A path is a URL, too."""
    result = await bench.one(str(served / "plugin.git"))
    assert result.status is FetchStatus.CLONED


@pytest.mark.usefixtures("way")
async def test_events(server: SmartHttp, bench: Bench) -> None:
    """A start, an end with figures, and nothing about a plugin that has its folder."""
    result = await bench.one(server.url("plugin.git"))
    (started,) = bench.of(FetchStarted)
    (finished,) = bench.of(FetchFinished)
    assert (started.plugin, finished.commit) == ("plugin", result.commit)
    assert finished.objects > 0
    assert {"connect", "negotiate", "receive", "resolve", "checkout"} <= set(finished.stages)
    assert not bench.of(Warned)


async def test_missing_ref_names_what_looks_like_it(server: SmartHttp, bench: Bench) -> None:
    """A ref that doesn't exist is an error with a way out, and isn't retried."""
    result = await bench.one(server.url("plugin.git"), "stable/2025.2")
    assert result.status is FetchStatus.FAILED
    assert result.failure is FailureClass.REF_NOT_FOUND
    assert "did you mean 'stable/2025.1'?" in result.message
    assert result.attempts == 1
    assert not (bench.dest / "plugin").exists()


async def test_one_failure_stops_no_other(served: Path, server: SmartHttp, bench: Bench) -> None:
    """All failures are reported together, in request order."""
    url = server.url("plugin.git")
    results = await bench.fetch(
        bench.request(url, name="good"),
        bench.request(server.url("missing.git"), name="missing"),
        bench.request(url, ref="nope", name="wrong-ref"),
        bench.request("ext::sh -c id", name="evil"),
    )
    assert [result.status for result in results] == [
        FetchStatus.CLONED,
        FetchStatus.FAILED,
        FetchStatus.FAILED,
        FetchStatus.FAILED,
    ]
    assert results[1].failure is FailureClass.NOT_FOUND
    assert "not found" in results[1].message
    assert "not allowed" in results[3].message


async def test_plugin_without_its_folder_is_warned_about(
    served: Path, server: SmartHttp, bench: Bench
) -> None:
    """No devstack/ folder: a plugin with nothing to run."""
    make_repository(served / "empty.git")
    commit_files(served / "empty.git", {"x": "y"}, branch="bare", parent=None)
    result = await bench.one(server.url("empty.git"), "bare")
    assert result.status is FetchStatus.CLONED
    assert [warning.code for warning in result.warnings] == ["no-devstack-folder"]
    assert [event.code for event in bench.of(Warned)] == ["no-devstack-folder"]


@pytest.mark.parametrize(
    ("depth", "spec"), [(0, ""), (1, ""), (0, "blob:none")], ids=["whole", "shallow", "partial"]
)
async def test_writing_the_files_is_a_stage(
    depth: int, spec: str, served: Path, server: SmartHttp, bench: Bench
) -> None:
    """Who watches a big checkout or update isn't shown what came before as if it were stuck there."""
    for _ in range(2):
        bench.events.clear()
        await bench.one(server.url("plugin.git"), update=True, depth=depth, filter=spec)
        last = bench.of(FetchProgress)[-1]
        assert (last.stage, last.fraction, last.bytes_per_s) == ("checkout", None, 0.0)
        commit_files(served / "plugin.git", {"new": "1"})
