"""The demo: everything it promises, and everything it prints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from asyncstack.cli.demo import NEXT
from asyncstack.events import FetchFinished, FetchStarted, RunFinished, StepFinished
from asyncstack.journal import read_events
from asyncstack.model import Status
from tests.helpers.gitserver import needs
from tests.helpers.program import PLUGINS, Program

NOBODY = 65534


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
    assert (demo.folder / "data" / "demo" / "checked").read_text() == "ok\n"


def test_every_step_is_ok_and_the_second_plugin_is_the_slow_one(demo: Demo) -> None:
    events = list(read_events(journal(demo.folder)))
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert {step.status for step in steps} <= {Status.OK, Status.SKIPPED}
    slowest = max(steps, key=lambda step: step.duration_s)
    assert (slowest.plugin, slowest.phase) == ("demo-service", "install")
    assert isinstance(events[-1], RunFinished)
    assert events[-1].exit_code == 0


def test_the_plugins_are_fetched_concurrently(demo: Demo) -> None:
    kinds = [
        type(event)
        for event in read_events(journal(demo.folder))
        if isinstance(event, FetchStarted | FetchFinished)
    ]
    assert kinds == [FetchStarted] * 3 + [FetchFinished] * 3


def test_nothing_is_left_outside_of_its_folder(demo: Demo) -> None:
    assert contents(demo.program.home) == []
    assert contents(demo.program.temporary) == []
    assert contents(demo.program.folder) == [demo.folder]
    assert demo.program.survivors() == []


def test_the_meta_section_of_local_conf_wins_over_the_plugin(demo: Demo) -> None:
    assert "debug = True" in (demo.folder / "data" / "demo" / "demo.conf").read_text()


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
    assert not (folder / "data" / "demo").exists()
    assert contents(program.home) == []
    removal = output.splitlines()[-1].partition(": ")[2]
    program.shell(["sh", "-c", removal])
    assert not folder.exists()


def test_unstack_and_clean_undo_what_stack_did(program: Program) -> None:
    folder = program.folder / "demo"
    program.run("demo", folder)
    made = folder / "data" / "demo"
    assert {path.name for path in made.iterdir()} == {
        "checked",
        "demo-service",
        "demo.conf",
        "output",
    }
    program.shell([str(folder / "asyncstack"), "unstack"])
    assert {path.name for path in made.iterdir()} == {"demo-service"}
    program.shell([str(folder / "asyncstack"), "clean"])
    assert not made.exists()


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


def test_an_ordinary_user_can_run_it(program: Program) -> None:
    if os.getuid() != 0:
        pytest.skip("everything here is run by an ordinary user anyway")
    needs("setpriv")
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    program_files = f"import asyncstack.cli.app, sys; open({__file__!r})"
    if program.shell([*drop, sys.executable, "-c", program_files]).returncode:
        pytest.skip("nobody can't read the programs here")
    # Not below tmp_path, which is closed to others.
    folder = Path(tempfile.mkdtemp())
    try:
        shutil.chown(folder, NOBODY, NOBODY)
        run = [sys.executable, "-P", "-m", "asyncstack", "demo", str(folder / "demo")]
        env = {"HOME": "/nonexistent", "TMPDIR": str(folder)}
        result = program.shell([*drop, *run], env)
        assert result.returncode == 0, result.stderr
        assert (folder / "demo" / "data" / "demo" / "checked").stat().st_uid == NOBODY
    finally:
        shutil.rmtree(folder)
