"""What servers, networks and disks do: retried if another try can cure it, and said in any case."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path

import anyio
import pytest

from asyncstack.events import FetchFinished, FetchRetried, Warned
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus
from tests.helpers.fetching import Bench
from tests.helpers.gitserver import (
    GitDaemon,
    Proxy,
    Reply,
    SmartHttp,
    commit_files,
    git,
    make_repository,
    needs,
    rev,
)

pytestmark = pytest.mark.anyio

#: The number of the request for a pack, in either way of a clone.
_PACK_REQUEST = {"directly": 2, "by git": 3}


def first(times: int, reply: Reply) -> object:
    """Answer so many requests like this, then as git does."""
    replies = [reply] * times

    def answer(method: str, path: str) -> Reply | None:
        return replies.pop() if replies else None

    return answer


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(429, {"Retry-After": "0"}), "throttled"),
        (Reply(503), "throttled"),
        (Reply(500), "server"),
        (Reply(502), "server"),
    ],
)
@pytest.mark.usefixtures("way")
async def test_passing_trouble_is_retried(
    reply: Reply, reason: str, server: SmartHttp, bench: Bench
) -> None:
    """The second try works; the journal says why there was one."""
    server.answer = first(1, reply)  # type: ignore[assignment]
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 2)
    (retried,) = bench.of(FetchRetried)
    assert (retried.reason, retried.attempt) == (reason, 1)
    assert str(reply.status) in retried.message


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (404, FailureClass.NOT_FOUND),
        (401, FailureClass.AUTHENTICATION),
        (403, FailureClass.AUTHENTICATION),
    ],
)
@pytest.mark.usefixtures("way")
async def test_what_a_retry_cant_cure(
    status: int, failure: FailureClass, server: SmartHttp, bench: Bench
) -> None:
    """One try, git's last words, a hint; no prompt."""
    server.answer = first(99, Reply(status, {"WWW-Authenticate": "Basic"}))  # type: ignore[assignment]
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.failure) == (FetchStatus.FAILED, failure)
    assert result.attempts == 1
    assert not bench.of(FetchRetried)
    (finished,) = bench.of(FetchFinished)
    assert (finished.message, finished.hint) == (result.message, result.hint)
    assert result.message
    assert result.hint


@pytest.mark.usefixtures("way")
async def test_an_empty_repository(served: Path, server: SmartHttp, bench: Bench) -> None:
    """No ref of it would be right: it is the URL that is to be looked at."""
    git("init", "-q", "--bare", served / "empty.git")
    result = await bench.one(server.url("empty.git"))
    assert (result.failure, result.message) == (FailureClass.NOT_FOUND, "the repository is empty")
    assert "URL" in result.hint


async def test_tries_end(server: SmartHttp, bench: Bench) -> None:
    """A server that is down for good costs `tries` tries, with growing waits; there is a way out."""
    server.answer = first(99, Reply(500))  # type: ignore[assignment]
    result = await bench.one(server.url("plugin.git"), tries=3)
    assert (result.status, result.attempts) == (FetchStatus.FAILED, 3)
    assert "--mirror" in result.hint
    delays = [event.delay_s for event in bench.of(FetchRetried)]
    assert len(delays) == 2


@pytest.mark.usefixtures("way")
async def test_retry_after_is_obeyed(server: SmartHttp, bench: Bench) -> None:
    """The wait is at least what the server asked for."""
    server.answer = first(1, Reply(429, {"Retry-After": "1"}))  # type: ignore[assignment]
    result = await bench.one(server.url("plugin.git"))
    assert result.status is FetchStatus.CLONED
    (retried,) = bench.of(FetchRetried)
    assert retried.delay_s >= 1


@pytest.mark.usefixtures("way")
async def test_a_server_that_counts_requests(served: Path, server: SmartHttp, bench: Bench) -> None:
    """It doesn't say how long it wants to be left alone; nobody asks it at once all the same."""
    make_repository(served / "other.git")
    asked: list[float] = []

    def answer(_method: str, _path: str) -> Reply | None:
        asked.append(time.monotonic())
        return Reply(429) if len(asked) == 1 else None

    server.answer = answer
    requests = [bench.request(server.url(f"{name}.git"), name=name) for name in ("plugin", "other")]
    results = await bench.fetch(*requests, jobs_per_host=1, backoff_s=0.5)
    assert {result.status for result in results} == {FetchStatus.CLONED}
    assert asked[1] - asked[0] >= 0.5
    assert server.requests[1].split("/")[1] != server.requests[0].split("/")[1]


@pytest.mark.parametrize(("asked", "told"), [("5400", "90 minutes"), ("259200", "3 days")])
@pytest.mark.usefixtures("way")
async def test_a_server_that_says_come_back_much_later(
    served: Path, server: SmartHttp, bench: Bench, asked: str, told: str
) -> None:
    """It is said when, nobody waits for that, and no other repository asks that server meanwhile."""
    make_repository(served / "other.git")
    server.answer = first(99, Reply(429, {"Retry-After": asked}))  # type: ignore[assignment]
    requests = [bench.request(server.url(f"{name}.git"), name=name) for name in ("plugin", "other")]
    with anyio.fail_after(30):
        results = await bench.fetch(*requests, jobs_per_host=1)
    assert [result.failure for result in results] == [FailureClass.THROTTLED] * 2
    for result in results:
        assert f"asks to come back in {told} (Retry-After), and a run waits 5 minutes at most" in (
            result.message
        )
        assert "--mirror FROM=TO" in result.hint
    assert sorted("429" in result.message for result in results) == [False, True]
    asked_for = {request.split()[1].split("/")[1] for request in server.requests}
    assert len(asked_for) == 1


@pytest.mark.usefixtures("way")
async def test_cut_in_the_middle_of_a_pack(served: Path, server: SmartHttp, bench: Bench) -> None:
    """A server that closes in the middle is asked again; DEST never sees the half."""
    make_repository(served / "big.git", payload=50_000)
    server.cut_after = 60_000
    result = await bench.one(server.url("big.git"), tries=1)
    assert result.failure is FailureClass.RESET
    assert list(bench.dest.iterdir()) == []
    server.cut_after = 0
    result = await bench.one(server.url("big.git"))
    assert result.status is FetchStatus.CLONED


@pytest.mark.usefixtures("way")
async def test_garbage(server: SmartHttp, bench: Bench) -> None:
    """A server that sends garbage is given its tries, then named."""
    server.garbage = True
    result = await bench.one(server.url("plugin.git"), tries=2)
    assert result.status is FetchStatus.FAILED
    assert result.failure in (FailureClass.GARBAGE, FailureClass.RESET)
    assert result.attempts > 1
    assert list(bench.dest.iterdir()) == []


async def test_not_a_git_server(server: SmartHttp, bench: Bench) -> None:
    """A web page is no repository."""
    page = Reply(200, {"Content-Type": "text/html"}, b"<html>\nIt works!\n</html>\n")
    server.answer = first(99, page)  # type: ignore[assignment]
    result = await bench.one(server.url("plugin.git"), tries=1)
    assert result.status is FetchStatus.FAILED
    assert "valid" in result.message


@pytest.mark.parametrize("protocol", ["git", "http"])
@pytest.mark.parametrize("after", [0, 300, 30_000])
@pytest.mark.usefixtures("way")
async def test_stall(protocol: str, after: int, served: Path, bench: Bench) -> None:
    """A connection that falls silent is given up and another one tried, whatever the protocol."""
    make_repository(served / "big.git", payload=50_000)

    def fate(number: int) -> tuple[str, int] | None:
        return ("freeze", after) if number == 0 else None

    with GitDaemon(served) as daemon, SmartHttp(served) as http:
        port = daemon.port if protocol == "git" else http.port
        with Proxy(port, fate=fate) as proxy:
            url = f"{protocol}://127.0.0.1:{proxy.port}/big.git"
            result = await bench.one(url, stall_s=1.0)
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 2)
    assert [event.reason for event in bench.of(FetchRetried)] == ["stall"]


@pytest.mark.usefixtures("way")
async def test_a_slow_server_is_no_stall(served: Path, bench: Bench) -> None:
    """A trickle of bytes on a connection keeps it alive for longer than the limit in all."""
    with SmartHttp(served, think_s=0.45) as slow:
        result = await bench.one(slow.url("plugin.git"), stall_s=1.0)
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 1)


@pytest.mark.usefixtures("way")
async def test_git_timeout(served: Path, bench: Bench) -> None:
    """GIT_TIMEOUT limits a git call, three tries in all."""
    with SmartHttp(served, think_s=1.0) as slow:
        result = await bench.one(slow.url("plugin.git"), timeout_s=0.3)
    assert (result.failure, result.attempts) == (FailureClass.TIMEOUT, 3)
    assert "GIT_TIMEOUT" in result.hint


async def test_refused(bench: Bench) -> None:
    """Nobody listens: retried, then said."""
    result = await bench.one("git://127.0.0.1:9/x.git", tries=2)
    assert (result.failure, result.attempts) == (FailureClass.REFUSED, 2)


async def test_unknown_host(bench: Bench) -> None:
    """A name that doesn't exist."""
    result = await bench.one("git://name.invalid/x.git", tries=1)
    assert result.failure is FailureClass.DNS


async def test_ref_deleted_in_between(
    way: str, served: Path, server: SmartHttp, bench: Bench
) -> None:
    """A branch that goes away between the answer and the fetch costs another look, no more."""
    repository = served / "plugin.git"
    extra = commit_files(repository, {"x": "1"}, branch="doomed", parent="refs/heads/master^0")

    def answer(method: str, path: str) -> Reply | None:
        if (
            len(server.requests) == _PACK_REQUEST[way] and extra
        ):  # refs are known, the pack isn't asked for yet
            git("-C", repository, "branch", "-D", "doomed")
            git("-C", repository, "reflog", "expire", "--expire=now", "--all")
            git("-C", repository, "gc", "-q", "--prune=now")
        return None

    server.answer = answer
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.commit) == (FetchStatus.CLONED, rev(repository, "master"))
    assert [event.reason for event in bench.of(FetchRetried)] == ["refs-moved"]


async def test_force_push_in_between(
    way: str, served: Path, server: SmartHttp, bench: Bench
) -> None:
    """What was answered is what is fetched; the next update has the rest."""
    repository = served / "plugin.git"
    before = rev(repository, "master")

    def answer(method: str, path: str) -> Reply | None:
        if len(server.requests) == _PACK_REQUEST[way]:
            commit_files(repository, {"x": "1"}, parent="refs/heads/stable/2025.1^0")
        return None

    server.answer = answer
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.commit) == (FetchStatus.CLONED, before)
    server.answer = None
    result = await bench.one(server.url("plugin.git"), update=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, rev(repository, "master"))


async def test_mirror_is_asked_first(served: Path, server: SmartHttp, bench: Bench) -> None:
    """--mirror FROM=TO: the rewritten URL serves, the checkout's origin stays as written."""
    written = "https://unreachable.invalid/openstack/plugin.git"
    mirrors = (("https://unreachable.invalid/openstack/", server.url("")),)
    result = await bench.one(written, mirrors=mirrors)
    assert result.status is FetchStatus.CLONED
    assert git("-C", bench.dest / "plugin", "remote", "get-url", "origin").strip() == written


async def test_fallback_from_a_mirror(served: Path, server: SmartHttp, bench: Bench) -> None:
    """A mirror that lacks the repository, or the ref, is passed over for the next source."""
    make_repository(served / "old" / "plugin.git", branches=[], tags=[])
    base = server.url("")
    mirrors = ((base, server.url("nowhere/")), (base, server.url("old/")))
    result = await bench.one(server.url("plugin.git"), "stable/2025.1", mirrors=mirrors)
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 3)
    retried = bench.of(FetchRetried)
    assert [event.reason for event in retried] == ["not-found", "ref-not-found"]
    assert all("next source" in event.message for event in retried)


async def test_every_third_connection_stalls(served: Path, server: SmartHttp, bench: Bench) -> None:
    """All of six repositories come, whichever connection falls silent."""

    def fate(number: int) -> tuple[str, int] | None:
        return ("freeze", 200) if number % 3 == 0 else None

    for number in range(6):
        make_repository(served / f"p{number}.git")
    with Proxy(server.port, fate=fate) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        requests = [bench.request(f"{url}/p{n}.git", name=f"p{n}") for n in range(6)]
        results = await bench.fetch(*requests, stall_s=0.8)
    assert {result.status for result in results} == {FetchStatus.CLONED}
    assert bench.of(FetchRetried)


@pytest.mark.usefixtures("way")
async def test_throttled_again_and_again(served: Path, server: SmartHttp, bench: Bench) -> None:
    """A host that answers every fifth request with 429 gets them all served, in the end."""
    for number in range(6):
        make_repository(served / f"p{number}.git")

    def answer(method: str, path: str) -> Reply | None:
        return Reply(429, {"Retry-After": "0"}) if len(server.requests) % 5 == 0 else None

    server.answer = answer
    requests = [bench.request(server.url(f"p{n}.git"), name=f"p{n}") for n in range(6)]
    results = await bench.fetch(*requests, tries=8)
    assert {result.status for result in results} == {FetchStatus.CLONED}
    assert "throttled" in {event.reason for event in bench.of(FetchRetried)}


@pytest.mark.usefixtures("way")
async def test_so_many_requests_a_second(served: Path, server: SmartHttp, bench: Bench) -> None:
    """A limit that only counts requests, and says nothing of when: all are served, in their turn."""
    names = [f"p{number}" for number in range(12)]
    for name in names:
        make_repository(served / f"{name}.git", commits=1)
    granted: list[float] = []

    def answer(_method: str, _path: str) -> Reply | None:
        now = time.monotonic()
        granted[:] = [moment for moment in granted if moment > now - 0.5]
        if len(granted) >= 6:
            return Reply(429)
        granted.append(now)
        return None

    server.answer = answer
    requests = [bench.request(server.url(f"{name}.git"), name=name) for name in names]
    results = await bench.fetch(*requests, backoff_s=0.2)
    assert [result.failure for result in results] == [None] * len(names)
    assert any(event.reason == "throttled" for event in bench.of(FetchRetried))


async def test_disk_full(
    served: Path, server: SmartHttp, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No space left: git's words, no retry, nothing left over."""
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/sh\n"
        "echo 'fatal: write error: No space left on device' >&2\n"
        "echo 'fatal: index-pack failed' >&2\nexit 128\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=":")
    result = await bench.one(server.url("plugin.git"))
    assert (result.failure, result.attempts) == (FailureClass.DISK_FULL, 1)
    assert "No space left" in result.message
    assert list(bench.dest.iterdir()) == []


@pytest.mark.usefixtures("way")
async def test_really_full_disk(served: Path, bench: Bench, tmp_path: Path) -> None:
    """A file system of 2 MB: no traceback, nothing half done, and the next one still works."""
    needs("unshare")
    make_repository(served / "big.git", commits=4, payload=900_000)
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, anyio\n"
        "from asyncstack.fetcher import FetchOptions, FetchRequest, fetch\n"
        "d = sys.argv[1]\n"
        "requests = [FetchRequest(n, sys.argv[2] + n + '.git', 'master', d + '/dest/' + n)\n"
        "            for n in ('big', 'plugin')]\n"
        "options = FetchOptions(cache_directory=d + '/cache')\n"
        "for r in anyio.run(fetch, requests, options, lambda e: None):\n"
        "    print(r.plugin, r.status.value, r.failure, r.attempts)\n"
        "import os; print(sorted(os.listdir(d + '/dest')))\n"
    )
    small = tmp_path / "small"
    small.mkdir()
    inside = f"mount -t tmpfs -o size=2m none {small} && exec {sys.executable} {script} {small} {served}/"
    done = await anyio.run_process(
        ["unshare", "-rm", "sh", "-c", inside],
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    if b"unshare" in done.stderr or b"mount:" in done.stderr:
        pytest.skip("no mount namespaces here")
    assert done.stdout.decode().splitlines() == [
        "big failed disk-full 1",
        "plugin cloned None 1",
        "['plugin']",
    ]


async def test_no_git(server: SmartHttp, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """git itself is missing."""
    monkeypatch.setenv("PATH", "/nonexistent")
    result = await bench.one(server.url("plugin.git"))
    assert result.failure is FailureClass.GIT_MISSING


async def test_two_at_once(served: Path, server: SmartHttp, bench: Bench) -> None:
    """Two fetches of one list: each repository is downloaded once, both end well."""
    for number in range(4):
        make_repository(served / f"p{number}.git")
    other = Bench(bench.dest, bench.cache)
    requests = [bench.request(server.url(f"p{n}.git"), name=f"p{n}") for n in range(4)]
    async with anyio.create_task_group() as group:
        group.start_soon(bench.fetch, *requests)
        group.start_soon(other.fetch, *requests)
    ends = bench.of(FetchFinished) + other.of(FetchFinished)
    assert all(event.status.good for event in ends)
    packs = [line for line in server.requests if line.startswith("POST")]
    assert len(packs) <= 4 * 2 + 4
    assert sorted(path.name for path in bench.dest.iterdir()) == ["p0", "p1", "p2", "p3"]


async def test_two_updates_at_once(served: Path, server: SmartHttp, bench: Bench) -> None:
    """Of the same checkouts: one does it, the other one finds it done; neither is in the other's way."""
    names = [f"p{number}" for number in range(4)]
    for name in names:
        make_repository(served / f"{name}.git")
    other = Bench(bench.dest, bench.cache)
    requests = [bench.request(server.url(f"{name}.git"), name=name) for name in names]
    await bench.fetch(*requests)
    commits = [
        commit_files(served / f"{name}.git", {f"f{number}": "new" for number in range(300)})
        for name in names
    ]
    async with anyio.create_task_group() as group:
        group.start_soon(partial(bench.fetch, *requests, update=True))
        group.start_soon(partial(other.fetch, *requests, update=True))
    ends = bench.of(FetchFinished)[len(names) :] + other.of(FetchFinished)
    assert [event.message for event in ends] == [""] * len(ends)
    assert sorted(event.status.value for event in ends) == ["present"] * 4 + ["updated"] * 4
    assert [rev(bench.dest / name) for name in names] == commits
    assert [git("-C", bench.dest / name, "status", "--porcelain") for name in names] == [""] * 4
    assert bench.of(Warned) + other.of(Warned) == []


def spoil_mirror(bench: Bench, damage: str) -> None:
    (mirror,) = (path for path in bench.cache.iterdir() if path.name.startswith("plugin"))
    (pack,) = (mirror / "objects" / "pack").glob("*.pack")
    content = bytearray(pack.read_bytes())
    pack.chmod(0o644)
    if damage == "truncated":
        pack.unlink()
        pack.write_bytes(content[:-30])
    elif damage == "flipped":
        for at in range(12, len(content) - 20):
            content[at] ^= 0xFF
        pack.unlink()
        pack.write_bytes(content)
    elif damage == "missing":
        pack.unlink()
    elif damage == "pair missing":
        pack.unlink()
        pack.with_suffix(".idx").unlink()
    elif damage == "no refs":
        (mirror / "packed-refs").unlink()
    elif damage == "no config":
        (mirror / "config").unlink()
    else:
        (mirror / damage.split()[1]).write_bytes(bytes(60))


@pytest.mark.parametrize(
    "damage",
    [
        "truncated",
        "flipped",
        "missing",
        "pair missing",
        "no refs",
        "no config",
        "zeroed config",
        "zeroed HEAD",
    ],
)
@pytest.mark.parametrize("new", [False, True], ids=["", "something new"])
async def test_corrupt_mirror(
    damage: str, new: bool, served: Path, server: SmartHttp, bench: Bench
) -> None:
    """It is noticed, set aside and fetched again."""
    await bench.one(server.url("plugin.git"))
    (bench.dest / "plugin").rename(bench.dest / "elsewhere")
    spoil_mirror(bench, damage)
    if new:
        commit_files(served / "plugin.git", {"new": "1"})
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    assert [event.code for event in bench.of(Warned)] == ["cache-corrupt"]
    assert len(list(bench.cache.glob("plugin-*.corrupt-*"))) == 1
    git("-C", bench.dest / "plugin", "fsck", "--strict")


@pytest.mark.parametrize("damage", ["flipped", "pair missing", "zeroed config"])
@pytest.mark.parametrize("ahead", [False, True], ids=["", "mirror is ahead"])
async def test_update_from_a_corrupt_mirror(
    damage: str, ahead: bool, served: Path, server: SmartHttp, bench: Bench
) -> None:
    """It is noticed, set aside or fetched again, and the checkout updated."""
    await bench.one(server.url("plugin.git"))
    commit = commit_files(served / "plugin.git", {"README": "new"})
    if ahead:
        other = Bench(bench.dest.with_name("other"), bench.cache)
        await other.one(server.url("plugin.git"))
        git("-C", next(bench.cache.glob("plugin-*")), "repack", "-q", "-a", "-d")
    spoil_mirror(bench, damage)
    result = await bench.one(server.url("plugin.git"), update=True)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, commit, "")
    assert {event.code for event in bench.of(Warned)} <= {"cache-corrupt"}
    git("-C", bench.dest / "plugin", "fsck", "--strict")


@pytest.mark.parametrize("damage", ["flipped", "zeroed config"])
async def test_corrupt_mirror_for_nodes(
    damage: str, served: Path, server: SmartHttp, bench: Bench
) -> None:
    """Where it is only to be handed on, something new in it is enough to notice."""
    await bench.one(server.url("plugin.git"))
    spoil_mirror(bench, damage)
    commit = commit_files(served / "plugin.git", {"README": "new"})
    result = await bench.one(server.url("plugin.git"), mirror_only=True)
    assert (result.commit, result.message) == (commit, "")
    assert [event.code for event in bench.of(Warned)] == ["cache-corrupt"]
    git("-C", result.directory, "fsck", "--strict")


async def test_garbage_is_no_fault_of_the_mirrors(
    served: Path, server: SmartHttp, bench: Bench
) -> None:
    """A server that sends it, or a page that says it is down, costs no mirror."""
    await bench.one(server.url("plugin.git"))
    commit_files(served / "plugin.git", {"README": "new"})
    server.garbage = True
    for result in (
        await bench.one(server.url("plugin.git"), update=True, tries=1),
        *await bench.fetch(bench.request(server.url("plugin.git"), name="other"), tries=1),
    ):
        assert result.failure is FailureClass.GARBAGE
    assert bench.of(Warned) == []


async def test_unwritable_cache(server: SmartHttp, bench: Bench, tmp_path: Path) -> None:
    """One warning, and it goes on without."""
    (tmp_path / "file").write_text("")
    url = server.url("plugin.git")
    results = await bench.fetch(
        bench.request(url, name="a"),
        bench.request(url, name="b"),
        cache_directory=str(tmp_path / "file" / "c"),
    )
    assert all(result.status is FetchStatus.CLONED for result in results)
    (warned,) = bench.of(Warned)
    assert warned.code == "cache-unusable"
    assert f"without the cache: Not a directory: {tmp_path}/file/c" in warned.message
    assert f"make {tmp_path}/file/c a directory" in warned.message


async def test_unwritable_dest(server: SmartHttp, bench: Bench, tmp_path: Path) -> None:
    """DEST can't be made: said for the repository."""
    bench.dest.write_text("a file")
    result = await bench.one(server.url("plugin.git"))
    assert result.status is FetchStatus.FAILED
    assert str(bench.dest) in result.message
