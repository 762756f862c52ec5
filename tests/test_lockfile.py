"""The lock file: round trips, and says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.errors import LockFileError
from asyncstack.lockfile import Lock, LockedPlugin, pin, read_lock, refresh, render_lock, write_lock

A, B = "a" * 40, "b" * 40
HEAT = LockedPlugin("heat", "https://example.org/heat", "master", A)
IRONIC = LockedPlugin("ironic", "https://example.org/ironic", "stable/2025.1", B)

TABLE = f"[[plugin]]\nname='x'\nurl='u'\nref='r'\ncommit='{A}'\n"

text = st.text(st.characters(codec="utf-8"), min_size=1)
plugins = st.builds(
    LockedPlugin, text, text, text, st.text("0123456789abcdef", min_size=40, max_size=40)
)


@given(st.lists(plugins, unique_by=lambda plugin: plugin.name))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, entries: list[LockedPlugin]) -> None:
    """What was written is what is read, whatever the strings hold."""
    path = tmp_path_factory.mktemp("lock") / "asyncstack.lock"
    write_lock(path, Lock(tuple(entries)))
    assert read_lock(path).plugins == tuple(entries)


def test_text() -> None:
    """It is made for people and diffs: one table a plugin, one line a fact."""
    assert render_lock(Lock((HEAT,))).endswith(
        'version = 1\n\n[[plugin]]\nname = "heat"\nurl = "https://example.org/heat"\n'
        f'ref = "master"\ncommit = "{A}"\n'
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "there is no lock file"),
        ("version = 1\n[[plugin\n", "is no TOML"),
        ("version = 2\n", "has version 2"),
        ("[[plugin]]\nname = 'x'\n", "is no lock file"),
        (
            f"version = 1\n[[plugin]]\nname='x'\nurl='u'\nref='r'\ncommit='{A[:39]}'\n",
            "no full commit",
        ),
        (f"version = 1\n{TABLE}{TABLE}", "twice"),
        (b"\xff", "can't be read"),
    ],
)
def test_bad_files(tmp_path: Path, content: str | bytes | None, problem: str) -> None:
    """Each is an error that names the file, and the way out of what a merge makes of it."""
    path = tmp_path / "asyncstack.lock"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(LockFileError, match=problem) as caught:
        read_lock(path)
    assert caught.value.path == str(path)
    assert caught.value.exit_code == 2
    assert bool(caught.value.hint) == (problem != "can't be read")


def test_syntax_error_names_the_line(tmp_path: Path) -> None:
    """The line is the file's."""
    (tmp_path / "l").write_text("version = 1\n\n[[plugin\n")
    with pytest.raises(LockFileError) as caught:
        read_lock(tmp_path / "l")
    assert caught.value.line == 3


def test_pin() -> None:
    """A lock that agrees gives each plugin its commit."""
    assert pin(Lock((HEAT, IRONIC)), [HEAT.key, IRONIC.key]) == {HEAT.key: A, IRONIC.key: B}


def test_pin_of_several_nodes() -> None:
    """What two nodes enable counts once; what a third one enables may be locked besides."""
    wanted = [HEAT.key, HEAT.key]
    assert pin(Lock((HEAT, IRONIC)), wanted, complete=False)[HEAT.key] == A
    with pytest.raises(LockFileError, match="'ironic' is locked"):
        pin(Lock((HEAT, IRONIC)), wanted)


def test_pin_of_a_plugin_at_two_refs() -> None:
    """Nodes may enable it differently; each ref has a commit of its own."""
    other = LockedPlugin("heat", HEAT.url, "stable/2025.1", B)
    assert pin(Lock((HEAT, other)), [HEAT.key, other.key]) == {HEAT.key: A, other.key: B}


def test_every_disagreement_is_named_at_once() -> None:
    """URL, ref, missing and superfluous plugins, in one message with the way out."""
    with pytest.raises(LockFileError) as caught:
        pin(
            Lock((HEAT, IRONIC, LockedPlugin("old", "u", "r", A))),
            [
                ("heat", "https://elsewhere.org/heat", "master"),
                ("ironic", IRONIC.url, "master"),
                ("new", "u", "r"),
            ],
        )
    message = str(caught.value)
    assert (
        "'heat': locked from https://example.org/heat, enabled from https://elsewhere.org/heat"
        in message
    )
    assert "'ironic': locked at ref 'stable/2025.1', enabled at 'master'" in message
    assert "'new' is not locked" in message
    assert "'old' is locked, but local.conf doesn't enable it" in message
    assert "--write-lock" in message


def test_refresh_of_some() -> None:
    """Only what was named moves; a changed URL or ref always does."""
    new_heat = LockedPlugin("heat", HEAT.url, "master", B)
    new_ironic = LockedPlugin("ironic", IRONIC.url, "stable/2025.1", A)
    moved = LockedPlugin("ironic", IRONIC.url, "master", A)
    lock = Lock((HEAT, IRONIC))
    assert refresh(lock, [new_heat, new_ironic], {"heat"}).plugins == (new_heat, IRONIC)
    assert refresh(lock, [new_heat, moved], {"heat"}).plugins == (new_heat, moved)
    assert refresh(lock, [new_heat, new_ironic]).plugins == (new_heat, new_ironic)
    assert refresh(lock, [new_heat]).plugins == (new_heat,)


def test_unwritable_place(tmp_path: Path) -> None:
    """No traceback, nothing left behind, and the way out."""
    with pytest.raises(LockFileError, match="can't be written: No such file") as caught:
        write_lock(tmp_path / "missing" / "asyncstack.lock", Lock())
    assert "local.conf" in caught.value.hint


def test_refresh_from_several_nodes() -> None:
    """A plugin that two nodes have is locked once, at the one commit that both have."""
    assert refresh(Lock(), [IRONIC, HEAT, IRONIC]).plugins == (IRONIC, HEAT)
    with pytest.raises(LockFileError, match="one node has") as caught:
        refresh(Lock(), [HEAT, LockedPlugin("heat", HEAT.url, "master", B)])
    assert "--update" in str(caught.value)


def test_refresh_from_some_of_the_nodes() -> None:
    """What the others have stays locked, but not what has been enabled differently since."""
    moved = LockedPlugin("heat", HEAT.url, "stable/2025.1", B)
    assert refresh(Lock((HEAT, IRONIC)), [moved], complete=False).plugins == (moved, IRONIC)
