"""asyncstack.lock through the whole program: written, kept to, refreshed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from asyncstack.events import Warned
from asyncstack.lockfile import LOCK_NAME, read_lock
from tests.helpers.lab import Lab, repository

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    for name in ("one", "two"):
        lab.plugin(name, ":")
    lab.write_conf(lab.enable("one", "two"))
    return lab


def head(checkout: Path) -> str:
    line = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()


def commit(lab: Lab, name: str) -> str:
    """A new commit in a plugin's repository."""
    repository(lab.repositories / name, {"new": f"{name}\n"})
    return head(lab.repositories / name)


def test_a_lab_is_made_again_from_its_lock(lab: Lab, tmp_path: Path) -> None:
    """What was locked is checked out in a new DEST, whatever has come upstream since."""
    assert lab.run("fetch", lab.conf, "--write-lock").code == 0
    locked = {p.name: p.commit for p in read_lock(lab.root / LOCK_NAME).plugins}
    assert locked == {name: head(lab.dest / name) for name in ("one", "two")}
    newer = commit(lab, "one")
    elsewhere = tmp_path / "elsewhere"
    run = lab.run("stack", lab.conf, "--locked", "--dest", elsewhere)
    assert run.code == 0, run
    assert {name: head(elsewhere / name) for name in locked} == locked
    assert newer not in locked.values()


def test_update_refreshes_the_lock_for_the_plugins_it_names(lab: Lab) -> None:
    lab.run("fetch", lab.conf, "--write-lock")
    before = {p.name: p.commit for p in read_lock(lab.root / LOCK_NAME).plugins}
    newer = commit(lab, "two")
    commit(lab, "one")
    assert lab.run("fetch", lab.conf, "two", "--update").code == 0
    after = {p.name: p.commit for p in read_lock(lab.root / LOCK_NAME).plugins}
    assert after == {"one": before["one"], "two": newer}


def test_a_lock_that_disagrees_with_local_conf_is_refused(lab: Lab) -> None:
    lab.run("fetch", lab.conf, "--write-lock")
    lab.plugin("three", ":")
    lab.write_conf(lab.enable("one", "three"))
    run = lab.run("stack", lab.conf, "--locked")
    assert run.code == 2
    assert "plugin 'three' is not locked" in run.stderr
    assert "plugin 'two' is locked, but local.conf doesn't enable it" in run.stderr
    assert not (lab.dest / "three").exists()


def test_locked_without_a_lock_says_how_to_make_one(lab: Lab) -> None:
    run = lab.run("fetch", lab.conf, "--locked")
    assert run.code == 2
    assert "asyncstack fetch --write-lock" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--locked", "--update"], "exclude each other"),
        (["--locked", "--write-lock"], "exclude each other"),
        (["one"], "names say which plugins to update"),
    ],
)
def test_wishes_that_contradict_each_other(lab: Lab, arguments: list[str], said: str) -> None:
    run = lab.run("fetch", lab.conf, *arguments)
    assert (run.code, said in run.stderr, lab.dest.exists()) == (2, True, False), run


def test_nodes_with_plugins_of_their_own(lab: Lab, tmp_path: Path) -> None:
    """One lock for all of them; each is kept to what it enables, and names reach each of them."""
    dests = {name: tmp_path / name for name in ("first", "second")}
    inventory = ["all:", "  hosts:"]
    for name, dest in dests.items():
        text = lab.conf.read_text().replace(f"DEST={lab.dest}\n", f"DEST={dest}\n")
        own = tmp_path / f"{name}.conf"
        own.write_text(text if name == "first" else text.replace(lab.enable("two"), ""))
        inventory.append(f"    {name}: {{ansible_connection: local, local_conf: {own}}}")
    (tmp_path / "lab.yaml").write_text("\n".join(inventory))
    fetch = ("fetch", lab.conf, "-i", tmp_path / "lab.yaml")
    run = lab.run(*fetch, "--write-lock")
    assert (run.code, f"lock:    {lab.root / LOCK_NAME}" in run.stderr) == (0, True), run
    before = {p.name: p.commit for p in read_lock(lab.root / LOCK_NAME).plugins}
    assert list(before) == ["one", "two"]
    newer = commit(lab, "two")
    assert lab.run(*fetch, "--locked").code == 0
    assert lab.run(*fetch, "--locked", "--limit", "second").code == 0
    run = lab.run(*fetch, "--update", "two")
    assert run.code == 0, run
    after = {p.name: p.commit for p in read_lock(lab.root / LOCK_NAME).plugins}
    assert after == {"one": before["one"], "two": newer}
    assert (head(dests["first"] / "two"), head(dests["second"] / "one")) == (newer, before["one"])


def test_names_alone_mean_the_local_conf_here(lab: Lab) -> None:
    """`fetch --update two`: LOCAL_CONF may be left out before names, too."""
    lab.run("fetch", lab.conf)
    newer, old = commit(lab, "two"), head(lab.dest / "one")
    commit(lab, "one")
    run = lab.run("fetch", "--update", "two", wrapper=["env", "-C", str(lab.root)])
    assert run.code == 0, run
    assert (head(lab.dest / "one"), head(lab.dest / "two")) == (old, newer)


def test_an_unknown_name_is_refused(lab: Lab) -> None:
    run = lab.run("fetch", lab.conf, "nosuch", "--update")
    assert run.code == 2
    assert "plugin 'nosuch': is not enabled" in run.stderr


def test_prefetch_brings_what_plugins_would_clone_later(lab: Lab) -> None:
    """GITREPO of a plugin's settings, if LIBS_FROM_GIT names it, is there before pre-install."""
    repository(lab.repositories / "library", {"file": "x\n"})
    settings = (
        f'GITREPO["library"]={lab.repositories}/library\nGITDIR["library"]=$DEST/library\n'
        'GITBRANCH["library"]=master\n'
    )
    lab.plugin("user", "[[ $2 != pre-install || -f $DEST/library/file ]]", settings=settings)
    lab.write_conf("LIBS_FROM_GIT=library\n" + lab.enable("user"))
    assert lab.run("stack", lab.conf).step("user", "pre-install").status == "failed"
    assert not (lab.dest / "library").exists()
    run = lab.run("stack", lab.conf, "--prefetch")
    assert run.code == 0, run


def test_what_can_not_be_prefetched_is_left_to_the_plugin(lab: Lab) -> None:
    """A warning that says so: nothing has failed yet, and no enable_plugin line is wrong."""
    settings = f'GITREPO["library"]={lab.repositories}/dead\nGITDIR["library"]=$DEST/library\n'
    lab.plugin("user", "", settings=settings)
    lab.write_conf("LIBS_FROM_GIT=library\n" + lab.enable("user"))
    run = lab.run("stack", lab.conf, "--prefetch")
    assert run.code == 0, run
    (warned,) = run.of(Warned)
    assert warned.code == "not-prefetched"
    assert "the plugin that needs it will try the clone itself" in run.stderr
    assert "enable_plugin" not in run.stderr
    assert "✗" not in run.stderr
    assert run.stderr.count(f"{lab.repositories}/dead' does not exist") == 1
    report = lab.run("report", run.directory, own_directory=True)
    assert "! library can't be prefetched" in report.stdout
    assert "✗ library" not in report.stdout
