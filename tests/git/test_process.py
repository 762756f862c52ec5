"""Running git: what it says, how it ends, and that nothing of it is left."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from asyncstack.git.failures import FailureClass, classify, essence
from asyncstack.git.process import Limits, run_git
from asyncstack.git.progress import Progress, ProgressParser

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def script(tmp_path: Path, body: str) -> str:
    path = tmp_path / "git"
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)
    return str(path)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - it can't tell us
            await anyio.sleep(0.01)


async def test_ends_well(tmp_path: Path) -> None:
    """Status, both streams."""
    ended = await run_git([script(tmp_path, "echo out; echo err >&2")], env=os.environ)
    assert (ended.ok, ended.returncode, ended.stdout, ended.words) == (True, 0, "out\n", "err")


async def test_much_output_on_both_sides(tmp_path: Path) -> None:
    """No deadlock, nothing lost on stdout, the end of stderr kept."""
    body = "for i in {1..20000}; do echo line $i; echo err $i >&2; done"
    ended = await run_git([script(tmp_path, body)], env=os.environ)
    assert ended.stdout.count("\n") == 20000
    assert ended.words.endswith("err 20000")


async def test_last_words_without_credentials(tmp_path: Path) -> None:
    """Redacted where they enter."""
    body = "echo \"fatal: unable to access 'https://u:secret@h/x/'\" >&2; exit 128"
    ended = await run_git([script(tmp_path, body)], env=os.environ)
    assert ended.words == "fatal: unable to access 'https://***@h/x/'"


async def test_a_child_that_holds_the_pipes(tmp_path: Path) -> None:
    """A daemon left behind (a credential cache, an ssh master) doesn't keep us, and lives on."""
    body = "(trap '' TERM HUP; exec sleep 60) & echo $! ; exit 0"
    with anyio.fail_after(10):
        ended = await run_git([script(tmp_path, body)], env=os.environ)
    daemon = int(ended.stdout)
    assert ended.ok
    assert alive(daemon)
    os.kill(daemon, 9)


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM;"])
async def test_cancelling_kills_the_group(stubborn: str, tmp_path: Path) -> None:
    """TERM, then KILL, for git and what it started, before the cancellation goes on."""
    body = f"{stubborn} sleep 60 & echo $$ $! > {tmp_path}/pids.new; mv {tmp_path}/pids.new {tmp_path}/pids; wait; wait"
    program = script(tmp_path, body)
    async with anyio.create_task_group() as group:

        async def run() -> None:
            await run_git([program], env=os.environ)

        group.start_soon(run)
        await until((tmp_path / "pids").exists)
        group.cancel_scope.cancel()
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    await until(lambda: not any(alive(pid) for pid in pids))  # the kernel takes its moment


async def test_timeout(tmp_path: Path) -> None:
    """A limit on the whole call, busy or not."""
    ended = await run_git(
        [script(tmp_path, "while :; do echo x >&2; sleep 0.05; done")],
        env=os.environ,
        limits=Limits(timeout_s=0.3),
    )
    assert ended.failure is FailureClass.TIMEOUT
    assert ended.words.endswith("it took longer than 0.3 s")


async def test_stall(tmp_path: Path) -> None:
    """A git that neither speaks nor moves nor computes."""
    ended = await run_git(
        [script(tmp_path, "sleep 60")], env=os.environ, limits=Limits(stall_s=0.4)
    )
    assert ended.failure is FailureClass.STALL
    assert ended.words == "git was ended: for 0.4 s nothing moved"


@pytest.mark.parametrize(
    "body",
    [
        "for i in {1..12}; do echo x >&2; sleep 0.1; done",
        "for i in {1..12}; do head -c 1000 /dev/zero >/dev/null; sleep 0.1; done",
        "end=$((SECONDS+2)); while ((SECONDS < end)); do :; done",
    ],
    ids=["speaking", "moving bytes", "computing"],
)
async def test_no_stall(body: str, tmp_path: Path) -> None:
    """Any of them is a sign of life."""
    ended = await run_git([script(tmp_path, body)], env=os.environ, limits=Limits(stall_s=0.6))
    assert ended.failure is None


async def test_killed_from_outside(tmp_path: Path) -> None:
    """The out-of-memory killer's work is worth another try."""
    ended = await run_git([script(tmp_path, "kill -9 $$")], env=os.environ)
    assert (ended.failure, ended.returncode) == (FailureClass.RESET, -9)
    assert "signal 9" in ended.words


async def test_missing_program() -> None:
    """A value, as every failure."""
    ended = await run_git(["/nonexistent/git"], env=os.environ)
    assert ended.failure is FailureClass.GIT_MISSING


def test_progress() -> None:
    """Carriage returns, pieces cut anywhere, rates; the rest is kept as words."""
    text = (
        b"Cloning into bare repository 'x'...\n"
        b"remote: Counting objects:  50% (1/2)\rremote: Counting objects: 100% (2/2), done.\n"
        b"Receiving objects:  10% (1/10), 1.50 MiB | 3.00 MiB/s\r"
        b"Receiving objects: 100% (10/10), 3.00 MiB | 2.00 MiB/s, done.\n"
        b"Resolving deltas:  50% (1/2)\r"
        b"fatal: something\nremote: a word from the server\n"
    )
    for size in (1, 7, len(text)):
        parser = ProgressParser()
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        seen = [progress for piece in pieces if (progress := parser.feed(piece)) is not None]
        assert seen[-1] == Progress("resolve", 0.5, 1, 2, 3 << 20, 0.0)
        assert parser.words == "fatal: something\nremote: a word from the server"
        assert (parser.received_bytes, parser.objects) == (3 << 20, 10)


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        ("fatal: unable to access 'https://h/': Could not resolve host: h", FailureClass.DNS),
        ("fatal: unable to look up h (port 9418) (Name or service not known)", FailureClass.DNS),
        ("fatal: unable to access 'x': Failed to connect to h port 443", FailureClass.REFUSED),
        ("error: RPC failed; curl 56 Recv failure: Connection reset by peer", FailureClass.RESET),
        ("fatal: the remote end hung up unexpectedly\nfatal: early EOF", FailureClass.RESET),
        (
            "error: RPC failed; HTTP 429 curl 22 The requested URL returned error: 429",
            FailureClass.THROTTLED,
        ),
        (
            "fatal: unable to access 'x': The requested URL returned error: 503",
            FailureClass.THROTTLED,
        ),
        ("RPC failed; HTTP 413 curl 22 The requested URL returned error: 413", FailureClass.OTHER),
        ("kex_exchange_identification: Connection closed by remote host", FailureClass.DROPPED),
        (
            "banner exchange: Connection to 127.0.0.1 port 443: invalid format",
            FailureClass.WRONG_PROTOCOL,
        ),
        (
            "fatal: unable to access 'x': error:0A00010B:SSL routines::wrong version number",
            FailureClass.WRONG_PROTOCOL,
        ),
        (
            "fatal: unable to access 'x': gnutls_handshake() failed: An unexpected TLS packet was received.",
            FailureClass.WRONG_PROTOCOL,
        ),
        (
            "fatal: gnutls_handshake() failed: The TLS connection was non-properly terminated.",
            FailureClass.RESET,
        ),
        ("fatal: unable to access 'x': The requested URL returned error: 502", FailureClass.SERVER),
        ("fetch-pack: 5329 bytes of body are still expected", FailureClass.RESET),
        (
            "fatal: unable to access 'http://h:x/p/': URL using bad/illegal format or missing URL",
            FailureClass.NOT_FOUND,
        ),
        ("fatal: unable to access 'http://h:x/p/': URL rejected: Port", FailureClass.NOT_FOUND),
        ("fatal: couldn't find remote ref nope", FailureClass.REF_NOT_FOUND),
        ("fatal: remote error: upload-pack: not our ref 0123", FailureClass.REF_NOT_FOUND),
        (
            "fatal: could not read Username for 'https://h': terminal prompts disabled",
            FailureClass.AUTHENTICATION,
        ),
        ("git@h: Permission denied (publickey).", FailureClass.AUTHENTICATION),
        ("Host key verification failed.", FailureClass.HOST_KEY),
        ("fatal: repository 'https://h/x/' not found", FailureClass.NOT_FOUND),
        ("fatal: '/x' does not appear to be a git repository", FailureClass.NOT_FOUND),
        ("fatal: transport 'ext' not allowed", FailureClass.REFUSED_BY_US),
        (
            "fatal: unable to access 'x': SSL certificate problem: self-signed certificate",
            FailureClass.TLS,
        ),
        (
            "fatal: unable to access 'x': server certificate verification failed. CAfile: none",
            FailureClass.TLS,
        ),
        (
            "error: RPC failed; curl 28 Operation too slow. Less than 1 bytes/sec",
            FailureClass.STALL,
        ),
        ("fatal: unable to access 'x': Connection timed out after 300 s", FailureClass.TIMEOUT),
        (
            "fatal: write error: No space left on device\nfatal: index-pack failed",
            FailureClass.DISK_FULL,
        ),
        ("fatal: cannot create directory at 'x': Permission denied", FailureClass.PERMISSION),
        (
            "error: Your local changes to the following files would be overwritten",
            FailureClass.LOCAL_CHANGES,
        ),
        ("fatal: protocol error: bad line length character: <htm", FailureClass.GARBAGE),
        ("fatal: unable to access 'x': Error in the HTTP2 framing layer", FailureClass.RESET),
        (
            "error: RPC failed; curl 92 HTTP/2 stream 5 was not closed cleanly: INTERNAL_ERROR",
            FailureClass.RESET,
        ),
        (
            "fatal: unable to access 'x': HTTP/2 stream 1 was not closed cleanly before end",
            FailureClass.RESET,
        ),
        (
            "fatal: OpenSSL SSL_read: error:0A000126:SSL routines::unexpected eof while reading",
            FailureClass.RESET,
        ),
        (
            "fatal: unable to access 'x': GnuTLS recv error (-54): Error in the pull function.",
            FailureClass.RESET,
        ),
        ("fatal: unable to access 'x': Send failure: Broken pipe", FailureClass.RESET),
        ("fatal: unable to access 'x': SSL connection timeout", FailureClass.TIMEOUT),
        (
            "fatal: unable to access 'x': The requested URL returned error: 408",
            FailureClass.TIMEOUT,
        ),
        (
            "fatal: unable to access 'x': Received HTTP code 503 from proxy after CONNECT",
            FailureClass.THROTTLED,
        ),
        (
            "fatal: unable to access 'x': CONNECT tunnel failed, response 502",
            FailureClass.SERVER,
        ),
        (
            "fatal: unable to access 'x': CONNECT tunnel failed, response 407",
            FailureClass.AUTHENTICATION,
        ),
        ("fatal: detected dubious ownership in repository at '/x'", FailureClass.OTHER),
        ("who knows", FailureClass.OTHER),
    ],
)
def test_classes(words: str, failure: FailureClass) -> None:
    """git's, curl's and ssh's words, as they are in the wild."""
    assert classify(words) is failure


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("remote: hello\nfatal: early EOF\nfatal: index-pack failed", "fatal: early EOF"),
        ("fatal: early EOF\ngit was ended: it took too long", "git was ended: it took too long"),
        ("the repository is empty", "the repository is empty"),
        ("fatal: Could not read from remote repository.", None),
        (
            """\
ssh: connect to host h port 22: Connection refused
fatal: Could not read from remote repository.
Please make sure you have the correct access rights
and the repository exists.""",
            "ssh: connect to host h port 22: Connection refused",
        ),
        ("", ""),
    ],
)
def test_essence(words: str, line: str | None) -> None:
    """The line that says why, not the advice, nor what git adds to the words of others."""
    assert essence(words) == (words if line is None else line)
