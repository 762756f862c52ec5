"""Reading local.conf and what lies beside it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from asyncstack.errors import LocalConfError
from asyncstack.localconf import (
    is_secret,
    literal_secrets,
    parse_sections,
    read_local_conf,
    secret_names,
    suspicions,
)


def write(folder: Path, text: str) -> Path:
    path = folder / "local.conf"
    path.write_text(text)
    return path


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    """What bash says about a line of localrc is about that line of local.conf."""
    text = "# comment\n[[local|localrc]]\nA=1\n[[extra|x]]\nB=2\n[[local|localrc]]\nC=3\n"
    conf = read_local_conf(write(tmp_path, text))
    assert conf.localrc is not None
    lines = conf.localrc.split("\n")
    assert (lines[2], lines[6]) == ("A=1", "C=3")
    assert [line for line in lines if line] == ["A=1", "C=3"]


def test_a_localrc_file_wins(tmp_path: Path) -> None:
    """It needs no section, and not even a local.conf."""
    (tmp_path / "localrc").write_text("A=file\n")
    conf = read_local_conf(write(tmp_path, "[[local|localrc]]\nA=section\n"))
    assert conf.localrc == "A=file\n"
    assert [s.code for s in suspicions(conf)] == ["localrc-file-wins"]
    assert "localrc" in conf.node_files()
    conf.path.unlink()
    assert read_local_conf(conf.path).localrc == "A=file\n"


def test_a_directory_is_no_local_conf(tmp_path: Path) -> None:
    """Who names the directory of DevStack is told which file is meant."""
    with pytest.raises(LocalConfError, match="is a directory") as refused:
        read_local_conf(tmp_path)
    assert str(tmp_path / "local.conf") in str(refused.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """No file, and no section."""
    with pytest.raises(LocalConfError, match="no such file") as caught:
        read_local_conf(tmp_path / "local.conf")
    assert "asyncstack stack" not in caught.value.hint  # it may be fetch that wants it, or resume
    with pytest.raises(LocalConfError, match=r"has no \[\[local\|localrc\]\] section"):
        read_local_conf(write(tmp_path, "A=1\n"))


def test_a_condition_that_looks_like_a_section_is_suspicious(tmp_path: Path) -> None:
    """DevStack cuts localrc off there without a word."""
    conf = read_local_conf(write(tmp_path, "[[local|localrc]]\nA=1\n[[ $A || $B ]] && B=2\nC=3\n"))
    assert conf.localrc is not None
    assert "C=3" not in conf.localrc
    (found,) = suspicions(conf)
    assert (found.code, found.line) == ("section-by-accident", 3)


def test_a_group_that_nobody_merges_is_suspicious(tmp_path: Path) -> None:
    """A misspelt group would be silently ignored."""
    conf = read_local_conf(write(tmp_path, "[[local|localrc]]\n[[post-confg|x]]\na=b\n"))
    (found,) = suspicions(conf)
    assert (found.code, found.line) == ("unknown-group", 2)


def test_a_file_from_windows(tmp_path: Path) -> None:
    """A byte order mark is nothing; its line ends would be part of values, of a DEST for instance."""
    path = tmp_path / "local.conf"
    path.write_bytes(b"\xef\xbb\xbf[[local|localrc]]\nDEST=/x\n")
    assert read_local_conf(path).localrc == "\nDEST=/x\n"
    path.write_bytes(b"[[local|localrc]]\nDEST=/x\r\nA=b\r\n")
    with pytest.raises(LocalConfError, match="line ends of Windows") as raised:
        read_local_conf(path)
    assert raised.value.line == 2
    assert f"sed -i 's/\\r$//' {path}" in raised.value.hint


def test_bytes_that_are_no_utf8_survive(tmp_path: Path) -> None:
    """What bash is given is what the user wrote."""
    path = tmp_path / "local.conf"
    path.write_bytes(b"[[local|localrc]]\nNAME=caf\xe9\n")
    content, mode = read_local_conf(path).node_files()[".localrc.auto"]
    assert b"NAME=caf\xe9" in content
    assert mode == 0o600


def test_dest_comes_before_the_first_line_and_moves_none(tmp_path: Path) -> None:
    """localrc may use the DEST that --dest gives; quotes in it are harmless."""
    conf = read_local_conf(write(tmp_path, "[[local|localrc]]\nA=$DEST\n"))
    content, _ = conf.node_files(dest="/it's")[".localrc.auto"]
    assert content.decode().split("\n")[1] == "A=$DEST"
    script = content + b'\nprintf "%s %s" "$A" "$DATA_DIR"'
    told = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert told.stdout == b"/it's /it's/data"


def test_local_sh_counts_only_if_it_is_executable(tmp_path: Path) -> None:
    """As in stack.sh."""
    path = write(tmp_path, "[[local|localrc]]\n")
    script = tmp_path / "local.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o644)
    assert not read_local_conf(path).has_local_sh
    script.chmod(0o755)
    assert read_local_conf(path).has_local_sh


def test_sections_have_their_place() -> None:
    """Group, file, line and content; what stands before the first belongs to none."""
    first, second = parse_sections("x\n[[a|b]]\n1\n2\n[[c|$D/e|f]] # g\n3")
    assert (first.group, first.file, first.line, first.content) == ("a", "b", 2, ("1", "2"))
    assert (second.group, second.file, second.content) == ("c", "$D/e", ("3",))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ADMIN_PASSWORD", True),
        ("SERVICE_TOKEN", True),
        ("OS_SECRET_ACCESS_KEY", True),
        ("API_KEY", True),
        ("admin_password", True),
        ("KEYSTONE_REGION_NAME", False),
        ("MONKEY", False),
        ("DEST", False),
    ],
)
def test_is_secret(name: str, expected: bool) -> None:
    """Passwords, tokens, secrets and keys, by their names; KEY only as a word."""
    assert is_secret(name) is expected


def test_secrets_of_a_localrc() -> None:
    """Every secret variable by name; the values that stand there as they are at once."""
    localrc = (
        "ADMIN_PASSWORD=plain1\n  export DB_PASSWORD='single two'\nA=1\n"
        'RABBIT_PASSWORD="double three" # why\nSERVICE_TOKEN=$(uuidgen)\nX_PASSWORD=$ADMIN_PASSWORD\n'
    )
    assert secret_names(localrc) == (
        "ADMIN_PASSWORD",
        "DB_PASSWORD",
        "RABBIT_PASSWORD",
        "SERVICE_TOKEN",
        "X_PASSWORD",
    )
    assert literal_secrets(localrc) == ["plain1", "single two", "double three"]
