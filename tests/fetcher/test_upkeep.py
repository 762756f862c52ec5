"""The cache: shared, independent of its checkouts, looked after by `asyncstack cache`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest
from typer.testing import CliRunner, Result

from asyncstack.cli.cache import app
from asyncstack.errors import SettingsError
from asyncstack.events import Warned
from asyncstack.fetcher.cache import default_cache_directory
from asyncstack.fetcher.files import share_file
from asyncstack.fetcher.upkeep import prune
from asyncstack.fetcher.workspace import PREFIX, sweep, workspace
from asyncstack.model import FetchStatus
from tests.helpers.fetching import Bench
from tests.helpers.gitserver import SmartHttp, commit_files, git, make_repository, rev
from tests.helpers.privileges import ordinary_user

pytestmark = pytest.mark.anyio


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


async def invoke(run: CliRunner, *arguments: str) -> Result:
    """Run a command that starts an event loop of its own."""
    return await anyio.to_thread.run_sync(lambda: run.invoke(app, arguments))


def mirror_of(bench: Bench, name: str = "plugin") -> Path:
    (mirror,) = (path for path in bench.cache.glob(f"{name}-*") if "corrupt" not in path.name)
    return mirror


async def fetch_two(bench: Bench, served: Path, server: SmartHttp) -> None:
    make_repository(served / "other.git")
    await bench.fetch(
        bench.request(server.url("plugin.git")),
        bench.request(server.url("other.git"), name="other"),
    )


async def test_second_lab_costs_one_question(served: Path, server: SmartHttp, bench: Bench) -> None:
    """Another DEST, nothing new: an ls-remote, no fetch."""
    await bench.one(server.url("plugin.git"))
    server.requests.clear()
    lab = Bench(bench.dest.with_name("dest2"), bench.cache)
    result = await lab.one(server.url("plugin.git"))
    assert (result.status, result.commit) == (
        FetchStatus.CLONED,
        rev(served / "plugin.git", "master"),
    )
    assert len(server.requests) == 1


async def test_something_new_is_fetched_into_the_mirror(
    served: Path, server: SmartHttp, bench: Bench
) -> None:
    """Only what is new, and a deleted branch is gone."""
    await bench.one(server.url("plugin.git"))
    repository = served / "plugin.git"
    commit = commit_files(repository, {"new": "1"})
    git("-C", repository, "branch", "-D", "stable/2025.1")
    lab = Bench(bench.dest.with_name("dest2"), bench.cache)
    result = await lab.one(server.url("plugin.git"))
    assert result.commit == commit
    assert result.objects < 10
    branches = git("-C", lab.dest / "plugin", "branch", "-r", "--format=%(refname:short)").split()
    assert "origin/stable/2025.1" not in branches
    git("-C", lab.dest / "plugin", "fsck", "--strict")
    assert len(list((mirror_of(bench) / "objects" / "pack").glob("*.pack"))) == 2


async def test_many_packs_become_one(served: Path, server: SmartHttp, bench: Bench) -> None:
    """A mirror that was updated often is repacked, and loses nothing."""
    await bench.one(server.url("plugin.git"))
    packs = mirror_of(bench) / "objects" / "pack"
    for number in range(21):
        commit = commit_files(served / "plugin.git", {"new": str(number)})
        lab = Bench(bench.dest.with_name(f"dest{number}"), bench.cache)
        assert (await lab.one(server.url("plugin.git"))).commit == commit
    assert len(list(packs.glob("*.pack"))) <= 3
    assert len(list(packs.glob("*.idx"))) == len(list(packs.glob("*.pack")))
    git("--git-dir", mirror_of(bench), "fsck", "--strict")
    git("-C", lab.dest / "plugin", "fsck", "--strict")


@pytest.mark.parametrize("pin", ["ref", "lock file"])
async def test_pinned_commit_needs_no_network(
    pin: str, served: Path, server: SmartHttp, bench: Bench
) -> None:
    """A SHA that the cache holds: not one request."""
    commit = rev(served / "plugin.git", "master~1")
    await bench.one(server.url("plugin.git"))
    server.requests.clear()
    lab = Bench(bench.dest.with_name("dest2"), bench.cache)
    url = server.url("plugin.git")
    request = lab.request(url, commit) if pin == "ref" else lab.request(url, commit=commit)
    (result,) = await lab.fetch(request)
    assert (result.status, result.commit) == (FetchStatus.CLONED, commit)
    assert server.requests == []


async def test_time_without_the_network_is_time(
    served: Path, server: SmartHttp, bench: Bench
) -> None:
    """A checkout from the cache, and an update: they take as long as making them took."""
    url, commit = server.url("plugin.git"), rev(served / "plugin.git", "master~1")
    await bench.one(url)
    lab = Bench(bench.dest.with_name("dest2"), bench.cache)
    for pin in (commit, rev(served / "plugin.git", "master")):
        (result,) = await lab.fetch(lab.request(url, commit=pin), update=True)
        assert result.duration_s >= result.stages["checkout"] > 0, result


async def test_pinned_commit_that_cant_be_had(server: SmartHttp, bench: Bench) -> None:
    """A lock file's commit that the server lost is an error, not another commit."""
    request = bench.request(server.url("plugin.git"), commit="0" * 39 + "1")
    (result,) = await bench.fetch(request)
    assert result.status is FetchStatus.FAILED
    assert "0001" in result.message
    assert "lock file" in result.hint


async def test_offline(served: Path, server: SmartHttp, bench: Bench) -> None:
    """OFFLINE: not one request; what the cache holds can still be checked out."""
    url = server.url("plugin.git")
    for cache in (str(bench.cache), ""):
        result = await bench.one(url, offline=True, cache_directory=cache)
        assert result.status is FetchStatus.FAILED
        assert "OFFLINE" in result.message
    assert server.requests == []
    await bench.one(url)
    server.requests.clear()
    lab = Bench(bench.dest.with_name("dest2"), bench.cache)
    assert (await lab.one(url, "stable/2025.1", offline=True)).status is FetchStatus.CLONED
    assert (await bench.one(url, offline=True, update=True)).status is FetchStatus.PRESENT
    assert server.requests == []


async def test_offline_and_locked(served: Path, server: SmartHttp, bench: Bench) -> None:
    """The locked commit comes from the cache, or it is an error: never another one."""
    url, commit = server.url("plugin.git"), rev(served / "plugin.git", "master~1")
    await bench.one(url)
    server.requests.clear()
    request = bench.request(url, commit=commit)
    (result,) = await bench.fetch(request, offline=True, update=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)
    for cache in (str(bench.cache), ""):
        lost = bench.request(url, commit="1" * 40)
        (result,) = await bench.fetch(lost, offline=True, update=True, cache_directory=cache)
        assert (result.status, "OFFLINE" in result.message) == (FetchStatus.FAILED, True)
    assert server.requests == []
    assert rev(bench.dest / "plugin") == commit


async def test_checkouts_survive_their_cache(server: SmartHttp, bench: Bench) -> None:
    """No alternates: the cache may go at any time."""
    await bench.one(server.url("plugin.git"))
    (pack,) = (mirror_of(bench) / "objects" / "pack").glob("*.pack")
    (twin,) = (bench.dest / "plugin" / ".git" / "objects" / "pack").glob("*.pack")
    assert pack.samefile(twin)
    CliRunner().invoke(app, ["prune", "--days", "0", "--cache", str(bench.cache)])
    assert not pack.exists()
    git("-C", bench.dest / "plugin", "fsck", "--strict")


async def test_list(served: Path, server: SmartHttp, bench: Bench, run: CliRunner) -> None:
    """One line a mirror, and their sum; JSON for scripts."""
    await fetch_two(bench, served, server)
    printed = run.invoke(app, ["list", "--cache", str(bench.cache)])
    assert printed.exit_code == 0
    assert server.url("plugin.git") in printed.output
    assert "in 2 mirrors" in printed.output
    lines = run.invoke(app, ["list", "--json", "--cache", str(bench.cache)]).output.splitlines()
    assert {json.loads(line)["url"] for line in lines} == {
        server.url("plugin.git"),
        server.url("other.git"),
    }


async def test_prune_removes_what_nobody_uses(
    served: Path, server: SmartHttp, bench: Bench, run: CliRunner
) -> None:
    """Old mirrors go, recent ones stay."""
    await fetch_two(bench, served, server)
    facts = mirror_of(bench, "other") / "asyncstack.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "used": 1.0}))
    printed = run.invoke(app, ["prune", "--days", "7", "--cache", str(bench.cache)])
    assert "1 mirror removed" in printed.output
    assert mirror_of(bench).is_dir()
    assert not list(bench.cache.glob("other-*"))


@pytest.mark.parametrize("new", [False, True], ids=["", "something new"])
async def test_pruned_while_a_server_is_asked(
    new: bool, served: Path, server: SmartHttp, bench: Bench
) -> None:
    """Whoever was about to use a mirror that goes fetches it again."""
    await bench.one(server.url("plugin.git"))
    shutil.rmtree(bench.dest)
    if new:
        commit_files(served / "plugin.git", {"new": "1"})

    def answer(method: str, path: str) -> None:
        prune(bench.cache, days=0)
        server.answer = None

    server.answer = answer
    result = await bench.one(server.url("plugin.git"))
    commit = rev(served / "plugin.git")
    assert (result.status, result.commit, result.message) == (FetchStatus.CLONED, commit, "")
    assert git("-C", bench.dest / "plugin", "fsck", "--no-dangling") == ""


async def test_verify(served: Path, server: SmartHttp, bench: Bench, run: CliRunner) -> None:
    """Flipped bits are found, the mirror set aside, the next fetch heals it."""
    await fetch_two(bench, served, server)
    good = await invoke(run, "verify", "--cache", str(bench.cache))
    assert (good.exit_code, good.output.count("ok ")) == (0, 2)
    (pack,) = (mirror_of(bench) / "objects" / "pack").glob("*.pack")
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 0xFF
    pack.unlink()
    pack.write_bytes(content)
    bad = await invoke(run, "verify", "--cache", str(bench.cache), server.url("plugin.git"))
    assert (bad.exit_code, "corrupt" in bad.output) == (1, True)
    lab = Bench(bench.dest.with_name("dest2"), bench.cache)
    assert (await lab.one(server.url("plugin.git"))).status is FetchStatus.CLONED
    assert mirror_of(lab).is_dir()


async def test_verify_finds_no_fault_with_history(
    served: Path, server: SmartHttp, bench: Bench, run: CliRunner
) -> None:
    """What fsck calls an error in a commit of long ago is no damage."""
    repository = served / "plugin.git"
    tree = git("-C", repository, "rev-parse", "master^{tree}").strip()
    text = f"tree {tree}\nauthor a <a@b> 1 +051800\ncommitter a 1 +0000\n\nold\n"
    arguments = ("hash-object", "-t", "commit", "--literally", "-w", "--stdin")
    commit = git("-C", repository, *arguments, stdin=text.encode()).strip()
    git("-C", repository, "update-ref", "refs/heads/old", commit)
    await bench.one(server.url("plugin.git"))
    assert (await invoke(run, "verify", "--cache", str(bench.cache))).exit_code == 0


async def test_verify_without_git(
    server: SmartHttp, bench: Bench, run: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, and no mirror is blamed."""
    await bench.one(server.url("plugin.git"))
    monkeypatch.setenv("PATH", "/nonexistent")
    verified = await invoke(run, "verify", "--cache", str(bench.cache))
    assert isinstance(verified.exception, SettingsError)
    assert mirror_of(bench).is_dir()


async def test_verify_of_a_cache_named_from_here(
    server: SmartHttp, bench: Bench, run: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative --cache is as good as any other."""
    await bench.one(server.url("plugin.git"))
    monkeypatch.chdir(bench.cache.parent)
    verified = await invoke(run, "verify", "--cache", bench.cache.name)
    assert (verified.exit_code, "ok " in verified.output) == (0, True)
    assert mirror_of(bench).is_dir()


def test_a_cache_that_may_not_be_changed(server: SmartHttp, bench: Bench) -> None:
    """Somebody else's: it is listed; pruning says why it can't, verifying sets nothing aside."""
    anyio.run(bench.one, server.url("plugin.git"))
    (mirror_of(bench) / "HEAD").write_text("")
    program = [*ordinary_user(), sys.executable, "-m", "asyncstack", "cache"]

    def run(*arguments: str) -> tuple[int, str]:
        command = [*program, *arguments, "--cache", str(bench.cache)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        return ended.returncode, ended.stdout + ended.stderr

    bench.cache.chmod(0o500)
    try:
        assert run("list")[0] == 0
        code, said = run("prune", "--days", "0")
        assert (code, "Permission denied" in said, "--cache DIR" in said) == (2, True, True)
        code, said = run("verify")
        assert (code, "can't be set aside" in said) == (1, True)
    finally:
        bench.cache.chmod(0o700)


async def test_verify_of_what_isnt_there(server: SmartHttp, bench: Bench, run: CliRunner) -> None:
    """A URL without a mirror is said, not passed over; credentials don't count."""
    await bench.one(server.url("plugin.git"))
    named = await invoke(run, "verify", "--cache", str(bench.cache), server.url("nope.git"))
    assert isinstance(named.exception, SettingsError)
    assert server.url("nope.git") in str(named.exception)
    url = server.url("plugin.git", userinfo="user:pw")
    assert (await invoke(run, "verify", "--cache", str(bench.cache), url)).exit_code == 0


def test_nothing_there_yet(tmp_path: Path, run: CliRunner) -> None:
    """A cache that doesn't exist is an empty one."""
    for command in ("list", "prune", "verify"):
        assert run.invoke(app, [command, "--cache", str(tmp_path / "none")]).exit_code == 0


async def test_what_is_no_mirror_is_left_alone(
    server: SmartHttp, bench: Bench, run: CliRunner
) -> None:
    """--cache may name a directory where other things lie, too: a home, a folder of repositories."""
    await bench.one(server.url("plugin.git"))
    others = ["thesis", "plugin.git", "notes.corrupt-1", "build-0123456789abcdef"]
    for name in others:
        (bench.cache / name).mkdir()
        (bench.cache / name / "HEAD").write_text("mine")
    listed = run.invoke(app, ["list", "--cache", str(bench.cache)])
    assert "in 1 mirror below" in listed.output
    verified = await invoke(run, "verify", "--cache", str(bench.cache))
    assert (verified.exit_code, verified.output.count("\n")) == (0, 1)
    pruned = run.invoke(app, ["prune", "--days", "0", "--cache", str(bench.cache)])
    assert "1 mirror removed" in pruned.output
    assert [(bench.cache / name / "HEAD").read_text() for name in others] == ["mine"] * 4


async def test_a_mirror_set_aside_is_pruned(
    server: SmartHttp, bench: Bench, run: CliRunner
) -> None:
    """Whatever is left of it."""
    await bench.one(server.url("plugin.git"))
    (mirror_of(bench) / "asyncstack.json").unlink()
    mirror_of(bench).rename(f"{mirror_of(bench)}.corrupt-1")
    pruned = run.invoke(app, ["prune", "--cache", str(bench.cache)])
    assert "1 mirror removed" in pruned.output
    assert not list(bench.cache.glob("plugin*"))


def test_default_place() -> None:
    """XDG_CACHE_HOME if it is absolute, else ~/.cache."""
    assert default_cache_directory({"XDG_CACHE_HOME": "x"}).endswith("/.cache/asyncstack/git")
    assert default_cache_directory({"XDG_CACHE_HOME": "/x"}) == "/x/asyncstack/git"
    assert default_cache_directory({}).endswith("/.cache/asyncstack/git")


def test_abandoned_workspaces_are_swept(tmp_path: Path) -> None:
    """One whose owner lives stays; one whose owner was killed goes."""
    parent = tmp_path / "dest"
    abandoned = parent / f"{PREFIX}dead"
    (abandoned / "x").mkdir(parents=True)
    with workspace(parent) as mine:
        assert not abandoned.exists()
        assert sweep(parent) == []
        assert mine.is_dir()
    assert list(parent.iterdir()) == []


def test_a_workspace_that_is_swept_before_it_is_locked(tmp_path: Path) -> None:
    """Whoever looks between its making and its lock takes it for abandoned: then there is another."""
    made = 0
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            sweep(tmp_path)

    sweeper = threading.Thread(target=look)
    sweeper.start()
    try:
        for _ in range(300):
            with workspace(tmp_path) as mine:
                made += mine.is_dir()
    finally:
        done.set()
        sweeper.join()
    assert made == 300
    assert list(tmp_path.glob(f"{PREFIX}*")) == []


def test_sharing_across_file_systems(tmp_path: Path) -> None:
    """Where a hard link can't be, a copy is made."""
    elsewhere = Path("/dev/shm")
    if not os.access(elsewhere, os.W_OK) or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    source = tmp_path / "pack"
    source.write_bytes(b"x" * 100_000)
    with workspace(elsewhere) as other:
        share_file(source, other / "pack")
        assert (other / "pack").read_bytes() == source.read_bytes()
        assert not (other / "pack").samefile(source)


async def test_cache_on_another_file_system(served: Path, server: SmartHttp, bench: Bench) -> None:
    """Copies instead of links, else the same: kept, used again, independent."""
    elsewhere = Path("/dev/shm")
    if not os.access(elsewhere, os.W_OK) or elsewhere.stat().st_dev == served.stat().st_dev:
        pytest.skip("no second file system here")
    url = server.url("plugin.git")
    with workspace(elsewhere) as place:
        bench.cache = place / "cache"
        result = await bench.one(url)
        assert (result.status, bench.of(Warned)) == (FetchStatus.CLONED, [])
        commit = commit_files(served / "plugin.git", {"new": "1"})
        lab = Bench(bench.dest.with_name("dest2"), bench.cache)
        assert (await lab.one(url)).commit == commit
        server.requests.clear()
        offline = Bench(bench.dest.with_name("dest3"), bench.cache)
        assert (await offline.one(url, offline=True)).commit == commit
        assert server.requests == []
    git("-C", offline.dest / "plugin", "fsck", "--strict")


async def test_cache_that_takes_nothing(server: SmartHttp, bench: Bench) -> None:
    """What was fetched is used all the same, with one warning for the batch."""
    url = server.url("plugin.git")
    await bench.one(url)
    mirror = mirror_of(bench)
    shutil.rmtree(mirror)
    mirror.symlink_to("nowhere")  # a directory can't be renamed to it
    shutil.rmtree(bench.dest)
    results = await bench.fetch(bench.request(url, name="a"), bench.request(url, name="b"))
    assert {result.status for result in results} == {FetchStatus.CLONED}
    assert [event.code for event in bench.of(Warned)].count("cache-unusable") == 1
