"""From what was typed to an exit code and a message."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import asyncstack
from asyncstack.errors import ConnectError, LocalConfError
from tests.helpers.program import Program, make_plugin, write_local_conf

entry = importlib.import_module("asyncstack.cli.main")  # the package has a function of that name


def test_version(program: Program) -> None:
    result = program.run("--version")
    assert (result.returncode, result.stdout) == (0, f"asyncstack {asyncstack.__version__}\n")


def test_no_arguments_print_the_help_and_are_wrong(program: Program) -> None:
    result = program.run()
    assert result.returncode == 2
    assert "asyncstack demo" in result.stdout + result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["stack", "--nonsense"],
        ["stack", "--jobs", "0"],
        ["stack", "one", "two"],
        ["report", "--format", "nonsense"],
    ],
)
def test_what_is_typed_wrong_is_2_and_no_traceback(program: Program, arguments: list[str]) -> None:
    result = program.run(*arguments)
    assert result.returncode == 2
    assert "Usage:" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["stack", "unstack", "clean", "fetch", "plan"])
def test_no_local_conf(program: Program, command: str) -> None:
    result = program.run(command)
    assert result.returncode == 2
    assert result.stderr.startswith("asyncstack: local.conf: no such file\n")
    assert result.stdout == ""


def test_a_phase_that_the_command_does_not_have(program: Program) -> None:
    write_local_conf(program.folder)
    result = program.run("stack", "--phase", "nonsense")
    assert result.returncode == 2
    assert "pre-install, install" in result.stderr


def test_a_run_that_does_not_exist(program: Program) -> None:
    result = program.run("report", "20200101-000000-abcd")
    assert result.returncode == 2
    assert "20200101-000000-abcd" in result.stderr


def test_a_step_that_fails_is_1(program: Program) -> None:
    plugin = make_plugin(program.folder / "bad", "if [[ $2 == install ]]; then false; fi\n")
    write_local_conf(program.folder, plugin)
    result = program.run("stack")
    assert result.returncode == 1
    assert "plugin.sh:1" in result.stderr


def test_a_fetch_that_fails_is_1(program: Program) -> None:
    write_local_conf(program.folder, program.folder / "missing")
    result = program.run("stack")
    assert result.returncode == 1
    assert "missing" in result.stderr


def test_a_reader_that_has_had_enough_ends_us_quietly(program: Program) -> None:
    command = f"{sys.executable} -m asyncstack stack --help | head -c 1"
    result = program.shell(["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"])
    assert result.stdout.splitlines()[-1].removeprefix("U") in {"0", "141"}
    assert result.stderr == ""


@pytest.fixture
def stacked(program: Program) -> Program:
    """A run that ended well, to be shown; its output is longer than a reader who goes away waits."""
    write_local_conf(program.folder, make_plugin(program.folder / "hello", "echo hello\n"))
    assert program.run("stack", "-q").returncode == 0
    return program


def shell(program: Program, script: str) -> subprocess.CompletedProcess[str]:
    return program.shell(
        ["bash", "-c", script.replace("asyncstack", f"{sys.executable} -m asyncstack")]
    )


def unread(program: Program, command: str) -> tuple[int, bytes]:
    """Exit code and stderr of a command whose stdout nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as stdout:
        process = subprocess.Popen(
            [sys.executable, "-m", "asyncstack", command],
            cwd=program.folder,
            env=program.environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )
        _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def test_a_reader_that_goes_away_is_not_a_failed_step(stacked: Program) -> None:
    for command in ("plan", "report"):
        assert unread(stacked, command) == (141, b""), command
    code, errors = unread(stacked, "stack")
    assert code == 0  # a run ends as it ends, whoever reads its table
    assert b"Traceback" not in errors


def test_a_full_disk_behind_stdout_is_said(stacked: Program) -> None:
    for command in ("--help", "report", "logs"):
        result = shell(stacked, f"asyncstack {command} >/dev/full")
        assert result.returncode == 2, command
        assert "standard output: can't be written: No space left" in result.stderr
        assert "Traceback" not in result.stderr


def test_closed_streams_and_poor_encodings_do_no_harm(stacked: Program) -> None:
    assert shell(stacked, "asyncstack stack <&- >&- 2>&-").returncode == 0
    for command in ("plan", "report"):
        result = shell(stacked, f"PYTHONIOENCODING=ascii asyncstack {command}")
        assert (result.returncode, result.stderr) == (0, "")
        assert "hello" in result.stdout


@pytest.mark.parametrize(("command", "option"), [("stack", "--limit"), ("plan", "--order")])
def test_a_choice_of_nodes_needs_nodes(program: Program, command: str, option: str) -> None:
    """Ignored, it would stack this machine instead of those that were meant."""
    write_local_conf(program.folder)
    result = program.run(command, option, "compute")
    assert result.returncode == 2
    assert f"{option} compute: there is no inventory" in result.stderr


@pytest.mark.parametrize("command", ["stack", "hosts trust"])
def test_one_of_two_inventories_is_not_taken_for_both(program: Program, command: str) -> None:
    write_local_conf(program.folder)
    for name in ("a", "b"):
        (program.folder / name).write_text(f"all: {{hosts: {{{name}: }}}}")
    result = program.run(*command.split(), "-i", "a", "-i", "b")
    assert result.returncode == 2
    assert "-i a -i b: asyncstack reads one inventory" in result.stderr
    assert "ansible-inventory -i a -i b --list" in result.stderr


def test_a_list_of_hosts_is_no_inventory(program: Program) -> None:
    """As -i takes one elsewhere."""
    write_local_conf(program.folder)
    result = program.run("stack", "-i", "one,two")
    assert result.returncode == 2
    assert "-n HOST" in result.stderr


@pytest.mark.parametrize("command", ["stack", "unstack", "clean"])
def test_what_a_devstack_checkout_is_needed_for_is_said(program: Program, command: str) -> None:
    """The error of a missing core function names --devstack: who follows that is not left alone."""
    write_local_conf(program.folder)
    result = program.run(command, "--devstack", "/opt/devstack")
    assert result.returncode == 2
    assert "--devstack /opt/devstack: this version can't" in result.stderr
    assert "asyncstack plan --deep" in result.stderr


def test_an_error_on_purpose_is_its_message_and_its_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert entry._report(ConnectError("compute1", "refused", hint="is sshd running?")) == 5
    assert capsys.readouterr().err == ("asyncstack: node compute1: refused\n  is sshd running?\n")


def test_errors_in_groups_of_groups_are_all_told(capsys: pytest.CaptureFixture[str]) -> None:
    inner = ExceptionGroup("inner", [LocalConfError("one"), LocalConfError("two")])
    assert entry._report(ExceptionGroup("outer", [inner])) == 2
    assert capsys.readouterr().err == "asyncstack: one\nasyncstack: two\n"


def test_a_bug_leaves_its_details_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One surprise among expected errors makes the whole a bug."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    group = ExceptionGroup("mixed", [LocalConfError("one"), ZeroDivisionError("surprise")])
    assert entry._report(group) == 70
    (details,) = tmp_path.iterdir()
    assert "surprise" in details.read_text()
    assert str(details) in capsys.readouterr().err


def test_python_m_is_the_same_program(program: Program) -> None:
    code = "import sys; sys.argv[1:] = ['--version']; from asyncstack.cli import main; main()"
    direct = program.shell([sys.executable, "-c", code])
    assert isinstance(direct, subprocess.CompletedProcess)
    assert direct.stdout == program.run("--version").stdout
