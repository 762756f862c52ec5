"""What is there already: left alone, looked at without git, and never silently broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncstack.events import Warned
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus
from tests.helpers.fetching import Bench
from tests.helpers.gitserver import SmartHttp, commit_files, git, rev

pytestmark = pytest.mark.anyio


async def test_left_exactly_as_it_is(
    served: Path, server: SmartHttp, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No network, and not even a git process, whatever has changed upstream or here."""
    await bench.one(server.url("plugin.git"))
    commit_files(served / "plugin.git", {"new": "1"})
    (bench.dest / "plugin" / "README").write_text("mine")
    commit = rev(bench.dest / "plugin")
    server.requests.clear()
    monkeypatch.setenv("PATH", "/nonexistent")
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.commit) == (FetchStatus.PRESENT, commit)
    assert result.warnings == ()
    assert server.requests == []


async def test_devstacks_own_checkout(server: SmartHttp, bench: Bench) -> None:
    """Made by git_clone's steps, it is as good as ours."""
    checkout = bench.dest / "plugin"
    git("clone", "-q", "--no-checkout", server.url("plugin.git"), checkout)
    git("-C", checkout, "fetch", "-q", "origin", "master")
    git("-C", checkout, "checkout", "-q", "FETCH_HEAD")
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.warnings) == (FetchStatus.PRESENT, ())


async def test_wrong_branch_is_said(server: SmartHttp, bench: Bench) -> None:
    """Another ref than the one asked for: a warning with the way out."""
    await bench.one(server.url("plugin.git"), "stable/2025.1")
    result = await bench.one(server.url("plugin.git"), "master")
    assert result.status is FetchStatus.PRESENT
    (warned,) = bench.of(Warned)
    assert (warned.code, warned.plugin) == ("ref-mismatch", "plugin")
    assert "--update" in warned.message


async def test_linked_work_tree(
    served: Path, server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """A layout that only git can read is read by git."""
    git("clone", "-q", server.url("plugin.git"), tmp_path / "main")
    git("-C", tmp_path / "main", "worktree", "add", "-q", "--detach", bench.dest / "plugin")
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.commit) == (
        FetchStatus.PRESENT,
        rev(served / "plugin.git", "master"),
    )


def make_empty(path: Path, url: str) -> None:
    path.mkdir(parents=True)


def make_no_checkout(path: Path, url: str) -> None:
    path.mkdir(parents=True)
    (path / "file").write_text("")


def make_no_commit(path: Path, url: str) -> None:
    git("init", "-q", path)


def make_no_files(path: Path, url: str) -> None:
    git("clone", "-q", "--no-checkout", url, path)


def make_file(path: Path, url: str) -> None:
    path.parent.mkdir()
    path.write_text("")


def make_dangling_link(path: Path, url: str) -> None:
    path.parent.mkdir()
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    "make",
    [make_empty, make_no_checkout, make_no_commit, make_no_files, make_file, make_dangling_link],
)
@pytest.mark.parametrize("update", [False, True])
async def test_no_checkout_is_an_error(
    make: object, update: bool, server: SmartHttp, bench: Bench
) -> None:
    """DevStack would take it, and silently skip the plugin; nothing is touched."""
    assert callable(make)
    make(bench.dest / "plugin", server.url("plugin.git"))
    server.requests.clear()
    result = await bench.one(server.url("plugin.git"), update=update)
    assert result.status is FetchStatus.FAILED
    assert str(bench.dest / "plugin") in result.message
    assert result.hint
    assert server.requests == []


def make_orphan(path: Path, url: str) -> None:
    git("clone", "-q", url, path)
    git("-C", path, "checkout", "-q", "--orphan", "new")


def make_orphan_of_detached(path: Path, url: str) -> None:
    git("clone", "-q", "--no-checkout", url, path)
    git("-C", path, "checkout", "-q", "--detach")
    git("-C", path, "branch", "-D", "-q", "master")
    git("-C", path, "checkout", "-q", "--orphan", "new")
    git("-C", path, "rm", "-rqf", ".")


def make_linked_orphan(path: Path, url: str) -> None:
    main = path.parent.parent / "main"
    git("clone", "-q", url, main)
    git("-C", main, "worktree", "add", "-q", "--detach", path)
    git("-C", path, "checkout", "-q", "--orphan", "new")


def make_begun(path: Path, url: str) -> None:
    git("init", "-q", path)
    (path / "work").write_text("mine")


@pytest.mark.parametrize(
    "make", [make_orphan, make_orphan_of_detached, make_linked_orphan, make_begun]
)
async def test_a_head_without_a_commit_is_no_cut_clone(
    make: object, server: SmartHttp, bench: Bench
) -> None:
    """Other branches would be lost with it: nobody is told to remove it."""
    assert callable(make)
    make(bench.dest / "plugin", server.url("plugin.git"))
    result = await bench.one(server.url("plugin.git"))
    assert result.status is FetchStatus.FAILED
    assert "HEAD has no commit" in result.message
    assert "move it away" in result.hint
    assert "remove" not in result.hint


async def test_error_on_clone(server: SmartHttp, bench: Bench) -> None:
    """ERROR_ON_CLONE: a missing checkout is an error, one that is there isn't."""
    result = await bench.one(server.url("plugin.git"), error_on_clone=True)
    assert result.failure is FailureClass.REFUSED_BY_US
    assert "ERROR_ON_CLONE" in result.message
    assert server.requests == []
    await bench.one(server.url("plugin.git"))
    result = await bench.one(server.url("plugin.git"), error_on_clone=True)
    assert result.status is FetchStatus.PRESENT


async def test_symlinked_checkout(server: SmartHttp, bench: Bench) -> None:
    """A developer's link to a checkout elsewhere is a checkout."""
    await bench.one(server.url("plugin.git"))
    (bench.dest / "plugin").rename(bench.dest / "elsewhere")
    (bench.dest / "plugin").symlink_to("elsewhere")
    assert (await bench.one(server.url("plugin.git"))).status is FetchStatus.PRESENT
