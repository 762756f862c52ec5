"""Shallow, partial, submodules, LFS, https: what is not the ordinary clone."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from asyncstack.events import FetchRetried, Warned
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus
from tests.helpers.fetching import Bench
from tests.helpers.gitserver import Proxy, SmartHttp, commit_files, git, make_repository, needs, rev

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "ref", ["master", "stable/2025.1", "1.0.0", "refs/changes/12/3412/5", "sha"]
)
@pytest.mark.usefixtures("way")
async def test_depth(ref: str, served: Path, server: SmartHttp, bench: Bench) -> None:
    """GIT_DEPTH: so many commits of that ref, whatever kind it is; three requests."""
    repository = served / "plugin.git"
    asked = rev(repository, "master~1") if ref == "sha" else ref
    result = await bench.one(server.url("plugin.git"), asked, depth=1)
    checkout = bench.dest / "plugin"
    commit = rev(repository, asked)
    assert (result.status, result.commit, result.message) == (FetchStatus.CLONED, commit, "")
    assert git("-C", checkout, "rev-list", "--count", "HEAD") == "1\n"
    assert git("-C", checkout, "status", "--porcelain") == ""
    assert git("-C", checkout, "rev-parse", "--abbrev-ref", "HEAD") == "HEAD\n"
    assert len(server.requests) <= 3
    server.requests.clear()
    again = await bench.one(server.url("plugin.git"), asked, depth=1)
    assert (again.status, again.warnings) == (FetchStatus.PRESENT, ())


@pytest.mark.parametrize("ref", ["master", "1.0.0", "refs/changes/12/3412/5", "sha"])
async def test_depth_of_a_repository_with_sha256_names(
    ref: str, served: Path, bench: Bench, server: SmartHttp
) -> None:
    """Which the server alone can tell; what was cloned like that can be updated."""
    repository = make_repository(served / "modern.git", object_format="sha256")
    asked = rev(repository, "master~1") if ref == "sha" else ref
    result = await bench.one(server.url("modern.git"), asked, depth=1)
    checkout = bench.dest / "plugin"
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    assert result.commit == rev(repository, asked) == rev(checkout)
    assert git("-C", checkout, "rev-list", "--count", "HEAD") == "1\n"
    assert git("-C", checkout, "fsck", "--strict", "--no-dangling") == ""
    if ref == "master":
        commit = commit_files(repository, {"new": "1"})
        result = await bench.one(server.url("modern.git"), depth=1, update=True)
        assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)


async def test_shallow_origin(served: Path, bench: Bench, tmp_path: Path) -> None:
    """What is all that it has is a whole checkout; the cache, where mirrors are whole, hasn't it."""
    origin = tmp_path / "shallow.git"
    git("clone", "-q", "--bare", "--depth=2", f"file://{served}/plugin.git", origin)
    url, checkout = f"file://{origin}", bench.dest / "plugin"
    assert (await bench.one(url)).status is FetchStatus.CLONED
    assert git("-C", checkout, "rev-list", "--count", "HEAD") == "2\n"
    assert git("-C", checkout, "fsck", "--no-dangling") == ""
    commit = commit_files(origin, {"new": "1"})
    result = await bench.one(url, update=True)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, commit, "")
    assert git("-C", checkout, "fsck", "--no-dangling") == ""
    git("-C", origin, "fetch", "-q", "--unshallow")
    (again,) = await bench.fetch(bench.request(url, name="again"))
    assert again.status is FetchStatus.CLONED
    assert git("-C", again.directory, "rev-list", "--count", "HEAD") == "5\n"


async def test_shallow_origin_for_nodes(served: Path, bench: Bench, tmp_path: Path) -> None:
    """It can't be handed on, and that is said."""
    origin = tmp_path / "shallow.git"
    git("clone", "-q", "--bare", "--depth=1", f"file://{served}/plugin.git", origin)
    result = await bench.one(f"file://{origin}", mirror_only=True)
    assert result.failure is FailureClass.REFUSED_BY_US
    assert "--unshallow" in result.hint


async def test_depth_of_a_missing_ref(server: SmartHttp, bench: Bench) -> None:
    """The same class of failure as in a full clone."""
    result = await bench.one(server.url("plugin.git"), "nope", depth=1)
    assert result.failure is FailureClass.REF_NOT_FOUND
    assert result.attempts == 1


async def test_depth_of_an_abbreviated_commit(
    served: Path, server: SmartHttp, bench: Bench
) -> None:
    """Only who has the commit can complete it."""
    result = await bench.one(server.url("plugin.git"), rev(served / "plugin.git")[:9], depth=1)
    assert result.failure is FailureClass.REF_NOT_FOUND
    assert "write it in full" in result.message


async def test_shallow_pbr_project_is_warned_about(
    served: Path, server: SmartHttp, bench: Bench
) -> None:
    """Its version comes from tags that a shallow clone lacks."""
    commit_files(served / "plugin.git", {"setup.py": "setup(setup_requires=['pbr'], pbr=True)"})
    shallow = await bench.one(server.url("plugin.git"), depth=1)
    assert [warning.code for warning in shallow.warnings] == ["shallow-pbr"]
    (bench.dest / "plugin").rename(bench.dest / "elsewhere")
    assert (await bench.one(server.url("plugin.git"))).warnings == ()


@pytest.mark.parametrize("able", [True, False], ids=["server can", "server can't"])
async def test_filter(able: bool, served: Path, server: SmartHttp, bench: Bench) -> None:
    """Blobs of old commits stay away where the server can; where it can't, all come: it is said."""
    repository = make_repository(served / "big.git", commits=6, payload=1000)
    git("-C", repository, "config", "uploadpack.allowFilter", str(able).lower())
    commit_files(repository, {"data/0": "small", "data/1": "small"})
    result = await bench.one(server.url("big.git"), filter="blob:none")
    checkout = bench.dest / "plugin"
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    assert git("-C", checkout, "status", "--porcelain") == ""
    assert git("-C", checkout, "describe", "--tags", "origin/stable/2025.1").strip() == "1.0.0"
    missing = git("-C", checkout, "rev-list", "--objects", "--all", "--missing=print").count("?")
    assert (missing > 0) == able
    assert [event.code for event in bench.of(Warned)] == ([] if able else ["filter-ignored"])


async def test_a_partial_clone_from_a_mirror(served: Path, server: SmartHttp, bench: Bench) -> None:
    """Its origin is what was asked for, as it is of a whole one; the next fetch knows it again."""
    git("-C", served / "plugin.git", "config", "uploadpack.allowFilter", "true")
    url = "http://127.0.0.1:9/plugin.git"
    mirrors = (("http://127.0.0.1:9/", server.url("")),)
    result = await bench.one(url, filter="blob:none", mirrors=mirrors)
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    assert git("-C", bench.dest / "plugin", "remote", "get-url", "origin") == f"{url}\n"
    assert (await bench.one(url)).warnings == ()


async def test_update_of_a_partial_clone(served: Path, server: SmartHttp, bench: Bench) -> None:
    """It stays partial and gets what is new."""
    repository = make_repository(served / "big.git", commits=6, payload=1000)
    git("-C", repository, "config", "uploadpack.allowFilter", "true")
    await bench.one(server.url("big.git"), filter="blob:none")
    commit = commit_files(repository, {"README": "new", "data/0": "new"})
    result = await bench.one(server.url("big.git"), update=True, filter="blob:none")
    checkout = bench.dest / "plugin"
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, commit, "")
    assert git("-C", checkout, "status", "--porcelain") == ""
    assert (checkout / "README").read_text() == "new"


async def test_submodules_are_left_alone_and_said(
    served: Path, server: SmartHttp, bench: Bench
) -> None:
    """As DevStack does, but not silently."""
    modules = '[submodule "x"]\n\tpath = x\n\turl = ./x.git\n'
    commit_files(served / "plugin.git", {".gitmodules": modules})
    result = await bench.one(server.url("plugin.git"))
    assert [warning.code for warning in result.warnings] == ["submodules"]


@pytest.mark.parametrize("configured", [False, True], ids=["", "configured"])
async def test_lfs_pointers_are_left_alone_and_said(
    configured: bool, served: Path, server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """The pointer is checked out, whatever `git lfs install` has written, program or not."""
    if configured:
        (tmp_path / "home" / ".gitconfig").write_text(
            '[filter "lfs"]\n\tclean = no-lfs clean\n\tsmudge = no-lfs smudge\n'
            "\tprocess = no-lfs filter-process\n\trequired = true\n"
        )
    attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    commit_files(served / "plugin.git", {".gitattributes": attributes, "x.bin": "pointer"})
    result = await bench.one(server.url("plugin.git"))
    assert [warning.code for warning in result.warnings] == ["lfs-pointers"]
    assert (bench.dest / "plugin" / "x.bin").read_text() == "pointer"
    commit = commit_files(served / "plugin.git", {"x.bin": "another pointer"})
    assert (await bench.one(server.url("plugin.git"), update=True)).commit == commit
    assert (bench.dest / "plugin" / "x.bin").read_text() == "another pointer"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    needs("openssl")
    pair = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            *subject,
            "-out",
            pair[0],
            "-keyout",
            pair[1],
        ],
        check=True,
        capture_output=True,
    )
    return pair


@pytest.mark.parametrize("ref", ["master", "1.0.0", "refs/changes/12/3412/5", "sha"])
async def test_https(
    ref: str,
    served: Path,
    certificate: tuple[Path, Path],
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One connection, three requests at most."""
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate[0]))
    asked = rev(served / "plugin.git", "master~1") if ref == "sha" else ref
    with SmartHttp(served, certificate=certificate) as https:
        result = await bench.one(https.url("plugin.git"), asked)
        assert (result.status, result.message) == (FetchStatus.CLONED, "")
        assert https.connections == 1
        assert len(https.requests) == (3 if ref.startswith("refs/changes/") else 2)


async def test_https_connections_that_were_closed(
    served: Path,
    certificate: tuple[Path, Path],
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a word, while nobody asked anything: that costs a connection, and no try."""
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate[0]))
    with SmartHttp(served, certificate=certificate, hangs_up=True) as https:
        requests = [bench.request(https.url("plugin.git"), name=name) for name in ("one", "two")]
        results = await bench.fetch(*requests, jobs=1, cache_directory="")
        assert [(one.status, one.attempts) for one in results] == [(FetchStatus.CLONED, 1)] * 2
        assert {line.split()[0] for line in https.requests} == {"POST"}


@pytest.mark.parametrize("fate", ["cut", "spoil"])
async def test_https_in_the_middle_of_a_pack(
    fate: str,
    served: Path,
    certificate: tuple[Path, Path],
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What TLS makes of it is still a cut connection, and another try cures that."""
    make_repository(served / "big.git", payload=50_000)
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate[0]))
    with (
        SmartHttp(served, certificate=certificate) as https,
        Proxy(https.port, fate=lambda number: (fate, 60_000) if number == 0 else None) as proxy,
    ):
        result = await bench.one(f"https://127.0.0.1:{proxy.port}/big.git")
    assert (result.status, result.attempts) == (FetchStatus.CLONED, 2)
    assert [event.reason for event in bench.of(FetchRetried)] == ["reset"]


async def test_untrusted_certificate(
    served: Path, certificate: tuple[Path, Path], bench: Bench
) -> None:
    """Not retried, and the hint is about certificates."""
    with SmartHttp(served, certificate=certificate) as https:
        result = await bench.one(https.url("plugin.git"))
    assert (result.failure, result.attempts) == (FailureClass.TLS, 1)
    assert "certificate" in result.hint


async def test_https_where_there_is_no_tls(server: SmartHttp, bench: Bench) -> None:
    """No cut connection: the next try would end alike."""
    result = await bench.one(server.url("plugin.git").replace("http:", "https:"))
    assert (result.failure, result.attempts) == (FailureClass.WRONG_PROTOCOL, 1), result
    assert "http://" in result.hint


@pytest.mark.parametrize(
    ("says", "failure", "attempts"),
    [(b"\x15\x03\x01\0\x02", FailureClass.WRONG_PROTOCOL, 1), (b"", FailureClass.DROPPED, 2)],
    ids=["speaks", "closes"],
)
async def test_ssh_where_there_is_no_sshd(
    says: bytes,
    failure: FailureClass,
    attempts: int,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who just closes may be an sshd that is too busy; the port is named nevertheless."""
    needs("ssh")
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -F /dev/null")

    class Other(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(100)
            self.request.sendall(says)

    with ThreadingTCPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        result = await bench.one(f"ssh://127.0.0.1:{server.server_address[1]}/x.git", tries=2)
        server.shutdown()
    assert (result.failure, result.attempts) == (failure, attempts), result
    assert "the URL's port" in result.hint


@pytest.fixture
def plain_files(served: Path) -> Iterator[str]:
    """The URL of a server that knows nothing of git: what it serves are the files of repositories."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def test_plain_files(plain_files: str, served: Path, bench: Bench, tmp_path: Path) -> None:
    """A server of plain files gives objects one by one; a checkout gets them all, in a pack."""
    repository, work = served / "plugin.git", tmp_path / "work"
    git("clone", "-q", repository, work)

    def publish(text: str) -> str:
        (work / "README").write_text(text)
        git("-C", work, "commit", "-q", "-a", "-m", text)
        git("-C", work, "push", "-q", "origin", "master")
        git("-C", repository, "update-server-info")
        return rev(work)

    for name in ("first", "second"):
        commit = publish(name)
        request = bench.request(f"{plain_files}/plugin.git", name=name)
        (result,) = await bench.fetch(request)
        assert (result.status, result.commit, result.message) == (FetchStatus.CLONED, commit, "")
        assert git("-C", bench.dest / name, "fsck", "--no-dangling") == ""
