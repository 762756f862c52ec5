"""The journal's framing: however it is cut and whatever plugins print, events are events."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asyncstack.runtime.framing import Frame, FrameParser, render

pytestmark = pytest.mark.slow

_NONCE = "0123456789abcdef"
_MARKER = f"\x1e{_NONCE}\x1f".encode()
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
_KIND = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
# Output that looks like framing: its bytes, other nonces, beginnings of the real marker.
_OUTPUT = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.sampled_from([b"\x1e", b"\x1f", b"\n", b"\x1e\x1e", b"\x1eother\x1fend\x1f0\n"]),
    st.integers(1, 16).map(lambda n: b"\x1e" + _NONCE[:n].encode()),
).filter(lambda data: _MARKER not in data)
_ITEM = st.one_of(st.builds(Frame, _KIND, st.lists(_TEXT, max_size=4).map(tuple)), _OUTPUT)


def _joined(items: list[Frame | bytes]) -> list[Frame | bytes]:
    """The same with neighbouring pieces of output in one."""
    joined: list[Frame | bytes] = []
    for item in items:
        if isinstance(item, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += item
        elif item != b"":
            joined.append(item)
    return joined


@given(st.lists(_ITEM, max_size=12), st.data())
def test_any_chunking_gives_the_same(items: list[Frame | bytes], data: st.DataObject) -> None:
    """Events and output come out as they went in, wherever the stream is cut."""
    # Nobody guesses the nonce in one piece; pieces that make it up together count as no less.
    outputs = [item for item in _joined(items) if isinstance(item, bytes)]
    assume(not any(_MARKER in output for output in outputs))
    stream = b"".join(
        item if isinstance(item, bytes) else render(_NONCE, item.kind, *item.fields)
        for item in items
    )
    parser = FrameParser(_NONCE)
    found: list[Frame | bytes] = []
    position = 0
    while position < len(stream):
        size = data.draw(st.integers(1, len(stream) - position))
        found += parser.feed(stream[position : position + size])
        position += size
    assert parser.received == len(stream)
    assert parser.offset <= parser.received
    found.append(parser.finish())
    assert _joined(found) == _joined(items)


@given(st.binary(max_size=200))
def test_output_without_the_nonce_is_output(data: bytes) -> None:
    """No byte is lost, none is an event."""
    parser = FrameParser(_NONCE)
    found = [*parser.feed(data), parser.finish()]
    if f"\x1e{_NONCE}\x1f".encode() not in data:
        assert b"".join(item for item in found if isinstance(item, bytes)) == data


@given(st.binary(min_size=1, max_size=300))
def test_output_is_not_held_back(data: bytes) -> None:
    """Only what may be the beginning of an event waits: less than a marker."""
    parser = FrameParser(_NONCE)
    given_out = sum(len(item) for item in parser.feed(data) if isinstance(item, bytes))
    assert len(data) - given_out <= len(_NONCE) + 1


def test_an_event_that_never_ends_is_output() -> None:
    """A marker without its line's end can't make the parser keep everything."""
    parser = FrameParser(_NONCE)
    marker = f"\x1e{_NONCE}\x1fend".encode()
    found = parser.feed(marker + b"x" * 200_000)
    assert b"".join(item for item in found if isinstance(item, bytes)) == marker + b"x" * 200_000


_DRIVER = Path(__file__).parents[2] / "asyncstack/runtime/driver.bash"


def _emit(fields: list[bytes], folder: Path) -> list[Frame | bytes]:
    """Have the driver's own function write an event with these fields."""
    lines = _DRIVER.read_text().splitlines()
    start = lines.index("_asyncstack_emit() {")
    end = lines.index("}", start)
    function = "\n".join(lines[start : end + 1])
    arguments = " ".join("$'" + "".join(f"\\x{byte:02x}" for byte in f) + "'" for f in fields)
    script = folder / "emit.bash"
    script.write_text(
        f"_asyncstack_nonce={_NONCE}\n{function}\n_asyncstack_emit kind {arguments}\n"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", f". {script} 250>&1"],
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    return FrameParser(_NONCE).feed(done.stdout)


@settings(max_examples=60, deadline=None)
@given(fields=st.lists(_TEXT, max_size=5))
def test_what_bash_emits_is_what_python_reads(
    fields: list[str],
) -> None:
    """The driver's function and the parser agree on every string that bash can hold."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = _emit([field.encode() for field in fields], Path(folder))
    assert found == [Frame("kind", tuple(fields))]


def test_a_long_field_is_cut_but_not_what_is_acted_upon(tmp_path: Path) -> None:
    """A command is cut at 400 characters; see the driver for what never is."""
    (frame,) = _emit([b"x" * 1000], tmp_path)
    assert isinstance(frame, Frame)
    assert frame.fields == ("x" * 399 + "…",)


def test_an_event_that_was_cut_off_spoils_no_other() -> None:
    """As on a disk that was full for a while: what is left of it is output."""
    whole = render("nonce", "exited", "0")
    cut = render("nonce", "end", "0", "12.5")[:-4]
    parser = FrameParser("nonce")
    assert parser.feed(cut + whole) == [cut, Frame("exited", ("0",))]
