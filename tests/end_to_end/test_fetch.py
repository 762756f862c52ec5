"""Options of the fetch through the whole program."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asyncstack.events import FetchFinished, Warned
from asyncstack.lockfile import LOCK_NAME, read_lock
from tests.helpers.gitserver import SmartHttp, commit_files, git, rev
from tests.helpers.lab import Lab
from tests.helpers.privileges import ordinary_user

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    for name in ("one", "two"):
        lab.plugin(name, ":")
    lab.write_conf(lab.enable("one", "two"))
    return lab


@pytest.fixture
def slow_git(lab: Lab, tmp_path: Path) -> dict[str, str]:
    """An environment with a git that does nothing when it is to clone."""
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\ncase "$*" in *clone*) exec sleep 100;; esac\nexec {shutil.which("git")} "$@"\n'
    )
    fake.chmod(0o755)
    return {"PATH": f"{fake.parent}:{lab.environment['PATH']}"}


@pytest.mark.parametrize("limit", ["0.2", ".2s", "0.005m"])
def test_git_timeout_is_written_as_for_timeout(
    limit: str, lab: Lab, slow_git: dict[str, str]
) -> None:
    """DevStack hands it to timeout(1): fractions and units mean what they mean there."""
    lab.write_conf(lab.enable("one"), f"GIT_TIMEOUT={limit}")
    run = lab.run("fetch", lab.conf, "--tries", "1", environment=slow_git)
    assert run.code == 1
    (end,) = run.of(FetchFinished)
    assert "it took longer than 0." in end.message, run


def test_nothing_but_checkouts_is_left_on_the_node(lab: Lab) -> None:
    """No plugin has seen TOP_DIR, and the local.conf in it may hold credentials."""
    lab.write_conf(lab.enable("one"), "PASSWORD=hunter2")
    assert lab.run("fetch", lab.conf).code == 0
    assert (lab.dest / "one").is_dir()
    assert not list((lab.state / "asyncstack").glob("nodes/*"))


def test_tries_and_stall_reach_git(lab: Lab, slow_git: dict[str, str]) -> None:
    """A git that does nothing is given up after --stall, and asked --tries times in all."""
    limits = ("--tries", "1", "--stall", "0.2")
    run = lab.run("fetch", lab.conf, *limits, environment=slow_git)
    assert run.code == 1
    ends = {(event.plugin, event.attempts) for event in run.of(FetchFinished)}
    assert ends == {("one", 3), ("two", 3)}, run  # a stall costs half a try


def test_an_update_that_can_not_write_a_file(lab: Lab) -> None:
    """git says so and succeeds; the update fails, and the next one completes it."""
    assert lab.run("fetch", lab.conf).code == 0
    commit_files(lab.repositories / "one", {"devstack/plugin.sh": "echo new"})
    folder = lab.dest / "one" / "devstack"
    folder.chmod(0o555)
    try:
        run = lab.run("fetch", lab.conf, "--update", wrapper=ordinary_user())
    finally:
        folder.chmod(0o755)
    assert run.code == 1
    assert "Permission denied" in run.stderr
    assert (folder / "plugin.sh").read_text() == ":"
    assert lab.run("fetch", lab.conf).code == 0
    assert (folder / "plugin.sh").read_text() == "echo new"
    assert git("-C", lab.dest / "one", "status", "--porcelain") == ""


def test_quiet_still_says_where_work_was_saved(lab: Lab) -> None:
    """The ref is all that leads back to it; the rest of a run that went well is not told."""
    assert lab.run("fetch", "-q", lab.conf).stderr == ""
    (lab.dest / "one" / "devstack" / "plugin.sh").write_text("mine")
    commit_files(lab.repositories / "one", {"devstack/plugin.sh": "echo new"})
    run = lab.run("fetch", "-q", "--update", "--force", lab.conf)
    assert (run.code, run.stdout, run.stderr.count("\n")) == (0, "", 1), run
    saved = git(
        "-C", lab.dest / "one", "for-each-ref", "--format=%(refname)", "refs/asyncstack/saved"
    )
    assert saved.strip()
    assert run.stderr.startswith("warning: ")
    assert run.stderr.endswith(f"is kept as {saved}")


def test_a_filter_that_is_not_used_is_warned_of(lab: Lab) -> None:
    """GIT_DEPTH of localrc wins over --filter; once for all plugins."""
    lab.write_conf(lab.enable("one", "two") + "GIT_DEPTH=1")
    run = lab.run("fetch", lab.conf, "--filter", "blob:none")
    assert run.code == 0, run
    (warned,) = run.of(Warned)
    assert warned.code == "filter-ignored"
    assert "unset it for partial ones" in run.stderr
    assert lab.run("fetch", lab.conf).of(Warned) == []


def test_a_relative_url_means_the_current_directory(lab: Lab, tmp_path: Path) -> None:
    """As for git clone: origin and lock hold the absolute path, whoever looks from wherever."""
    (tmp_path / "nested").mkdir()
    lab.write_conf(
        "enable_plugin one ./repositories/one\nenable_plugin two ./nested/../repositories/two"
    )
    first = lab.run("fetch", lab.conf, "--write-lock")
    assert first.code == 0, first
    locked = {p.name: p.url for p in read_lock(lab.root / LOCK_NAME).plugins}
    for name, url in locked.items():
        assert url == str(lab.repositories / name)
        assert git("-C", lab.dest / name, "remote", "get-url", "origin").strip() == url
    git("-C", lab.dest / "one", "fetch", "-q")
    commit = commit_files(lab.repositories / "one", {"new": "1"})
    again = lab.run("fetch", lab.conf, "--update")
    assert (again.code, again.of(Warned)) == (0, []), again
    assert rev(lab.dest / "one") == commit


def test_a_relative_url_in_a_resumed_run(lab: Lab, tmp_path: Path) -> None:
    """It means what it meant where the run was started."""
    lab.write_conf("enable_plugin one ./repositories/none")
    failed = lab.run("stack", lab.conf)
    assert failed.code == 1, failed
    lab.plugin("none", ":")
    elsewhere = ["env", "-C", str(lab.home)]
    resumed = lab.run("resume", failed.directory, wrapper=elsewhere, own_directory=True)
    assert resumed.code == 0, resumed
    assert rev(lab.dest / "one") == rev(lab.repositories / "none")


@contextmanager
def nobody_writes(folder: Path) -> Iterator[None]:
    """Take away the right to write from all that a folder holds, for a while."""
    modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_cache_that_can_not_be_written_is_read(lab: Lab, tmp_path: Path) -> None:
    """Without a network, and for what is new; one line says that nothing is kept."""
    cache = tmp_path / "cache"
    lab.write_conf(lab.enable("one"))
    assert lab.run("fetch", lab.conf).code == 0
    before = sorted(cache.rglob("*"))
    with nobody_writes(cache):
        for localrc in (lab.enable("one") + "OFFLINE=True", lab.enable("one", "two")):
            shutil.rmtree(lab.dest)
            lab.write_conf(localrc)
            run = lab.run("fetch", lab.conf, wrapper=ordinary_user())
            assert run.code == 0, run
            (warning,) = run.of(Warned)
            assert warning.code == "cache-unusable"
            assert "keeps nothing of what is fetched: Permission denied: " in warning.message
            assert "or set XDG_CACHE_HOME to another place" in warning.message
            commit = commit_files(lab.repositories / "one", {"devstack/plugin.sh": "echo new"})
        assert lab.run("fetch", lab.conf, "--update", wrapper=ordinary_user()).code == 0
    assert sorted(cache.rglob("*")) == before
    assert rev(lab.dest / "one") == commit
    git("-C", lab.dest / "one", "fsck", "--strict")


def test_a_mirrors_login_is_in_no_file(lab: Lab, tmp_path: Path) -> None:
    """It logs in, and is in neither record, journal nor checkout."""
    (tmp_path / "local.conf").write_text(
        lab.conf.read_text().replace(str(lab.repositories), "https://unreachable.invalid")
    )
    with SmartHttp(lab.repositories) as server:
        mirror = f"https://unreachable.invalid/=http://user:s3cr3t@127.0.0.1:{server.port}/"
        run = lab.run("fetch", tmp_path / "local.conf", "--mirror", mirror)
    assert run.code == 0, run
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert run.directory / "run.json" in files
    assert [file for file in files if b"s3cr3t" in file.read_bytes()] == []
    assert "s3cr3t" not in run.stdout + run.stderr


@pytest.mark.parametrize("spec", ["bogus", "blob:none ", "blob:limit=x", "tree:", "--filter"])
def test_a_filter_that_git_does_not_have(spec: str, lab: Lab) -> None:
    outcome = lab.run("fetch", f"--filter={spec}")
    assert outcome.code == 2
    assert f"--filter {spec}: git has no such filter" in outcome.stderr
    assert not outcome.directory.exists()


def test_a_fetch_is_not_resumed_but_started_again(lab: Lab) -> None:
    lab.plugin("one")
    lab.write_conf(lab.enable("one"))
    outcome = lab.run("fetch")
    refused = lab.run("resume", outcome.directory, own_directory=True)
    assert refused.code == 2
    assert "start it again: asyncstack fetch" in refused.stderr
