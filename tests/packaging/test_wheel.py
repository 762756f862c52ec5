"""What is built is what is used: the sdist, the wheel out of it, and the program out of that."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import asyncstack

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "asyncstack"


def run(*command: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "XDG_"))}
    return subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={**environment, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    run("tar", "-xf", archive, cwd=folder)
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built out of the source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=sdist)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; what that needs comes from the current one."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    # After its own site-packages on sys.path, so that an asyncstack there can't be the one tried.
    (site / "current.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def source_files() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert names == source_files()


def test_it_holds_what_is_no_python(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    assert {
        "asyncstack/py.typed",
        "asyncstack/runtime/driver.bash",
        "asyncstack/runtime/tree/functions",
        "asyncstack/runtime/tree/inc/ini-config",
        "asyncstack/demo_plugins/demo-base/devstack/settings",
    } <= names


def test_modes_survive(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        executable = {
            info.filename for info in opened.infolist() if info.external_attr >> 16 & 0o100
        }
    expected = {name for name in source_files() if os.access(ROOT / name, os.X_OK)}
    assert {name for name in executable if ".dist-info/" not in name} == expected
    assert expected


def test_the_sdist_holds_what_its_tests_need(sdist: Path) -> None:
    for name in ("README.rst", "CHANGES.rst", "LICENSE", "tests/conftest.py", ".ci/run"):
        assert (sdist / name).is_file(), name


def test_the_installed_program_knows_its_version(environment: Path, tmp_path: Path) -> None:
    expected = f"asyncstack {asyncstack.__version__}\n"
    python, script = environment / "bin" / "python", environment / "bin" / "asyncstack"
    assert run(python, "-m", "asyncstack", "--version", cwd=tmp_path).stdout == expected
    assert run(script, "--version", cwd=tmp_path).stdout == expected
    code = "import importlib.metadata as m; print('asyncstack', m.version('asyncstack'))"
    assert run(python, "-c", code, cwd=tmp_path).stdout == expected


def test_the_installed_package_is_the_one_that_runs(environment: Path, tmp_path: Path) -> None:
    code = "import asyncstack; print(asyncstack.__file__)"
    found = run(environment / "bin" / "python", "-c", code, cwd=tmp_path).stdout
    assert found.startswith(str(environment))


def test_the_demo_runs_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    result = run(environment / "bin" / "asyncstack", "demo", folder, cwd=tmp_path)
    assert "demo-service" in result.stdout
    made = [folder / "nodes" / node / "data/demo" for node in ("controller", "compute1")]
    assert [(path / "checked").is_file() for path in made] == [True, True]
    run(folder / "asyncstack", "clean", "-i", "lab.yaml", cwd=tmp_path)
    assert [path.exists() for path in made] == [False, False]
