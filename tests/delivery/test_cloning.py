"""--fetch-from node: the node clones by itself, and ends with the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from asyncstack.checkouts.values import FetchRequest
from asyncstack.events import FetchFinished, FetchRetried, FetchStarted
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus
from tests.helpers.delivering import Lab, tree_of
from tests.helpers.gitserver import Reply, SmartHttp, commit_files, git, make_repository, rev

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(origin: Path) -> Iterator[SmartHttp]:
    with SmartHttp(origin.parent) as running:
        git("-C", origin, "config", "uploadpack.allowReachableSHA1InWant", "true")
        yield running


def wanted(lab: Lab, server: SmartHttp, ref: str = "master", **changes: object) -> FetchRequest:
    parcel = FetchRequest(
        plugin="plugin",
        url=server.url("plugin.git"),
        ref=ref,
        directory=str(lab.dest / "plugin"),
    )
    return msgspec.structs.replace(parcel, **changes)


@pytest.mark.parametrize(
    "ref", ["master", "stable/2025.1", "1.0.0", "refs/changes/12/3412/5", "SHA", "ABBREVIATED"]
)
async def test_ends_like_a_delivery(ref: str, lab: Lab, origin: Path, server: SmartHttp) -> None:
    """Detached at the commit, origin set, branches, tags and history there, no branch of its own."""
    known = {"SHA": rev(origin, "master~2"), "ABBREVIATED": rev(origin, "master~2")[:10]}
    parcel = wanted(lab, server, known.get(ref, ref))
    (result,) = await lab.clone(parcel)
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    checkout = lab.dest / "plugin"
    assert rev(checkout) == result.commit == rev(origin, parcel.ref)
    assert git("-C", checkout, "status", "--porcelain", "--branch") == "## HEAD (no branch)\n"
    assert git("-C", checkout, "for-each-ref", "refs/heads") == ""
    assert git("-C", checkout, "remote", "get-url", "origin") == f"{parcel.url}\n"
    assert rev(checkout, "origin/master") == rev(checkout, "origin/HEAD") == rev(origin, "master")
    assert rev(checkout, "1.0.0") == rev(origin, "1.0.0")
    assert tree_of(lab.dest) == ["plugin"]


async def test_same_config_as_a_delivery(lab: Lab, origin: Path, server: SmartHttp) -> None:
    """Whichever way it came, git sees the same settings."""
    await lab.clone(wanted(lab, server))
    cloned = git("-C", lab.dest / "plugin", "config", "--local", "--list")
    parcel = lab.parcel(url=server.url("plugin.git"), directory=str(lab.dest / "other"))
    await lab.deliver(parcel)
    assert sorted(cloned.split()) == sorted(
        git("-C", lab.dest / "other", "config", "--local", "--list").split()
    )


async def test_credentials_are_used_and_never_seen(lab: Lab, server: SmartHttp) -> None:
    """The server gets them; argv, config, events and the command line don't."""

    def demand(method: str, path: str) -> Reply | None:
        if "Authorization" in server.headers[-1]:
            return None
        return Reply(401, {"WWW-Authenticate": 'Basic realm="x"'})

    server.answer = demand
    log = lab.root / "argv"
    path = lab.program("git", f'printf "%s\\n" "$*" >>{log}\nexec "$real" "$@"')
    parcel = wanted(lab, server, url=server.url("plugin.git", userinfo="me:hunter%24%272"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", path)
        (result,) = await lab.clone(parcel)
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    assert any("Authorization" in headers for headers in server.headers)
    config = (lab.dest / "plugin" / ".git" / "config").read_text()
    assert "clone" in log.read_text()
    for text in (config, log.read_text(), repr(lab.events), *lab.transport.commands):
        assert "hunter" not in text


async def test_a_partial_clone_behind_a_login(lab: Lab, origin: Path, server: SmartHttp) -> None:
    """It is told that it has no login of its own; an update has, for what it needs of old files."""
    git("-C", origin, "config", "uploadpack.allowFilter", "true")
    old = rev(origin)
    commit_files(origin, {"README": "small", "devstack/plugin.sh": "small"})

    def demand(_method: str, _path: str) -> Reply | None:
        if "Authorization" in server.headers[-1]:
            return None
        return Reply(401, {"WWW-Authenticate": 'Basic realm="x"'})

    server.answer = demand
    parcel = wanted(lab, server, url=server.url("plugin.git", userinfo="me:hunter2"))
    (result,) = await lab.clone(parcel, filter="blob:none")
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    assert [warning.code for warning in result.warnings] == ["filter-login"]
    (back,) = await lab.clone(msgspec.structs.replace(parcel, commit=old), update=True)
    assert (back.status, back.commit, back.message) == (FetchStatus.UPDATED, old, "")


async def test_a_partial_clone_from_a_mirror(lab: Lab, origin: Path, server: SmartHttp) -> None:
    """Its files come from there as well, and its origin is what was asked for."""
    git("-C", origin, "config", "uploadpack.allowFilter", "true")
    parcel = wanted(lab, server, url="http://127.0.0.1:9/plugin.git")
    mirrors = (("http://127.0.0.1:9/", server.url("")),)
    (result,) = await lab.clone(parcel, filter="blob:none", mirrors=mirrors)
    assert (result.status, result.message) == (FetchStatus.CLONED, "")
    assert git("-C", lab.dest / "plugin", "remote", "get-url", "origin") == f"{parcel.url}\n"


async def test_credentials_follow_no_redirect(lab: Lab, origin: Path, server: SmartHttp) -> None:
    """They are for the host that the URL names."""
    with SmartHttp(origin.parent) as other:
        other.answer = lambda _method, _path: Reply(401, {"WWW-Authenticate": 'Basic realm="x"'})
        elsewhere = other.url("").rstrip("/")
        server.answer = lambda _method, path: Reply(301, {"Location": elsewhere + path})
        parcel = wanted(lab, server, url=server.url("plugin.git", userinfo="me:secret"))
        (result,) = await lab.clone(parcel)
        assert result.failure is FailureClass.AUTHENTICATION
        assert other.headers
        assert not [headers for headers in other.headers if "Authorization" in headers]


async def test_failures_are_gits_words(lab: Lab, origin: Path, server: SmartHttp) -> None:
    """Each has its class; the others go on; nothing is left behind, and nobody is asked."""
    make_repository(origin.parent / "private.git")

    def demand(_method: str, path: str) -> Reply | None:
        private = path.startswith("/private")
        return Reply(401, {"WWW-Authenticate": 'Basic realm="x"'}) if private else None

    server.answer = demand
    cases = [
        wanted(lab, server, "no-such", directory=str(lab.dest / "a")),
        wanted(lab, server, url=server.url("none.git"), directory=str(lab.dest / "b")),
        wanted(lab, server, url=server.url("private.git"), directory=str(lab.dest / "c")),
        wanted(lab, server, "refs/changes/9/9/9", directory=str(lab.dest / "d")),
        wanted(lab, server),
    ]
    *bad, good = await lab.clone(*cases)
    assert [result.failure for result in bad] == [
        FailureClass.REF_NOT_FOUND,
        FailureClass.NOT_FOUND,
        FailureClass.AUTHENTICATION,
        FailureClass.REF_NOT_FOUND,
    ]
    assert good.status is FetchStatus.CLONED
    assert tree_of(lab.dest) == ["plugin"]


async def test_a_busy_server_is_asked_again(lab: Lab, server: SmartHttp) -> None:
    """What another try may cure is tried again, and told; the checkout is as good."""
    server.answer = lambda _method, _path: Reply(503) if len(server.requests) == 1 else None
    (result,) = await lab.clone(wanted(lab, server))
    assert result.status is FetchStatus.CLONED
    (retried,) = lab.of(FetchRetried)
    assert (retried.attempt, retried.reason, retried.node) == (1, "throttled", "node1")
    assert lab.of(FetchFinished)[-1].attempts == 2


async def test_what_is_there_stays(lab: Lab, server: SmartHttp) -> None:
    """The second time nothing is asked of the server, and one command of the node."""
    await lab.clone(wanted(lab, server))
    asked, commands = len(server.requests), len(lab.transport.commands)
    (result,) = await lab.clone(wanted(lab, server))
    assert (result.status, result.commit) == (FetchStatus.PRESENT, rev(lab.dest / "plugin"))
    assert (len(server.requests), len(lab.transport.commands)) == (asked, commands + 1)
    assert len(lab.of(FetchStarted)) == len(lab.of(FetchFinished)) == 2


async def test_bad_credentials_reach_nobody(lab: Lab, server: SmartHttp) -> None:
    """A line break in a password would be the next line's beginning."""
    parcel = wanted(lab, server, url=server.url("plugin.git", userinfo="me:a%0Ab"))
    (result,) = await lab.clone(parcel)
    assert result.failure is FailureClass.REFUSED_BY_US
    assert lab.transport.commands == []


@pytest.mark.parametrize("jobs", [1, 3])
async def test_cap(jobs: int, lab: Lab, origin: Path, server: SmartHttp) -> None:
    """No more clones at once than asked for: each holds a place while it runs."""
    places = lab.root / "places"
    places.mkdir()
    script = (
        'case "$*" in *" clone "*)\n'
        f"mkdir {places}/$$; ls {places} | wc -l >>{lab.root}/counts\n"
        f'"$real" "$@"; status=$?; rmdir {places}/$$; exit "$status" ;; esac\nexec "$real" "$@"'
    )
    parcels = [wanted(lab, server, directory=str(lab.dest / f"p{n}")) for n in range(6)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", lab.program("git", script))
        results = await lab.clone(*parcels, jobs=jobs)
    assert {result.status for result in results} == {FetchStatus.CLONED}
    counts = [int(line) for line in (lab.root / "counts").read_text().split()]
    assert len(counts) == 6
    assert max(counts) <= jobs
