"""The runtime tree, function by function, under real bash: the cases are the files of tree/."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TREE = HERE.parents[1] / "asyncstack" / "runtime" / "tree"
CASES = [
    (path.stem, name)
    for path in sorted((HERE / "tree").glob("*.sh"))
    for name in re.findall(r"^(case_\w+)\(\)", path.read_text(), re.MULTILINE)
]
# Each flag changes what bash does inside the library's functions; plugins run under any of them.
FLAGS = {
    "plain": "",
    "errexit": "set -o errexit -o errtrace",
    "traced": "set -o errexit; exec 9>trace; BASH_XTRACEFD=9; set -o xtrace",
}


def run_case(folder: Path, stem: str, name: str, flags: str) -> None:
    # What bash can't expand ends the line that it stands in, not the script: so the end is on the case's.
    script = f"""
        cd {folder}
        TREE={TREE}
        source {HERE}/tree/assert.sh
        source {HERE}/tree/{stem}.sh
        {flags}
        {name}; set +o xtrace; echo the end was reached
    """
    result = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", "TMPDIR": str(folder)},
    )
    assert "the end was reached" in result.stdout, f"{result.stdout}\n{result.stderr}"


@pytest.mark.parametrize(("stem", "name"), CASES, ids=[f"{s}-{n[5:]}" for s, n in CASES])
def test_case(tmp_path: Path, stem: str, name: str) -> None:
    run_case(tmp_path, stem, name, FLAGS["plain"])


@pytest.mark.parametrize("flags", ["errexit", "traced"])
@pytest.mark.parametrize(
    ("stem", "name"),
    [case for case in CASES if case[0] in {"ini", "services", "truth"}],
    ids=lambda value: value.removeprefix("case_"),
)
def test_case_under_flags(tmp_path: Path, stem: str, name: str, flags: str) -> None:
    """Errexit must not be tripped inside the library, nor a trace change what it does."""
    run_case(tmp_path, stem, name, FLAGS[flags])


def test_every_file_of_cases_has_some() -> None:
    stems = {path.stem for path in (HERE / "tree").glob("*.sh")} - {"assert"}
    assert stems == {stem for stem, _ in CASES}
