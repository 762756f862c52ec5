"""Nodes whose login shell is another one, or says something before it does what it is told."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from asyncstack.model import Node
from asyncstack.transports.ssh import SshAccess, SshOptions, SshTransport
from tests.helpers.lab import alive
from tests.helpers.sshd import Sshd, available, start_sshd
from tests.ssh.lab import SshLab

# What a .bashrc with an echo does, whatever bash was built to read.
_GREETS = "ForceCommand echo WELCOME; echo 12345 >&2; echo 'to all' >&2; exec sh -c \"$SSH_ORIGINAL_COMMAND\""


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    if not available():
        pytest.skip("sshd is not installed")
    sshd = start_sshd(tmp_path / "sshd", _GREETS)
    yield sshd
    sshd.stop()


def transport_to(sshd: Sshd) -> SshTransport:
    options = SshOptions(key_file=str(sshd.key), known_hosts=str(sshd.known_hosts))
    return SshTransport(Node("one", "127.0.0.1", sshd.user, sshd.port), options, SshAccess())


@pytest.mark.anyio
async def test_only_the_command_is_heard(sshd: Sshd) -> None:
    async with transport_to(sshd) as transport:
        done = await transport.run("cat; echo end >&2", stdin=b"\0\1\n" * 100_000)
        assert (done.exit_status, done.stdout) == (0, b"\0\1\n" * 100_000)
        assert done.stderr == b"end\n"
        assert (await transport.run("true")).stdout == b""


@pytest.mark.anyio
async def test_a_command_that_is_left_ends(sshd: Sshd, tmp_path: Path) -> None:
    """What is to be killed is known by its own number, not by what the greeting takes for one."""
    async with transport_to(sshd) as transport:
        async with transport.open_process(
            f"echo $$ >{tmp_path}/pid; echo; exec sleep 1000"
        ) as left:
            await left.stdout.receive()
            pid = (tmp_path / "pid").read_text().strip()
            assert alive(pid)
        with anyio.fail_after(10):
            while alive(pid):  # noqa: ASYNC110 – it is nobody's child
                await anyio.sleep(0.02)


@pytest.mark.anyio
@pytest.mark.parametrize("shell", ["bash", "dash", "tcsh", "fish"])
async def test_every_login_shell_takes_the_same_command(tmp_path: Path, shell: str) -> None:
    """To csh a quote ends with its line and `!` is history; fish knows backslashes in quotes."""
    if not (available() and shutil.which(shell)):
        pytest.skip(f"sshd or {shell} is not installed")
    sshd = start_sshd(tmp_path / "sshd", f'ForceCommand {shell} -c "$SSH_ORIGINAL_COMMAND"')
    text = "two\nlines \\ \\\\ \\n 'x' \"y\" $HOME `z` a!b !! %s \\0101 é"
    try:
        async with transport_to(sshd) as transport:
            done = await transport.run(f"printf '%s ' {shlex.quote(text)}\nfalse || exit 3")
            assert (done.exit_status, done.stdout) == (3, f"{text} ".encode())
    finally:
        sshd.stop()


def test_a_follower_that_can_not_live_is_given_up(lab: SshLab) -> None:
    """It was made anew for ever, several times a second; that the driver lives changes nothing."""
    programs = lab.root / "programs"
    programs.mkdir()
    (programs / "tail").write_text("#!/bin/sh\necho no tail today >&2\n")
    (programs / "tail").chmod(0o755)
    changed = f'ForceCommand PATH={programs}:$PATH exec sh -c "$SSH_ORIGINAL_COMMAND"'
    lab.node("one", lab.daemon(changed))
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack()
    assert outcome.code == 5, outcome
    assert "what follows its driver there ends at once (status 1): no tail today" in outcome.stderr


def test_files_are_copied_and_runs_taken_up(lab: SshLab) -> None:
    """Whatever we want to hear from a node: an archive, the nonce of a driver."""
    one = lab.node("one", lab.daemon(_GREETS))
    two = lab.node("two", lab.daemon(_GREETS))
    (one.sshd.home / "shared").write_text("hello\n")
    go = lab.root / "go"
    lab.witnesses(
        "plugin", more=f"while [[ ${{2:-}} = install && ! -e {go} ]]; do sleep 0.05; done"
    )
    lab.write_inventory()
    text = lab.inventory.read_text()
    copy = '"vars": {"asyncstack_copy": [{"after": "pre-install", "from": "one", "to": "two", "paths": ["~/shared"]}]}, '
    lab.inventory.write_text(text.replace('{"all": {', '{"all": {' + copy, 1))
    process, directory = lab.start_stack()
    lab.wait_for(process, {"event": "step-started", "node": "one", "phase": "install"})
    process.kill()
    process.wait()
    assert (two.sshd.home / "shared").read_text() == "hello\n"
    go.touch()
    outcome = lab.again("attach", directory)
    assert outcome.code == 0, outcome
