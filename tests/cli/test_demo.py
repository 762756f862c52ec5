"""The demo: everything it promises, and everything it prints."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from asyncstack.cli import demo_folder
from asyncstack.cli.demo import NEXT
from asyncstack.events import FetchFinished, FetchStarted, RunFinished, StepFinished
from asyncstack.journal import read_events
from asyncstack.model import Status
from asyncstack.transports.embedded import ADDRESS, EmbeddedLab
from tests.helpers.gitserver import needs
from tests.helpers.program import PLUGINS, Program

NOBODY = 65534

NODES = ("controller", *demo_folder.NODES)


@dataclass(frozen=True)
class Demo:
    program: Program
    folder: Path
    result: subprocess.CompletedProcess[str]


def contents(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def journal(folder: Path) -> Path:
    (path,) = (folder / "state" / "asyncstack" / "runs").glob("*/events.jsonl")
    return path


def made(folder: Path, node: str = "controller") -> Path:
    """What the plugins put on a node."""
    return folder / "nodes" / node / "data" / "demo"


def commands(output: str, folder: Path) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(str(folder))]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """One demo for all the tests that only look at what it left."""
    program = Program(tmp_path_factory.mktemp("demo"))
    folder = program.folder / "demo"
    return Demo(program, folder, program.run("demo", folder))


def test_it_stacks_three_plugins_and_says_where_everything_is(demo: Demo) -> None:
    assert demo.result.returncode == 0, demo.result.stderr
    for name in PLUGINS:
        assert name in demo.result.stdout
    assert f"journal: {journal(demo.folder)}" in demo.result.stderr
    assert f"logs:    {journal(demo.folder).parent / 'logs'}" in demo.result.stderr
    for node in NODES:
        assert (made(demo.folder, node) / "checked").read_text() == "ok\n"


def test_every_step_is_ok_and_the_second_plugin_is_the_slow_one(demo: Demo) -> None:
    events = list(read_events(journal(demo.folder)))
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert {step.status for step in steps} <= {Status.OK, Status.SKIPPED}
    assert {step.node for step in steps} == set(NODES)
    slowest = max(steps, key=lambda step: step.duration_s)
    assert (slowest.plugin, slowest.phase) == ("demo-service", "install")
    assert isinstance(events[-1], RunFinished)
    assert events[-1].exit_code == 0


def test_the_plugins_are_fetched_concurrently(demo: Demo) -> None:
    """Three clones from the repositories, all of them begun before one has ended."""
    kinds = [
        type(event)
        for event in read_events(journal(demo.folder))
        if isinstance(event, FetchStarted | FetchFinished)
    ]
    assert kinds[:6] == [FetchStarted] * 3 + [FetchFinished] * 3


def test_the_nodes_keep_step(demo: Demo) -> None:
    """One is slower; the others wait for it at the end of its phase."""
    steps = [e for e in read_events(journal(demo.folder)) if isinstance(e, StepFinished)]
    order = list(dict.fromkeys(step.phase or step.mode.value for step in steps))
    assert [step.phase or step.mode.value for step in steps] == [
        phase for phase in order for step in steps if (step.phase or step.mode.value) == phase
    ]


def test_nothing_is_left_outside_of_its_folder(demo: Demo) -> None:
    assert contents(demo.program.home) == []
    assert contents(demo.program.temporary) == []
    assert contents(demo.program.folder) == [demo.folder]
    assert demo.program.survivors() == []


def test_the_meta_section_of_local_conf_wins_over_the_plugin(demo: Demo) -> None:
    assert "debug = True" in (made(demo.folder) / "demo.conf").read_text()


def test_without_a_folder_it_makes_one_in_the_temporary_folder(program: Program) -> None:
    result = program.run("demo")
    assert result.returncode == 0, result.stderr
    (folder,) = contents(program.temporary)
    assert folder.name.startswith("asyncstack-demo-")
    assert len(commands(result.stdout, folder)) == len(NEXT)


def test_every_command_that_it_prints_works_in_a_new_shell(program: Program) -> None:
    folder = program.folder / "demo"
    output = program.run("demo", folder).stdout
    printed = commands(output, folder)
    assert len(printed) == len(NEXT)
    environment = {"PATH": os.environ["PATH"], "HOME": str(program.home)}
    settings = [f"{name}={value}" for name, value in environment.items()]
    source = f"PYTHONPATH={program.environment['PYTHONPATH']}"
    for line in printed:
        result = program.shell(["env", "-i", "-C", "/", *settings, source, "sh", "-c", line])
        assert result.returncode == 0, (line, result.stderr)
        assert result.stdout, line
    assert [node for node in NODES if made(folder, node).exists()] == []
    assert contents(program.home) == []
    removal = output.splitlines()[-1].partition(": ")[2]
    program.shell(["sh", "-c", removal])
    assert not folder.exists()


def test_unstack_and_clean_undo_what_stack_did_on_every_node(program: Program) -> None:
    folder = program.folder / "demo"
    program.run("demo", folder)
    everything = {"checked", "demo-service", "demo.conf", "output"}
    for node in NODES:
        assert {path.name for path in made(folder, node).iterdir()} == everything
    program.shell([str(folder / "asyncstack"), "unstack", "-i", "lab.yaml"])
    for node in NODES:
        assert {path.name for path in made(folder, node).iterdir()} == {"demo-service"}
    program.shell([str(folder / "asyncstack"), "clean", "-i", "lab.yaml"])
    assert [node for node in NODES if made(folder, node).exists()] == []


def test_the_nodes_stay_for_a_run_in_the_background(program: Program) -> None:
    folder = program.folder / "demo"
    program.run("demo", "-q", folder)
    command = str(folder / "asyncstack")
    run = program.shell([command, "stack", "-i", "lab.yaml", "--detach"]).stdout.strip()
    followed = program.shell([command, "logs", run, "--follow", "--plugin", "demo-service"])
    assert followed.stdout.count("good morning from demo-service") == len(NODES)
    last = list(read_events(folder / "state/asyncstack/runs" / run / "events.jsonl"))[-1]
    assert isinstance(last, RunFinished)
    assert last.status is Status.OK


def test_a_port_that_is_taken_is_said(program: Program) -> None:
    """By a program that was started between the demo and the command."""
    folder = program.folder / "demo"
    program.run("demo", "-q", folder)
    node = EmbeddedLab(folder / "nodes").nodes[0]
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((ADDRESS, node.port))
        other.listen()
        result = program.shell([str(folder / "asyncstack"), "stack", "-i", "lab.yaml"])
        report = program.shell([str(folder / "asyncstack"), "report"])
    assert result.returncode == 5
    assert "can't be started" in result.stderr
    assert "Traceback" not in result.stderr
    assert report.returncode == 0  # what needs no nodes starts none


def test_quiet_prints_the_folder_and_nothing_else(program: Program) -> None:
    folder = program.folder / "demo"
    result = program.run("demo", "-q", folder)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{folder}\n", "")


def test_json_prints_events_and_nothing_else_on_stdout(program: Program) -> None:
    folder = program.folder / "demo"
    result = program.run("demo", "--json", folder)
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert events[0]["event"] == "run-started"
    assert events[-1]["event"] == "run-finished"
    assert len(commands(result.stderr, folder)) == len(NEXT)


@pytest.mark.parametrize("where", ["with space", "it's", "50%41"])
def test_a_folder_that_plugins_cannot_cope_with_is_refused(program: Program, where: str) -> None:
    result = program.run("demo", program.folder / where)
    assert result.returncode == 2
    assert where in result.stderr
    assert not (program.folder / where).exists()


def test_a_folder_that_holds_something_is_left_alone(program: Program) -> None:
    folder = program.folder / "mine"
    folder.mkdir()
    (folder / "precious").write_text("mine")
    result = program.run("demo", folder)
    assert result.returncode == 2
    assert "is not empty" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["precious"]


def test_a_file_is_no_folder(program: Program) -> None:
    (program.folder / "file").write_text("")
    result = program.run("demo", program.folder / "file")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_what_git_is_configured_to_do_does_not_matter(program: Program) -> None:
    hooks = program.folder / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    (program.home / ".gitconfig").write_text(
        f"[core]\n hooksPath = {hooks}\n[commit]\n gpgSign = true\n[init]\n defaultBranch = other\n"
        "[user]\n useConfigOnly = true\n"
    )
    assert program.run("demo", program.folder / "demo").returncode == 0


def python_for(program: Program, drop: list[str], env: dict[str, str]) -> str:
    """A Python that an ordinary user can start, and start again from there."""
    code = f"import asyncssh, asyncstack.cli.app, os, sys; open({__file__!r})"
    again = f"{code}; os.execv(sys.executable, [sys.executable, '-c', ''])"
    system = shutil.which("python{}.{}".format(*sys.version_info), path="/usr/bin:/usr/local/bin")
    for python in filter(None, (sys.executable, system)):
        if program.shell([*drop, python, "-c", again], env).returncode == 0:
            return python
    pytest.skip("nobody can't run the programs here")


def test_an_ordinary_user_can_run_it(program: Program) -> None:
    if os.getuid() != 0:
        pytest.skip("everything here is run by an ordinary user anyway")
    needs("setpriv")
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    # Not below tmp_path, which is closed to others.
    folder = Path(tempfile.mkdtemp())
    path = f"{program.environment['PYTHONPATH']}:{sysconfig.get_path('purelib')}"
    env = {"HOME": "/nonexistent", "TMPDIR": str(folder), "PYTHONPATH": path}
    try:
        shutil.chown(folder, NOBODY, NOBODY)
        python = python_for(program, drop, env)
        # From a directory that may be entered; the test's own may not.
        run = ["env", "-C", str(folder), python, "-P", "-m", "asyncstack", "demo", "demo"]
        result = program.shell([*drop, *run], env)
        assert result.returncode == 0, result.stderr
        for node in NODES:
            assert (made(folder / "demo", node) / "checked").stat().st_uid == NOBODY
    finally:
        shutil.rmtree(folder)
