"""A node that gets things by itself, or by --force: the rules are those of the controller's own."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from asyncstack.checkouts.values import FetchRequest, FetchResult
from asyncstack.events import FetchFinished, FetchRetried, Warned
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus
from tests.helpers.delivering import Lab, tree_of
from tests.helpers.gitserver import (
    GitDaemon,
    Proxy,
    SmartHttp,
    commit_files,
    git,
    make_repository,
    rev,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(origin: Path) -> Iterator[SmartHttp]:
    with SmartHttp(origin.parent) as running:
        git("-C", origin, "config", "uploadpack.allowFilter", "true")
        yield running


async def by_itself(
    lab: Lab, server: SmartHttp, ref: str = "master", **options: object
) -> FetchResult:
    request = FetchRequest("plugin", server.url("plugin.git"), ref, str(lab.dest / "plugin"))
    (result,) = await lab.clone(request, **options)
    return result


async def delivered(
    lab: Lab, server: SmartHttp, ref: str = "master", **options: object
) -> FetchResult:
    lab.mirror(server.root / "plugin.git", ref)
    return await lab.one(ref, **options)


WAYS = [by_itself, delivered]


def codes(result: FetchResult) -> list[str]:
    return [warning.code for warning in result.warnings]


@pytest.mark.parametrize("ref", ["master", "stable/2025.1", "1.0.0", "refs/changes/12/3412/5"])
async def test_update(ref: str, lab: Lab, origin: Path, server: SmartHttp) -> None:
    """Kept without update; with it the branch, the moved tag or the change is where it is now."""
    old = (await by_itself(lab, server, ref)).commit
    branch = ref if ref == "stable/2025.1" else "master"
    new = commit_files(origin, {"new": "1"}, branch=branch)
    if ref == "1.0.0":
        git("-C", origin, "tag", "-f", "-a", "-m", "again", "1.0.0", new)
    elif ref.startswith("refs/"):
        git("-C", origin, "update-ref", ref, new)
    assert (await by_itself(lab, server, ref)).commit == old
    result = await by_itself(lab, server, ref, update=True)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, new, "")
    checkout = lab.dest / "plugin"
    assert rev(checkout) == new
    assert rev(checkout, f"origin/{branch}") == new
    assert git("-C", checkout, "fsck", "--no-dangling") == ""
    assert git("-C", checkout, "status", "--porcelain") == ""
    assert tree_of(lab.dest) == ["plugin"]


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")], ids="→".join)
async def test_a_branch_and_a_folder_of_branches_change_places(
    names: tuple[str, str], lab: Lab, origin: Path, server: SmartHttp
) -> None:
    """git keeps branches that are gone, but these stand in the way."""
    before, after = names
    git("-C", origin, "branch", before, "master")
    await by_itself(lab, server)
    git("-C", origin, "branch", "-D", before)
    git("-C", origin, "branch", after, "master")
    commit = commit_files(origin, {"new": "1"})
    result = await by_itself(lab, server, update=True)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, commit, "")
    assert rev(lab.dest / "plugin", f"origin/{after}") == rev(origin, after)


async def test_an_update_of_what_is_there_already(lab: Lab, server: SmartHttp) -> None:
    """The server is asked for its refs and for nothing else."""
    await by_itself(lab, server)
    asked = len(server.requests)
    result = await by_itself(lab, server, update=True)
    assert (result.status, result.message) == (FetchStatus.PRESENT, "")
    assert len(server.requests) - asked == 2


async def test_an_update_of_an_abbreviated_commit(
    lab: Lab, origin: Path, server: SmartHttp
) -> None:
    """What it names is there, whatever branches do."""
    commit = rev(origin, "master~1")
    await by_itself(lab, server, commit[:10])
    commit_files(origin, {"new": "1"})
    result = await by_itself(lab, server, commit[:10], update=True)
    assert (result.status, result.commit) == (FetchStatus.PRESENT, commit)


def identify(checkout: Path) -> None:
    git("-C", checkout, "config", "user.email", "me@example.org")
    git("-C", checkout, "config", "user.name", "me")


def changed(checkout: Path) -> None:
    (checkout / "README").write_text("mine")


def staged(checkout: Path) -> None:
    changed(checkout)
    git("-C", checkout, "add", "README")


def committed(checkout: Path) -> None:
    changed(checkout)
    identify(checkout)
    git("-C", checkout, "commit", "-q", "-a", "-m", "my work")


def merging(checkout: Path) -> None:
    committed(checkout)
    (checkout / ".git" / "MERGE_HEAD").write_text(rev(checkout, "HEAD~1") + "\n")


def untracked_in_the_way(checkout: Path) -> None:
    (checkout / "new").write_text("mine")


@pytest.mark.parametrize("get", WAYS)
@pytest.mark.parametrize("make", [changed, staged, committed, merging, untracked_in_the_way])
async def test_force_saves_what_it_goes_over(
    make: object, get: object, lab: Lab, origin: Path, server: SmartHttp
) -> None:
    """Refused without it; with it everything is in a commit that the warning names."""
    assert callable(make)
    assert callable(get)
    await get(lab, server)
    checkout = lab.dest / "plugin"
    make(checkout)
    mine = {path.name: path.read_text() for path in checkout.iterdir() if path.is_file()}
    head = rev(checkout)
    commit = commit_files(origin, {"README": "theirs", "new": "theirs"})
    refused = await get(lab, server, update=True)
    assert (refused.status, refused.failure) == (FetchStatus.FAILED, FailureClass.LOCAL_CHANGES)
    assert (rev(checkout), mine["README"]) == (head, (checkout / "README").read_text())
    result = await get(lab, server, update=True, force=True)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, commit, "")
    (warning,) = (event for event in lab.of(Warned) if event.code == "local-work-saved")
    saved = warning.message.rpartition(" ")[2]
    for name, text in mine.items():
        assert git("-C", checkout, "show", f"{saved}:{name}") == text
    assert rev(checkout, f"{saved}~1") == head
    assert (checkout / "new").read_text() == "theirs"
    assert git("-C", checkout, "status", "--porcelain") == ""
    assert not (checkout / ".git" / "MERGE_HEAD").exists()


async def test_depth(lab: Lab, origin: Path, server: SmartHttp) -> None:
    """One ref, one commit deep, and an update leaves it like that; pbr is warned of."""
    commit_files(origin, {"setup.cfg": "pbr", "devstack/plugin.sh": ""})
    result = await by_itself(lab, server, depth=1)
    checkout = lab.dest / "plugin"
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    assert codes(result) == ["shallow-pbr"]
    assert git("-C", checkout, "rev-list", "--all", "--count").strip() == "1"
    assert git("-C", checkout, "status", "--porcelain") == ""
    commit = commit_files(origin, {"new": "1"})
    result = await by_itself(lab, server, update=True)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, commit, "")
    assert (checkout / ".git" / "shallow").exists()
    assert git("-C", checkout, "rev-list", "HEAD", "--count").strip() == "1"


@pytest.mark.parametrize("way", WAYS)
async def test_depth_of_a_repository_with_sha256_names(
    way: Callable[..., Awaitable[FetchResult]], lab: Lab, origin: Path, server: SmartHttp
) -> None:
    shutil.rmtree(origin)
    shutil.rmtree(lab.mirrors)  # of what was there
    make_repository(origin, object_format="sha256")
    for number, status in enumerate((FetchStatus.CLONED, FetchStatus.UPDATED)):
        commit = commit_files(origin, {"new": str(number)})
        result = await way(lab, server, depth=1, update=True)
        assert (result.status, result.commit, result.message) == (status, commit, "")
        assert git("-C", lab.dest / "plugin", "fsck", "--strict", "--no-dangling") == ""


async def test_filter(lab: Lab, origin: Path, server: SmartHttp) -> None:
    """Blobs that nobody has checked out stay away, after an update as well."""
    commit_files(origin, {"README": "second"})
    result = await by_itself(lab, server, filter="blob:none")
    checkout = lab.dest / "plugin"
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    commit = commit_files(origin, {"README": "third"})
    result = await by_itself(lab, server, filter="blob:none", update=True)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, commit, "")
    assert (checkout / "README").read_text() == "third"
    listed = git("-C", checkout, "rev-list", "--objects", "--all", "--missing=print")
    assert listed.count("?") > 0


@pytest.mark.parametrize("get", WAYS)
async def test_what_stays_away_is_said(
    get: object, lab: Lab, origin: Path, server: SmartHttp
) -> None:
    """Submodules and LFS files, once, when the checkout is new."""
    assert callable(get)
    modules = '[submodule "x"]\n\tpath = x\n\turl = ./x.git\n'
    attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    commit_files(origin, {".gitmodules": modules, ".gitattributes": attributes, "x.bin": "pointer"})
    result = await get(lab, server)
    assert codes(result) == ["submodules", "lfs-pointers"]
    assert (lab.dest / "plugin" / "x.bin").read_text() == "pointer"
    assert codes(await get(lab, server)) == []


async def test_offline(lab: Lab, origin: Path, server: SmartHttp) -> None:
    """Nothing is cloned or asked; a pinned commit that is there is gone to."""
    result = await by_itself(lab, server, offline=True)
    assert (result.status, result.failure) == (FetchStatus.FAILED, FailureClass.OFFLINE)
    assert server.requests == []
    await by_itself(lab, server)
    old = rev(origin, "master~1")
    asked = len(server.requests)
    assert (await by_itself(lab, server, offline=True, update=True)).status is FetchStatus.PRESENT
    request = FetchRequest(
        "plugin", server.url("plugin.git"), "master", str(lab.dest / "plugin"), old
    )
    (result,) = await lab.clone(request, offline=True, update=True)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, old, "")
    assert len(server.requests) == asked


async def test_git_timeout(lab: Lab, server: SmartHttp) -> None:
    """A git that takes longer than GIT_TIMEOUT is ended, tried again, and told of."""
    path = lab.program("git", 'case "$*" in *" clone "*) exec sleep 60 ;; esac\nexec "$real" "$@"')
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", path)
        result = await by_itself(lab, server, timeout_s=0.4, tries=1)
    assert (result.status, result.failure) == (FetchStatus.FAILED, FailureClass.TIMEOUT)
    assert "GIT_TIMEOUT" in result.message
    assert lab.of(FetchFinished)[-1].status is FetchStatus.FAILED
    assert tree_of(lab.dest) == []


@pytest.mark.parametrize("protocol", ["git", "http"])
async def test_stall(protocol: str, lab: Lab, origin: Path, server: SmartHttp) -> None:
    """A connection that falls silent is given up, whatever the protocol, and made again."""

    def fate(number: int) -> tuple[str, int] | None:
        return ("freeze", 100) if number == 0 else None

    with GitDaemon(origin.parent) as daemon:
        port = daemon.port if protocol == "git" else server.port
        with Proxy(port, fate=fate) as proxy:
            url = f"{protocol}://127.0.0.1:{proxy.port}/plugin.git"
            request = FetchRequest("plugin", url, "master", str(lab.dest / "plugin"))
            (result,) = await lab.clone(request, stall_s=1.0, tries=2)
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    assert [event.reason for event in lab.of(FetchRetried)] == ["stall"]


async def test_a_slow_server_is_no_stall(lab: Lab, origin: Path) -> None:
    """Bytes that come slowly are bytes."""
    big = make_repository(origin.parent / "big.git", payload=100_000)
    with GitDaemon(origin.parent) as daemon, Proxy(daemon.port, bandwidth=100_000) as proxy:
        url = f"git://127.0.0.1:{proxy.port}/big.git"
        request = FetchRequest("plugin", url, "master", str(lab.dest / "plugin"))
        (result,) = await lab.clone(request, stall_s=1.0, tries=1)
    assert (result.commit, result.message) == (rev(big), "")


async def test_mirrors_come_first(lab: Lab, origin: Path, server: SmartHttp) -> None:
    """--mirror holds on nodes, too: origin is the URL, and what a mirror lacks comes from there."""
    second = make_repository(origin.parent / "second.git")
    with SmartHttp(lab.mirror(origin).parent) as near:
        requests = [
            FetchRequest(name, server.url(f"{name}.git"), "master", str(lab.dest / name))
            for name in ("plugin", "second")
        ]
        results = await lab.clone(*requests, mirrors=((server.url(""), near.url("")),))
    assert [(r.status, r.message) for r in results] == [(FetchStatus.CLONED, "")] * 2
    assert [(e.plugin, near.url("second.git") in e.message) for e in lab.of(FetchRetried)] == [
        ("second", True)
    ]
    assert not any("plugin.git" in path for path in server.requests)
    for request, repository in zip(requests, (origin, second), strict=True):
        checkout = Path(request.directory)
        assert git("-C", checkout, "remote", "get-url", "origin") == f"{request.url}\n"
        assert rev(checkout) == rev(repository, "master")
