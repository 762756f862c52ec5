"""Refs: what they look like, what they mean, and that our reading is git's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.git.layout import (
    head_of,
    origin_url,
    read_head,
    unfinished,
    write_config,
    write_packed_refs,
)
from asyncstack.git.refs import (
    RefKind,
    RefTable,
    check_ref,
    extra_refspec,
    kind_of_ref,
    parse_ls_remote,
    read_refs,
    suggest,
)
from tests.helpers.gitserver import commit_files, git, make_repository, rev

SHA = "0123456789abcdef" * 2 + "01234567"


@pytest.mark.parametrize(
    ("ref", "kind"),
    [
        ("master", RefKind.NAMED),
        ("stable/2025.1", RefKind.NAMED),
        ("refs/heads/x", RefKind.NAMED),
        ("refs/tags/x", RefKind.NAMED),
        ("refs/changes/12/3412/5", RefKind.OTHER),
        ("HEAD", RefKind.OTHER),
        (SHA, RefKind.COMMIT),
        (SHA.upper(), RefKind.COMMIT),
        (SHA[:10], RefKind.ABBREVIATED),
        ("deadbeef", RefKind.ABBREVIATED),
        ("decade", RefKind.NAMED),
    ],
)
def test_kinds(ref: str, kind: RefKind) -> None:
    """How it has to be asked for."""
    assert kind_of_ref(ref) is kind
    assert bool(extra_refspec(ref)) == (kind in (RefKind.COMMIT, RefKind.OTHER))


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "-x",
        "--all",
        "a b",
        "a..b",
        "a:b",
        "+a",
        "a~1",
        "a^",
        "a*",
        "x.lock",
        "a//b",
        "/a",
        "a/",
        "@{u}",
        "a\n",
        "a/.b",
    ],
)
def test_refused(ref: str) -> None:
    """Options, refspecs, revision expressions."""
    assert check_ref(ref) or ref == "+a"


def test_a_plus_is_no_force(tmp_path: Path) -> None:
    """`+a` is a valid branch name for git; it never stands where git would read the plus."""
    assert extra_refspec("+a") == ""


@given(st.text())
def test_what_we_allow_git_allows_as_well(ref: str) -> None:
    """Nothing passes that could be read as anything but a name."""
    if not check_ref(ref):
        assert not ref.startswith("-")
        assert not set(ref) & set(" :~^*?[\\\0\n\t")
        assert ".." not in ref


def test_reading_is_gits(tmp_path: Path) -> None:
    """Packed, loose and both: names and peeled commits are what for-each-ref says."""
    repository = make_repository(tmp_path / "r.git", commits=6)
    git("-C", repository, "pack-refs", "--all")
    commit_files(repository, {"x": "1"})
    git("-C", repository, "tag", "-a", "-m", "t", "2.0.0")
    git("-C", repository, "tag", "light")
    table = read_refs(repository)
    lines = git("-C", repository, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    assert sorted(f"{name} {oid}" for name, oid in table.names.items()) == lines
    assert table.commit("refs/tags/1.0.0") == rev(repository, "1.0.0")
    assert table.commit("refs/tags/2.0.0") == ""  # loose and annotated: git has to say
    assert table.commit("refs/heads/master") == rev(repository, "master")


def test_writing_is_gits(tmp_path: Path) -> None:
    """What we write as packed-refs, git reads."""
    repository = make_repository(tmp_path / "r.git", commits=6)
    git("-C", repository, "pack-refs", "--all")
    before = git(
        "-C", repository, "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)"
    )
    table = read_refs(repository)
    (repository / "packed-refs").unlink()
    write_packed_refs(repository, table)
    after = git(
        "-C", repository, "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)"
    )
    assert after == before
    assert read_refs(repository) == table


def test_names_of_any_bytes(tmp_path: Path) -> None:
    """git finds each of them by halving the file, so that their order is that of bytes."""
    repository = make_repository(tmp_path / "r.git", refs=())
    for name in ("caf\udce9", "cafz", "café", "a\u2028b", "a\x85b", "ab", "ac"):
        git("-C", repository, "branch", name, "master")
    git("-C", repository, "pack-refs", "--all")
    table = read_refs(repository)
    (repository / "packed-refs").unlink()
    write_packed_refs(repository, table)
    assert len(table.names) == 7 + len(("master", "stable/2025.1", "1.0.0"))
    for name, oid in table.names.items():
        assert git("-C", repository, "rev-parse", "--verify", name).strip() == oid
    listed = f"{SHA}\trefs/heads/a\u2028b\n{SHA}\trefs/heads/a\x85b\n"
    assert list(parse_ls_remote(listed).names) == ["refs/heads/a\u2028b", "refs/heads/a\x85b"]


def test_tags_come_before_branches() -> None:
    """As gitrevisions has it, and `git fetch` with it."""
    table = RefTable({"refs/heads/x": "1", "refs/tags/x": "2", "refs/heads/y": "3"})
    assert table.find("x") == "refs/tags/x"
    assert table.find("heads/x") == "refs/heads/x"
    assert table.find("refs/heads/x") == "refs/heads/x"
    assert table.find("y") == "refs/heads/y"
    assert table.find("z") == ""


def test_ls_remote() -> None:
    """Peeled tags come as lines of their own; anything else is skipped."""
    table = parse_ls_remote(f"{SHA}\trefs/tags/a\n{SHA[::-1]}\trefs/tags/a^{{}}\nnoise\n")
    assert table.names == {"refs/tags/a": SHA}
    assert table.peeled == {"refs/tags/a": SHA[::-1]}


def test_suggestions() -> None:
    """What it may have meant."""
    assert "main" in suggest("master", ["main", "x"])
    assert suggest("stable/2025.2", ["stable/2025.1"]) == "did you mean 'stable/2025.1'?"
    assert suggest("abc", ["xyz"]) == ""


@pytest.mark.parametrize("url", ["https://h/x", 'a"b\\c', "/p#q;r", "x y"])
def test_config_round_trip(url: str, tmp_path: Path) -> None:
    """git and we read the URL that we wrote."""
    git("init", "-q", tmp_path)
    write_config(tmp_path / ".git", url)
    assert git("-C", tmp_path, "config", "remote.origin.url") == f"{url}\n"
    assert origin_url(tmp_path / ".git") == url


def test_heads(tmp_path: Path) -> None:
    """Unborn, on a branch, detached."""
    git("init", "-q", "--initial-branch=master", tmp_path)
    git_dir = tmp_path / ".git"
    assert (head_of(git_dir).commit, head_of(git_dir).branch) == ("", "master")
    git("-C", tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    assert head_of(git_dir).commit == rev(tmp_path)
    git("-C", tmp_path, "checkout", "-q", "--detach")
    assert (head_of(git_dir).commit, head_of(git_dir).branch) == (rev(tmp_path), "")
    assert read_head(tmp_path / "nothing") == ""
    assert unfinished(git_dir) == ""
    (git_dir / "MERGE_HEAD").write_text("x")
    assert unfinished(git_dir) == "merge"
