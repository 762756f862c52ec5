"""Clones without git's own transport: what servers may do, and what is git's business after all."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import anyio
import pytest

from asyncstack.events import FetchRetried
from asyncstack.git.failures import FailureClass
from asyncstack.git.pktline import refs_request
from asyncstack.model import FetchStatus
from tests.git.test_pktline import packet, upload_pack
from tests.helpers.fetching import Bench
from tests.helpers.gitserver import GitDaemon, Proxy, Reply, SmartHttp, git, make_repository, rev

pytestmark = pytest.mark.anyio


def says(number: int, body: bytes, **headers: str) -> Callable[[str, str], Reply | None]:
    """Answer one request like this, the others as git does."""
    asked = 0

    def answer(_method: str, _path: str) -> Reply | None:
        nonlocal asked
        asked += 1
        kind = {"Content-Type": "application/x-git-upload-pack-result", **headers}
        return Reply(200, kind, body) if asked == number else None

    return answer


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def as_answer(pack: bytes) -> bytes:
    pieces = [pack[at : at + 1000] for at in range(0, len(pack), 1000)]
    return packet(b"packfile\n") + b"".join(packet(b"\1" + piece) for piece in pieces) + b"0000"


async def test_two_requests_over_one_connection(server: SmartHttp, bench: Bench) -> None:
    """The refs, and the pack; the next repository of that server comes over the same one."""
    url = server.url("plugin.git")
    requests = [bench.request(url, name=name) for name in ("one", "two")]
    results = await bench.fetch(*requests, jobs=1, cache_directory="")
    assert {result.status for result in results} == {FetchStatus.CLONED}
    assert server.requests == ["POST /plugin.git/git-upload-pack"] * 4
    assert server.connections == 1
    assert all(headers["Git-Protocol"] == "version=2" for headers in server.headers)


async def test_an_object_that_was_promised(served: Path, server: SmartHttp, bench: Bench) -> None:
    """A pack that is sound in itself but lacks a ref's object isn't believed."""
    repository = served / "plugin.git"
    branch = rev(repository, "stable/2025.1")
    pack = git_pack(repository, f"{branch}\n")
    server.answer = says(2, as_answer(pack))
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 2)
    assert [event.reason for event in bench.of(FetchRetried)] == ["garbage"]
    assert "isn't what was asked for" in bench.of(FetchRetried)[0].message


async def test_an_object_that_is_needed(
    served: Path, server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """A pack with all commits and no files is as broken as for git."""
    repository = served / "plugin.git"
    commits = git("-C", repository, "rev-list", "--branches", "--tags") + git(
        "-C", repository, "rev-parse", "refs/tags/1.0.0"
    )
    server.answer = says(2, as_answer(git_pack(repository, commits, objects=True)))
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 2)
    assert [event.reason for event in bench.of(FetchRetried)] == ["garbage"]
    assert "did not receive expected object" in bench.of(FetchRetried)[0].message


@pytest.mark.parametrize("scheme", ["http", "git"])
async def test_a_repository_that_is_broken_at_the_server(
    scheme: str, served: Path, server: SmartHttp, bench: Bench
) -> None:
    """Its own words say what is missing; no connection was cut, and the way out is another source."""
    repository = served / "plugin.git"
    blob = git("-C", repository, "rev-parse", "master:README").strip()
    (repository / "objects" / blob[:2] / blob[2:]).unlink()
    with GitDaemon(served) as daemon:
        url = server.url("plugin.git") if scheme == "http" else daemon.url("plugin.git")
        result = await bench.one(url, tries=1)
    assert (result.status, result.failure) == (FetchStatus.FAILED, FailureClass.SERVER)
    assert f"unable to read {blob}" in result.message
    assert "\0" not in result.message
    assert "--mirror" in result.hint


def git_pack(repository: Path, names: str, *, objects: bool = False) -> bytes:
    """Make a pack of what these names reach, or of these very objects."""
    target = repository.parent / "made"
    revs = [] if objects else ["--revs"]
    name = git("-C", repository, "pack-objects", "-q", *revs, target, stdin=names.encode()).strip()
    return target.with_name(f"made-{name}.pack").read_bytes()


async def test_an_answer_of_known_length(served: Path, server: SmartHttp, bench: Bench) -> None:
    """A connection is as good behind one as behind chunks: small packs often come like this."""
    repository = served / "plugin.git"
    wanted = git(
        "-C", repository, "for-each-ref", "--format=%(objectname)", "refs/heads", "refs/tags"
    )
    server.answer = says(2, as_answer(git_pack(repository, wanted)))
    url = server.url("plugin.git")
    requests = [bench.request(url, name=name) for name in ("one", "two")]
    results = await bench.fetch(*requests, jobs=1, cache_directory="")
    assert [(result.status, result.attempts) for result in results] == [(FetchStatus.CLONED, 1)] * 2
    assert server.requests == ["POST /plugin.git/git-upload-pack"] * 4
    assert server.connections == 1


async def test_kept_connections_that_were_closed(served: Path, bench: Bench) -> None:
    """A server that hangs up without a word costs a connection each time, and no try."""
    make_repository(served / "other.git")
    with SmartHttp(served, hangs_up=True) as server:
        names = ("plugin", "other")
        requests = [bench.request(server.url(f"{name}.git"), name=name) for name in names]
        results = await bench.fetch(*requests, jobs=1)
    assert [(result.status, result.attempts) for result in results] == [(FetchStatus.CLONED, 1)] * 2
    assert (server.connections, len(server.requests)) == (4, 4)


async def test_connections_that_end_with_their_answer(served: Path, bench: Bench) -> None:
    """The same, announced: by HTTP/1.0, whose answers have no length and no chunks."""
    with SmartHttp(served, version="HTTP/1.0") as server:
        result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 1)
    assert (server.connections, len(server.requests)) == (2, 2)


@pytest.mark.parametrize("ref", ["master", "1.0.0", "sha"])
async def test_a_server_of_the_first_protocol_only(
    ref: str, served: Path, bench: Bench, tmp_path: Path
) -> None:
    """It doesn't know what it was asked; git does it."""
    asked = rev(served / "plugin.git", "master") if ref == "sha" else ref
    with SmartHttp(served, protocol=0) as server:
        result = await bench.one(server.url("plugin.git"), asked)
        shallow = await bench.fetch(bench.request(server.url("plugin.git"), asked, "s"), depth=1)
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 1)
    # A commit is asked for straight away: to ask for refs first would cost everybody a round trip.
    assert (shallow[0].status, shallow[0].attempts) == (FetchStatus.CLONED, 1 + (ref == "sha"))


async def test_a_redirect_is_gits(served: Path, server: SmartHttp, bench: Bench) -> None:
    """As it is for questions: where it leads is for git to judge."""
    make_repository(served / "new" / "plugin.git")
    where = {"POST /old/plugin.git/git-upload-pack", "GET /old/plugin.git/info/refs"}

    def answer(method: str, path: str) -> Reply | None:
        moved = any(f"{method} {path}".startswith(start) for start in where)
        return Reply(301, {"Location": path.replace("/old/", "/new/")}) if moved else None

    server.answer = answer
    result = await bench.one(server.url("old/plugin.git"))
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 1)


@pytest.mark.parametrize("more", ["?x=y", "#x"])
async def test_what_is_behind_a_path_is_gits(
    more: str, server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """It may name another repository than the path alone does."""
    await bench.one(server.url("plugin.git") + more, tries=1)
    assert server.requests[0].startswith("GET ")


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (b"", "unexpected disconnect"),
        (packet(b"\3aborting due to possible repository corruption"), "remote error: aborting due"),
    ],
    ids=["cut off", "told"],
)
async def test_an_error_behind_the_beginning(
    end: bytes, words: str, served: Path, server: SmartHttp, bench: Bench
) -> None:
    """What the server did is what counts, not that index-pack found too little."""
    start = packet(b"packfile\n") + packet(b"\1PACK\0\0\0\2\0\0\0\7")
    server.answer = says(2, start + end)
    result = await bench.one(server.url("plugin.git"))
    assert words in "".join(event.message for event in bench.of(FetchRetried)) + result.message


async def test_a_shallow_origin(served: Path, bench: Bench, tmp_path: Path) -> None:
    """Where its history ends is known before index-pack looks for parents."""
    git("clone", "-q", "--bare", "--depth=2", f"file://{served}/plugin.git", served / "cut.git")
    with SmartHttp(served) as server:
        result = await bench.one(server.url("cut.git"))
    assert (result.status, result.attempts, len(server.requests)) == (FetchStatus.CLONED, 1, 2)
    checkout = bench.dest / "plugin"
    assert git("-C", checkout, "rev-list", "--count", "HEAD") == "2\n"
    git("-C", checkout, "fsck", "--strict")


@pytest.mark.parametrize(
    "setting", ["http.sslVerify=true", "url.x://.insteadOf=y://", "transfer.fsckObjects=true"]
)
async def test_what_the_user_has_set_is_gits(
    setting: str, server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """How it connects, and what it accepts."""
    git("config", "--file", tmp_path / "home" / ".gitconfig", *setting.split("="))
    await bench.one(server.url("plugin.git"))
    assert server.requests[0].startswith("GET ")


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("status", [200, 302, 401, 408, 413])
async def test_no_answer_to_the_second_question(
    status: int, depth: int, server: SmartHttp, bench: Bench
) -> None:
    """Whatever it is instead of a pack, git gets it as well, or does better; that costs no try."""
    server.answer = lambda _method, _path: (
        Reply(status, {"Location": "/"}, b"<html>") if len(server.requests) == 2 else None
    )
    result = await bench.one(server.url("plugin.git"), tries=1, depth=depth)
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 1)
    assert [line.split()[0] for line in server.requests[:3]] == ["POST", "POST", "GET"]
    assert not list((bench.dest / "plugin" / ".git").rglob("tmp_*"))


async def test_a_server_that_gives_files_only(server: SmartHttp, bench: Bench) -> None:
    """It implements no POST, and says so in a number that others have for trouble."""
    server.answer = lambda method, _path: Reply(501) if len(server.requests) == 1 else None
    result = await bench.one(server.url("plugin.git"), tries=1)
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 1)


async def test_what_index_pack_says_first(served: Path, server: SmartHttp, bench: Bench) -> None:
    """It has found the fault while the server still sends: that we hang up then is none."""
    junk = as_answer(b"PACK\0\0\0\2\0\0\0\7" + b"\x95\x0a" * 50_000)
    server.answer = says(2, junk, **{"Content-Length": "1000000"})
    result = await bench.one(server.url("plugin.git"))
    assert result.status is FetchStatus.CLONED
    assert [event.reason for event in bench.of(FetchRetried)] == ["garbage"]
    assert "index-pack" not in bench.of(FetchRetried)[0].message
    assert "disconnect" not in bench.of(FetchRetried)[0].message


async def test_a_conversation_that_goes_on(served: Path, server: SmartHttp, bench: Bench) -> None:
    """Who has sent enough and doesn't end isn't asked anything else over that connection."""
    repository = served / "plugin.git"
    wanted = git(
        "-C", repository, "for-each-ref", "--format=%(objectname)", "refs/heads", "refs/tags"
    )
    pack = as_answer(git_pack(repository, wanted) + bytes(100_000))
    server.answer = says(2, pack, **{"Content-Length": "1000000"})
    requests = [bench.request(server.url("plugin.git"), name=name) for name in ("one", "two")]
    results = await bench.fetch(*requests, jobs=1, cache_directory="")
    assert [(result.status, result.attempts) for result in results] == [
        (FetchStatus.CLONED, 2),
        (FetchStatus.CLONED, 1),
    ]
    assert [line.split()[0] for line in server.requests].count("GET") == 1
    assert server.connections == 3


@pytest.mark.parametrize("depth", [0, 1])
async def test_the_format_of_the_index(
    depth: int, server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """It is read by us: whatever the user likes better, it is of version 2."""
    git("config", "--file", tmp_path / "home" / ".gitconfig", "pack.indexVersion", "1")
    result = await bench.one(server.url("plugin.git"), depth=depth)
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 1)


async def test_more_refs_than_asked_for(served: Path, server: SmartHttp, bench: Bench) -> None:
    """A server may ignore what they should begin with; what git leaves out, we leave out."""
    repository = served / "plugin.git"
    request = refs_request(("HEAD", "refs/"))
    server.answer = says(1, upload_pack(repository, request))
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 1)
    (mirror,) = bench.cache.glob("**/packed-refs")
    assert "refs/changes" not in mirror.read_text()


@pytest.mark.parametrize("name", ["refs/tags/0.1", "refs/heads/old"])
async def test_peeled_to_nothing(name: str, served: Path, server: SmartHttp, bench: Bench) -> None:
    """What a tag is said to mean has to be there, and no branch means anything but itself."""
    repository = served / "plugin.git"
    line = f"{rev(repository)} {name} peeled:{'1' * 40}\n".encode()
    server.answer = says(1, upload_pack(repository, refs_request())[:-4] + packet(line) + b"0000")
    result = await bench.one(server.url("plugin.git"))
    tag = name.startswith("refs/tags/")
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 1 + tag)
    (mirror,) = bench.cache.glob("**/packed-refs")
    assert "1" * 40 not in mirror.read_text()


async def test_a_pack_that_is_compressed_again(server: SmartHttp, bench: Bench) -> None:
    """Nobody asked for that; git knows how to read it, and that costs no try."""
    server.answer = says(2, b"\x1f\x8b\x08\x00", **{"Content-Encoding": "gzip"})
    result = await bench.one(server.url("plugin.git"), tries=1, depth=1)
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 1)


class _Trickle(BaseRequestHandler):
    """Answers a POST with a header that never ends, anything else at once."""

    def handle(self) -> None:
        if self.request.recv(65536).startswith(b"POST"):
            with contextlib.suppress(OSError):
                self.request.sendall(b"HTTP/1.1 200 OK\r\n")
                while True:
                    self.request.sendall(b"x")
                    time.sleep(0.05)
        self.request.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


async def test_an_answer_that_trickles(bench: Bench) -> None:
    """It is no silence, and no answer; what git makes of it counts."""
    with ThreadingTCPServer(("127.0.0.1", 0), _Trickle) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with anyio.fail_after(10):
            result = await bench.one(f"http://127.0.0.1:{server.server_address[1]}/x", stall_s=0.2)
        server.shutdown()
    assert (result.failure, result.attempts) == (FailureClass.NOT_FOUND, 1)


_SERVER = """
import sys
from pathlib import Path
from tests.helpers.gitserver import SmartHttp
with SmartHttp(Path(sys.argv[1])) as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def elsewhere(served: Path) -> Iterator[int]:
    """A server that is another process; its port."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _SERVER, str(served)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


async def test_too_few_descriptors(elsewhere: int, served: Path, bench: Bench) -> None:
    """Wherever the last one goes: a repository fails, nothing else does, and none is lost."""
    make_repository(served / "other.git")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = descriptors()
    endings = set()
    for spare in range(0, 32, 2):
        names = ("plugin", "other")
        url = f"http://127.0.0.1:{elsewhere}"
        requests = [bench.request(f"{url}/{name}.git", name=f"{name}-{spare}") for name in names]
        resource.setrlimit(resource.RLIMIT_NOFILE, (before + spare, hard))
        try:
            results = await bench.fetch(*requests, tries=1, cache_directory="")
            endings |= {result.message or result.status for result in results}
        except OSError:  # before there was a repository
            continue
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert {"Too many open files", FetchStatus.CLONED} <= endings
    assert descriptors() <= before


async def test_a_branch_that_is_a_tag(served: Path, server: SmartHttp, bench: Bench) -> None:
    """A damaged repository: what is checked out is a commit all the same."""
    repository = served / "plugin.git"
    tag = git("-C", repository, "rev-parse", "refs/tags/1.0.0")
    (repository / "refs" / "heads" / "odd").write_text(tag)
    result = await bench.one(server.url("plugin.git"), "odd")
    assert (result.status, result.commit) == (FetchStatus.CLONED, rev(repository, "1.0.0"))
    assert [line.split()[0] for line in server.requests[:2]] == ["POST", "GET"]


async def test_cancelled_in_the_middle_of_a_pack(served: Path, bench: Bench) -> None:
    """Nothing goes on: no git, no thread that waits for the server, no descriptor."""
    make_repository(served / "big.git", payload=50_000)
    before = descriptors()
    with (
        SmartHttp(served) as server,
        Proxy(server.port, fate=lambda _: ("freeze", 30_000)) as proxy,
    ):
        request = bench.request(f"http://127.0.0.1:{proxy.port}/big.git")
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(bench.fetch, request)
                while not list(bench.cache.glob("**/tmp_pack_*")):  # noqa: ASYNC110 - git's file
                    await anyio.sleep(0.01)
                group.cancel_scope.cancel()
        with anyio.fail_after(5):
            while any("conversation" in one.name for one in threading.enumerate()):  # noqa: ASYNC110
                await anyio.sleep(0.01)
    with anyio.fail_after(5):
        while descriptors() > before:  # noqa: ASYNC110 - of the server's threads, too
            await anyio.sleep(0.01)
    assert list(bench.dest.iterdir()) == []


async def test_a_name_for_a_tree(served: Path, server: SmartHttp, bench: Bench) -> None:
    """A tag may name anything; what isn't a commit can't be checked out."""
    repository = served / "plugin.git"
    git("-C", repository, "tag", "tree", rev(repository) + "^{tree}")
    result = await bench.one(server.url("plugin.git"), "tree")
    assert (result.status, result.attempts) == (FetchStatus.FAILED, 1)
    result = await bench.one(server.url("plugin.git"), "tree", depth=1)
    assert (result.failure, result.attempts) == (FailureClass.REF_NOT_FOUND, 1)
