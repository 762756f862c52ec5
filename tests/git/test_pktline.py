"""Protocol version 2 in bytes: refs and packs as a server sends them, however they are cut."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.git.packindex import missing_from
from asyncstack.git.pktline import (
    PackAnswer,
    ProtocolError,
    pack_request,
    parse_refs,
    refs_request,
)
from tests.helpers.gitserver import git, make_repository

OID = "a" * 40


def packet(content: bytes) -> bytes:
    return b"%04x" % (len(content) + 4) + content


def upload_pack(repository: Path, request: bytes) -> bytes:
    """Ask git itself, as a web server would."""
    return subprocess.run(
        ["git", "upload-pack", "--stateless-rpc", str(repository)],
        input=request,
        capture_output=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "GIT_PROTOCOL": "version=2"},
    ).stdout


@given(
    data=st.lists(st.binary(min_size=1, max_size=70), max_size=6), cuts=st.lists(st.integers(1, 9))
)
def test_however_an_answer_is_cut(data: list[bytes], cuts: list[int]) -> None:
    """The pack's bytes are those of band 1; keep-alives and progress are nothing."""
    answer = packet(b"shallow-info\n") + packet(b"shallow " + OID.encode()) + b"0001"
    answer += packet(b"packfile\n") + packet(b"\2Counting") + packet(b"\1")
    answer += b"".join(packet(b"\1" + piece) for piece in data) + b"0000"
    reader, got = PackAnswer(), bytearray()
    sizes = iter(cuts)
    while answer:
        size = next(sizes, 1)
        got += b"".join(reader.feed(answer[:size]))
        answer = answer[size:]
    assert bytes(got) == b"".join(data)
    assert (reader.complete, reader.shallow) == (True, [OID])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (packet(b"ERR upload-pack: not our ref"), "remote error: upload-pack: not our ref"),
        (packet(b"packfile\n") + packet(b"\3out of memory\n"), "remote error: out of memory"),
        (
            packet(b"packfile\n")
            + packet(b"\2Counting\rfatal: unable ")
            + packet(b"\2to read x\n")
            + packet(b"\3aborting\0"),
            (
                r"\Aremote: Counting\nremote: fatal: unable to read x\n"
                r"fatal: remote error: aborting\Z"
            ),
        ),
        (packet(b"packfile\n") + packet(b"\7x"), "bad band"),
        (packet(b"acknowledgments\n"), "protocol error: unexpected 'acknowledgments'"),
        (packet(b"shallow nothing\n"), "protocol error"),
        (b"<html>", "bad line length"),
        (b"0003", "bad line length"),
        (b"0004", "bad line length"),
        (packet(b"packfile\n") + b"0000" + packet(b"\1more"), "bad line length"),
    ],
)
def test_what_is_no_answer(answer: bytes, words: str) -> None:
    """In the words that git has for it."""
    with pytest.raises(ProtocolError, match=words):
        PackAnswer().feed(answer)


def test_an_answer_without_end() -> None:
    """What has to be kept until the pack begins doesn't grow for ever."""
    line = packet(b"shallow " + OID.encode())
    with pytest.raises(ProtocolError, match="unexpected 'shallow"):
        PackAnswer().feed(line * 140_000)


def test_a_cut_answer_is_not_complete() -> None:
    """Whatever came before: the flush packet is the end."""
    reader = PackAnswer()
    reader.feed(packet(b"packfile\n") + packet(b"\1PACK") + b"000")
    assert not reader.complete


@pytest.mark.parametrize(
    "name",
    [
        b"refs/heads/a\n" + b"b" * 40 + b" refs/heads/b",
        b"refs/heads/../../hooks/x",
        b"refs/heads/a.lock",
        b"refs/heads/a/",
        b"objects/x",
        b"",
    ],
)
def test_names_that_git_would_refuse(name: bytes) -> None:
    """They would be written to packed-refs as they are."""
    assert parse_refs(packet(OID.encode() + b" " + name + b"\n") + b"0000") is None


def test_objects_that_are_none() -> None:
    """Neither a ref's nor a peeled tag's."""
    good = OID.encode()
    for line in (b"HEAD", b"x" * 40 + b" refs/tags/a", good + b" refs/tags/a peeled:" + b"0" * 39):
        assert parse_refs(packet(line) + b"0000") is None


def test_a_head_that_points_nowhere() -> None:
    """Detached, or at a branch that wasn't named: none that a checkout could have."""
    detached = packet(OID.encode() + b" HEAD\n") + b"0000"
    elsewhere = packet(OID.encode() + b" HEAD symref-target:refs/heads/gone\n") + b"0000"
    for answer in (detached, elsewhere):
        advertised = parse_refs(answer)
        assert advertised is not None
        assert (advertised.head, advertised.refs.names) == ("", {})


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_what_an_index_holds(object_format: str, tmp_path: Path) -> None:
    """Each object of the pack, and none other, by the index that git wrote."""
    repository = make_repository(tmp_path / "r.git", commits=40, object_format=object_format)
    git("-C", repository, "repack", "-a", "-d", "-q")
    (index,) = (repository / "objects" / "pack").glob("*.idx")
    objects = git("-C", repository, "rev-list", "--all", "--objects", "--no-object-names").split()
    others = [f"{number:x}".zfill(len(objects[0])) for number in range(3)]
    others += ["f" * len(objects[0]), objects[0][:-1] + ("0" if objects[0][-1] != "0" else "1")]
    assert missing_from(index, [*objects, *others]) == others


def test_what_is_no_index(tmp_path: Path) -> None:
    """A file of another version."""
    (tmp_path / "x.idx").write_bytes(b"\0" * 1100)
    with pytest.raises(ValueError, match="no index of version 2"):
        missing_from(tmp_path / "x.idx", [OID])


def test_git_understands(tmp_path: Path) -> None:
    """Refs with HEAD and peeled tags; a pack of them; one commit deep."""
    repository = make_repository(tmp_path / "r.git", commits=4)
    advertised = parse_refs(upload_pack(repository, refs_request()))
    assert advertised is not None
    assert advertised.head == "refs/heads/master"
    assert set(advertised.refs.names) == {
        "refs/heads/master",
        "refs/heads/stable/2025.1",
        "refs/tags/1.0.0",
    }
    assert set(advertised.refs.peeled) == {"refs/tags/1.0.0"}
    few = parse_refs(upload_pack(repository, refs_request(["refs/heads/ma"])))
    assert few is not None
    assert list(few.refs.names) == ["refs/heads/master"]
    master = advertised.refs.names["refs/heads/master"]
    for depth, cut_off in ((0, []), (1, [master])):
        reader = PackAnswer()
        pack = b"".join(reader.feed(upload_pack(repository, pack_request([master], depth))))
        assert (reader.complete, reader.shallow, pack[:4]) == (True, cut_off, b"PACK")
