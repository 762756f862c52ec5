"""What is packed on one node is unpacked on another: as it was, all at once, and nothing else is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from asyncstack.run.parts import Part, parts_of

#: All that a shell, a regular expression or tar's --transform might take for something else.
ODD = r"a,b;s&c\d (1+1){2}^$x|'é"


def sh(command: str, home: Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "HOME": str(home)}
    return subprocess.run(
        ["/bin/sh", "-c", command], env=environment, input=given, capture_output=True, check=False
    )


class Pair:
    """The homes of a node that has files and of one that gets them."""

    def __init__(self, root: Path) -> None:
        self.here, self.there = root / "here", root / "there"
        for home in (self.here, self.there):
            home.mkdir()

    def pack(self, *paths: str) -> tuple[Part, bytes]:
        (part,) = parts_of([f"~/{path}" for path in paths])
        packed = sh(part.pack(), self.here)
        assert packed.returncode == 0, packed.stderr
        return part, packed.stdout

    def unpack(
        self, part: Part, archive: bytes, *, owner: str = "", mode: str = "", kept: int = 0
    ) -> str:
        """Give them to the other one, perhaps only so many bytes; what it has to complain of."""
        given = archive[:kept] if kept else archive + b"\n"
        done = sh(part.unpack("two/2", owner, mode, len(archive)), self.there, given)
        assert bool(done.returncode) == bool(done.stderr), done
        return done.stderr.decode()

    def copy(self, *paths: str, owner: str = "", mode: str = "") -> str:
        return self.unpack(*self.pack(*paths), owner=owner, mode=mode)

    def left(self) -> Sequence[Path]:
        return [*self.there.rglob(".asyncstack-copy-*")]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_tree_arrives_as_it_was(pair: Pair) -> None:
    """Modes, symlinks, hard links, empty directories, odd names; below folders that aren't there yet."""
    tree = pair.here / "deep/er" / ODD
    write(tree / "secret", "s", 0o600)
    write(tree / ODD, "odd")
    (tree / "empty").mkdir(mode=0o750)
    (tree / "dangling").symlink_to("/no/where")
    (tree / "beside").symlink_to("secret")
    (tree / "again").hardlink_to(tree / "secret")
    assert pair.copy(f"deep/er/{ODD}") == ""
    copy = pair.there / "deep/er" / ODD
    assert {path.name for path in copy.iterdir()} == {path.name for path in tree.iterdir()}
    assert (copy / "secret").stat().st_mode & 0o777 == 0o600
    assert (copy / "secret").samefile(copy / "again")
    assert (copy / "empty").stat().st_mode & 0o777 == 0o750
    assert (copy / "dangling").readlink() == Path("/no/where")
    assert (copy / "beside").readlink() == Path("secret")
    assert (copy / ODD).read_text() == "odd"
    assert pair.left() == []


def test_what_is_there_already(pair: Pair) -> None:
    """Files are replaced, not written to; of directories the other contents stay; no link is followed."""
    write(pair.here / "conf/d/new", "new")
    write(pair.here / "conf/linked", "new")
    (pair.here / "conf").chmod(0o711)
    write(pair.here / "conf/d/.hidden", "new")
    write(pair.here / "conf/was-folder-link/file", "new")
    open_ = write(pair.there / "conf/d/new", "old").open()
    write(pair.there / "conf/d/other", "stays")
    elsewhere = write(pair.there / "elsewhere/file", "stays")
    (pair.there / "conf/linked").symlink_to(elsewhere)
    (pair.there / "conf/was-folder-link").symlink_to(elsewhere.parent)
    assert pair.copy("conf") == ""
    with open_:
        assert open_.read() == "old"
    conf = pair.there / "conf"
    found = {
        str(path.relative_to(conf)): path.read_text() for path in conf.rglob("*") if path.is_file()
    }
    assert found == {
        "d/new": "new",
        "d/.hidden": "new",
        "d/other": "stays",
        "linked": "new",
        "was-folder-link/file": "new",
    }
    assert conf.stat().st_mode & 0o777 == 0o711
    assert elsewhere.read_text() == "stays"
    assert pair.left() == []


def test_a_file_does_not_take_the_place_of_a_directory(pair: Pair) -> None:
    write(pair.here / "name", "file")
    write(pair.there / "name/within", "stays")
    assert "cannot overwrite directory" in pair.copy("name")
    assert (pair.there / "name/within").read_text() == "stays"
    assert pair.left() == []


@pytest.mark.parametrize("kept", [1, 700, 30_000, 51_200], ids=str)
def test_half_an_archive_changes_nothing(pair: Pair, kept: int) -> None:
    """It fails, and cleans up."""
    write(pair.here / "conf/a", "new " * 10_000)
    write(pair.there / "conf/a", "old")
    part, archive = pair.pack("conf")
    assert len(archive) == 51_200
    assert pair.unpack(part, archive, kept=kept)
    assert (pair.there / "conf/a").read_text() == "old"
    assert pair.left() == []


def test_what_a_try_has_left_is_removed_by_the_next(pair: Pair) -> None:
    """Where it was unpacked beside the place, and where within it; what other nodes are at stays."""
    write(pair.here / "conf/a", "new")
    write(pair.here / "file", "new")
    write(pair.there / ".asyncstack-copy-two-2.0123/0/a", "half")
    write(pair.there / "conf/.asyncstack-copy-two-2.4567/0", "half")
    other = write(pair.there / ".asyncstack-copy-two.89ab/0", "another node, of the same home")
    assert pair.copy("conf", "file") == ""
    assert pair.left() == [other.parent]


def test_nothing_of_another_copy_is_taken_along(pair: Pair) -> None:
    write(pair.here / "conf/a", "new")
    write(pair.here / "conf/.asyncstack-copy-one.0123/0", "half")
    assert pair.copy("conf") == ""
    assert [path.name for path in (pair.there / "conf").iterdir()] == ["a"]


def test_paths_that_lie_within_each_other(pair: Pair) -> None:
    """In any order, however they are written; also the whole home."""
    write(pair.here / "conf/d/a", "new")
    write(pair.here / "confound", "new")
    assert pair.copy("conf/d", "conf//d/./a", "conf/", "./confound") == ""
    assert (pair.there / "conf/d/a").read_text() == "new"
    assert (pair.there / "confound").read_text() == "new"
    write(pair.here / "b", "new")
    write(pair.there / "c", "stays")
    assert pair.copy(".") == ""
    assert {path.name for path in pair.there.iterdir()} == {"conf", "confound", "b", "c"}
    assert pair.left() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owner_and_mode_are_those_of_what_was_copied(pair: Pair) -> None:
    """And of nothing else that lies there."""
    write(pair.here / "conf/d/a", "new")
    write(pair.there / "conf/d/other", "stays")
    assert pair.copy("conf", owner="65534:65534", mode="0640") == ""
    conf = pair.there / "conf"
    assert {(conf / name).stat().st_uid for name in (".", "d", "d/a")} == {65534}
    assert (conf / "d/a").stat().st_mode & 0o777 == 0o640
    other = (conf / "d/other").stat()
    assert (other.st_uid, other.st_mode & 0o777) == (0, 0o644)
