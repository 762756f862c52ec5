"""The runtime tree where DevStack is expected: under its own test suite, and under real plugins.

ASYNCSTACK_DEVSTACK names a DevStack checkout, ASYNCSTACK_PLUGINS a folder of plugin checkouts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TREE = HERE.parents[1] / "asyncstack" / "runtime" / "tree"
SUITE = [
    "functions",
    "ini_config",
    "ip",
    "libs_from_pypi",
    "localconf",
    "package_ordering",
    "refs",
    "truefalse",
    "vercmp",
]


def folder_from(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set")
    return Path(value)


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=100,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
    )


def test_devstacks_own_suite_as_nobody() -> None:
    """The script that expects a file that can't be created: root could create any."""
    devstack = folder_from("ASYNCSTACK_DEVSTACK")
    wrapper: list[str] = []
    # pytest's own folders are closed to other users.
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "devstack"
        shutil.copytree(TREE, tree)
        shutil.copytree(devstack / "tests", tree / "tests")
        if os.geteuid() == 0:
            if shutil.which("setpriv") is None:
                pytest.skip("setpriv is not installed")
            wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
            for path in (Path(folder), *Path(folder).rglob("*")):
                os.chown(path, 65534, 65534)
        ours = run(tree, *wrapper, "bash", "tests/test_meta_config.sh", HOME=folder)
    assert ours.returncode == 0, ours.stdout + ours.stderr
    assert "failed" not in ours.stdout
    assert ours.stdout.count("OK") > 20


@pytest.mark.parametrize("name", SUITE)
def test_devstacks_own_suite(tmp_path: Path, name: str) -> None:
    """Unedited, with our tree in the place of the one that it was written for."""
    devstack = folder_from("ASYNCSTACK_DEVSTACK")
    tree = tmp_path / "devstack"
    shutil.copytree(TREE, tree)
    shutil.copytree(devstack / "tests", tree / "tests")
    ours = run(tree, "bash", f"tests/test_{name}.sh")
    assert ours.returncode == 0, ours.stdout + ours.stderr
    # Some of the scripts only print what went wrong; more may not go wrong than in DevStack.
    theirs = run(devstack, "bash", f"tests/test_{name}.sh")
    assert ours.stdout.count("ERROR:") <= theirs.stdout.count("ERROR:"), ours.stdout


@pytest.mark.parametrize("order", ["forward", "backward"])
def test_real_plugins_load_into_one_shell(tmp_path: Path, order: str) -> None:
    """Override-defaults and settings of all of them, then each plugin.sh with an unknown mode."""
    plugins = folder_from("ASYNCSTACK_PLUGINS")
    names = sorted(path.parent.name for path in plugins.glob("*/devstack"))
    assert names, f"{plugins} holds no plugin checkouts"
    if order == "backward":
        names.reverse()
    destination = tmp_path / "stack"
    for name in names:
        shutil.copytree(plugins / name / "devstack", destination / name / "devstack")
    tree = tmp_path / "tree"
    shutil.copytree(TREE, tree)
    result = run(
        tmp_path,
        "bash",
        "--norc",
        "--noprofile",
        str(HERE / "tree_load.bash"),
        TREE=str(tree),
        DEST=str(destination),
        NAMES=" ".join(names),
        HOME=str(tmp_path),
    )
    assert "all were loaded" in result.stdout, result.stderr[-3000:]
