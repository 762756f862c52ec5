"""What <TAB> offers, in a real bash, and by the protocol of the other shells."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from asyncstack.plan import phase_names
from tests.helpers.program import Program, make_plugin, write_local_conf


@pytest.fixture
def installed(program: Program) -> Path:
    """A folder for PATH that holds `asyncstack`, as an installation has it."""
    folder = program.folder / "bin"
    folder.mkdir()
    command = folder / "asyncstack"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m asyncstack "$@"\n')
    command.chmod(0o755)
    return folder


@pytest.fixture
def run_id(program: Program) -> str:
    """A run of two plugins."""
    plugins = [make_plugin(program.folder / name, "echo hi\n") for name in ("apple", "pear")]
    write_local_conf(program.folder, *plugins)
    result = program.run("stack", "--json")
    return str(json.loads(result.stdout.splitlines()[0])["run_id"])


def tab(program: Program, installed: Path, *words: str) -> list[str]:
    """What bash would offer for these words, the last one being typed."""
    script = f"""
    PATH={installed}:$PATH
    eval "$(asyncstack --show-completion)"
    COMP_WORDS=(asyncstack {" ".join(map(shlex.quote, words))})
    COMP_CWORD={len(words)}
    function=$(complete -p asyncstack | grep -o '_[a-z_]*')
    "$function" asyncstack
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    result = program.shell(["bash", "--norc", "-c", script])
    assert result.stderr == ""
    return [line for line in result.stdout.splitlines() if line]


def test_subcommands(program: Program, installed: Path) -> None:
    assert set(tab(program, installed, "unst")) == {"unstack"}
    assert {"stack", "unstack", "clean", "fetch", "plan", "report", "runs", "logs", "demo"} <= set(
        tab(program, installed, "")
    )


def test_options(program: Program, installed: Path) -> None:
    assert set(tab(program, installed, "stack", "--fr")) == {"--from-phase"}


@pytest.mark.parametrize("option", ["--phase", "--from-phase", "--until-phase"])
def test_phases(program: Program, installed: Path, option: str) -> None:
    assert tab(program, installed, "stack", option, "") == phase_names("stack")
    assert tab(program, installed, "plan", option, "p") == [
        "prerequisites",
        "pre-install",
        "post-config",
    ]


def test_runs(program: Program, installed: Path, run_id: str) -> None:
    assert tab(program, installed, "report", "") == [run_id]
    assert tab(program, installed, "logs", run_id[:4]) == [run_id]
    assert tab(program, installed, "report", "x") == []


def test_what_a_run_holds(program: Program, installed: Path, run_id: str) -> None:
    assert tab(program, installed, "logs", "--plugin", "p") == ["pear"]
    assert tab(program, installed, "logs", run_id, "--plugin", "a") == ["apple"]
    assert tab(program, installed, "logs", "--node", "") == ["localhost"]
    assert tab(program, installed, "logs", "--phase", "inst") == ["install"]


def test_without_any_run_nothing_is_offered_and_nothing_is_said(
    program: Program, installed: Path
) -> None:
    assert tab(program, installed, "report", "") == []
    assert tab(program, installed, "logs", "--plugin", "") == []


def test_zsh_and_fish_get_the_same(program: Program) -> None:
    words = "asyncstack stack --phase post"
    zsh = {"_ASYNCSTACK_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": words}
    assert "post-config" in program.run(env=zsh).stdout
    fish = {
        "_ASYNCSTACK_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    assert "post-config" in program.run(env=fish).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_its_script(program: Program, shell: str) -> None:
    script = program.run(env={"_ASYNCSTACK_COMPLETE": f"source_{shell}"}).stdout
    assert "_ASYNCSTACK_COMPLETE" in script


def test_it_installs_itself_into_a_new_bash(program: Program, installed: Path) -> None:
    env = {"PATH": f"{installed}:{program.environment['PATH']}"}
    script = "asyncstack --install-completion; exit"
    assert program.shell(["bash", "--norc", "-c", script], env).returncode == 0
    check = "source ~/.bashrc; complete -p asyncstack"
    assert "_asyncstack_completion" in program.shell(["bash", "-c", check], env).stdout
