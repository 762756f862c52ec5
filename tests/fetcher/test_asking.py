"""Questions to servers: few connections where that is plain, git for everything else."""

from __future__ import annotations

import threading
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from asyncstack.git.pktline import Advertised, parse_refs
from asyncstack.git.refs import parse_ls_remote, read_refs
from asyncstack.git.smart_http import Conversation, is_plain
from asyncstack.git.urls import parse_url
from asyncstack.model import FetchStatus
from tests.helpers.fetching import Bench
from tests.helpers.gitserver import Proxy, Reply, SmartHttp, git, make_repository

pytestmark = pytest.mark.anyio


async def test_the_answer_is_ls_remotes(served: Path, server: SmartHttp) -> None:
    """Names, objects and peeled tags, as git would have read them."""
    url = server.url("plugin.git")
    conversation = Conversation(parse_url(url), 10)
    answer = await anyio.to_thread.run_sync(conversation.refs, url)
    conversation.close()
    assert isinstance(answer, Advertised)
    assert answer.refs == parse_ls_remote(git("ls-remote", "--heads", "--tags", url))
    assert answer.refs.names == read_refs(served / "plugin.git").shown()
    assert answer.head == "refs/heads/master"


@pytest.mark.parametrize("caps", [{"jobs_per_host": 3}, {"jobs": 3}], ids=str)
async def test_many_repositories_few_connections(
    caps: dict[str, int], served: Path, server: SmartHttp, bench: Bench
) -> None:
    """Twelve questions, three connections at most: the caps hold for questions, too."""
    names = [f"p{number}" for number in range(12)]
    for name in names:
        make_repository(served / f"{name}.git", commits=1)
    requests = [bench.request(server.url(f"{name}.git"), name=name) for name in names]
    await bench.fetch(*requests)
    server.requests.clear()
    server.connections = 0
    results = await bench.fetch(*requests, update=True, **caps)
    assert {result.status for result in results} == {FetchStatus.PRESENT}
    assert len(server.requests) == 12
    assert server.connections <= 3


@pytest.mark.parametrize("caps", [{"jobs_per_host": 3}, {"jobs": 3}], ids=str)
async def test_questions_and_clones_share_their_caps(
    caps: dict[str, int], served: Path, bench: Bench
) -> None:
    """Some repositories are in the cache, and others new: three connections at most for all."""
    names = [f"p{number}" for number in range(12)]
    for name in names:
        make_repository(served / f"{name}.git", commits=1)
    with SmartHttp(served, think_s=0.02) as server:
        requests = [bench.request(server.url(f"{name}.git"), name=name) for name in names]
        await bench.fetch(*requests[::2])
        server.connections = 0
        server.requests.clear()
        results = await bench.fetch(*requests, update=True, **caps)
    assert all(result.status.good for result in results)
    assert len(server.requests) == 6 + 6 * 2
    assert server.connections <= 3


@pytest.mark.parametrize(
    "reply",
    [
        Reply(301, {"Location": "/elsewhere"}),
        Reply(403),
        Reply(500),
        Reply(200, {"Content-Type": "text/html"}, b"<html>"),
        Reply(200, {"Content-Type": "application/x-git-upload-pack-result"}, b"0032short"),
        Reply(200, {"Content-Type": "application/x-git-upload-pack-result"}, b"zzzz"),
    ],
)
async def test_what_isnt_plain_is_gits(
    reply: Reply, served: Path, server: SmartHttp, bench: Bench
) -> None:
    """Any other answer than refs: git asks again, and knows what to make of it."""
    await bench.one(server.url("plugin.git"))
    replies = [reply]
    server.requests.clear()
    server.answer = lambda _method, _path: replies.pop() if replies else None
    result = await bench.one(server.url("plugin.git"), update=True)
    assert result.status is FetchStatus.PRESENT
    assert [line.split()[0] for line in server.requests] == ["POST", "GET", "POST"]


async def test_configured_http_is_gits(
    served: Path, server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """A user's own header, proxy or rewriting is known to git alone."""
    (tmp_path / "home" / ".gitconfig").write_text("[http]\n\textraHeader = X-Mine: yes\n")
    await bench.one(server.url("plugin.git"))
    server.requests.clear()
    await bench.one(server.url("plugin.git"), update=True)
    assert [line.split()[0] for line in server.requests] == ["GET", "POST"]
    assert server.headers[-1]["X-Mine"] == "yes"


async def test_cancelled_in_the_middle(served: Path, server: SmartHttp, bench: Bench) -> None:
    """A silent server doesn't keep a cancelled question."""
    await bench.one(server.url("plugin.git"))
    with Proxy(server.port, fate=lambda _number: ("freeze", 0)) as proxy:
        git("-C", bench.dest / "plugin", "remote", "set-url", "origin", "x")
        url = f"http://127.0.0.1:{proxy.port}/plugin.git"
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: bench.fetch(bench.request(url), update=True))
                while not proxy.connections:  # noqa: ASYNC110 - it can't tell us
                    await anyio.sleep(0.01)
                group.cancel_scope.cancel()
    assert not [
        one for one in threading.enumerate() if "conversation" in one.name and not one.daemon
    ]


async def test_nobody_waits_any_more(served: Path) -> None:
    """A kept connection that fails because we gave up is no reason to open another one."""
    with SmartHttp(served) as server:
        url = server.url("plugin.git")
        conversation = Conversation(parse_url(url), 10)
        assert conversation.refs(url)
        server.think_s = 0.5
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: anyio.to_thread.run_sync(conversation.refs, url))
            while len(server.requests) == 1:  # noqa: ASYNC110 - it can't tell us
                await anyio.sleep(0.01)
            conversation.abandon()
        assert server.connections == 1


@pytest.mark.parametrize(
    ("url", "environ", "plain"),
    [
        ("https://h/x", {}, True),
        ("http://h/x", {"PATH": "x", "no_proxy": "*"}, True),
        ("https://h/x", {"https_proxy": "p"}, False),
        ("https://h/x", {"ALL_PROXY": "p"}, False),
        ("https://h/x", {"GIT_SSL_CAINFO": "f"}, True),
        ("https://h/x", {"GIT_SSL_NO_VERIFY": "1"}, False),
        ("http://h/x", {"GIT_SSL_NO_VERIFY": "1"}, True),
        ("https://h/x", {"GIT_HTTP_USER_AGENT": "u"}, False),
        ("https://u:p@h/x", {}, False),
        ("https://user@h/x", {}, False),
        ("https://h/x?y", {}, False),
        ("https://h/x#y", {}, False),
        ("HTTPS://h/x", {}, False),
        ("git://h/x", {}, False),
        ("/x", {}, False),
    ],
)
def test_plain(url: str, environ: dict[str, str], plain: bool) -> None:
    """Only what nothing of the user's changes."""
    assert is_plain(parse_url(url), environ) is plain


def test_answers_that_are_none() -> None:
    """Cut, garbled, followed by something."""
    line = b"003f" + b"a" * 40 + b" refs/heads/master\n"
    assert parse_refs(line + b"0000") is not None
    assert parse_refs(b"0000") is not None
    for bad in (b"", line, line[:20], line + b"0000x", b"0008ERR\n0000", b"0001", b"<htm"):
        assert parse_refs(bad) is None
