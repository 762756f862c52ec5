"""Where a fetch's time went, and what a server asked for, from git's own records."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from asyncstack.git.trace import read_retry_after, read_stages, trace_environment
from tests.helpers.gitserver import GitDaemon, git, make_repository


def test_stages_of_a_real_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage is there, and together they are not more than the whole."""
    make_repository(tmp_path / "served" / "p.git")
    for name, value in trace_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    with GitDaemon(tmp_path / "served") as daemon:
        git("clone", "--bare", "--progress", daemon.url("p.git"), tmp_path / "clone")
    stages = read_stages(tmp_path)
    assert set(stages) == {"connect", "negotiate", "receive", "resolve"}
    assert all(seconds >= 0 for seconds in stages.values())


def test_stages(tmp_path: Path) -> None:
    """Connect until the version is known, negotiate until the pack comes, receive, resolve."""
    region = '"label":"Receiving objects"'
    day = '"time":"2026-01-01T00:00:'
    (tmp_path / "trace2").write_text(
        f'{{"event":"start",{day}00.000000Z"}}\n'
        f'{{"event":"data",{day}01.000000Z","key":"negotiated-version"}}\n'
        f'{{"event":"region_enter",{day}03.000000Z",{region}}}\n'
        f'{{"event":"region_leave",{day}06.500000Z",{region}}}\n'
        f'{{"event":"atexit",{day}10.000000Z"}}\n'
        '{"event":"cut'
    )
    assert read_stages(tmp_path) == {
        "connect": 1.0,
        "negotiate": 2.0,
        "receive": 3.5,
        "resolve": 3.5,
    }


def test_what_is_missing_is_left_out(tmp_path: Path) -> None:
    """No record, or one that was cut early."""
    assert read_stages(tmp_path) == {}
    day = '"time":"2026-01-01T00:00:'
    (tmp_path / "trace2").write_text(
        f'{{"event":"start",{day}00.000000Z"}}\n{{"event":"exit",{day}02.000000Z"}}\n'
    )
    assert read_stages(tmp_path) == {"connect": 2.0}


@pytest.mark.parametrize(
    ("last", "stage"),
    [
        ('"event":"start"', "connect"),
        ('"event":"data","key":"negotiated-version"', "negotiate"),
        ('"event":"region_enter","label":"Receiving objects"', "receive"),
        ('"event":"region_leave","label":"Receiving objects"', "resolve"),
    ],
)
def test_what_a_killed_git_was_about(last: str, stage: str, tmp_path: Path) -> None:
    """The silence belongs to the stage in which it began."""
    day = '"time":"2026-01-01T00:00:'
    first = f'{{"event":"start",{day}00.000000Z"}}\n' if stage != "connect" else ""
    (tmp_path / "trace2").write_text(f'{first}{{{last},{day}00.000000Z"}}\n')
    killed = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC).timestamp()
    assert read_stages(tmp_path, killed=killed)[stage] == 30.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("<= Recv header: Retry-After: 7", 7),
        ("<= Recv header: retry-after: 120", 120),
        ("<= Recv header: Retry-After: Thu, 01 Jan 2026 00:01:00 GMT", 60),
        ("<= Recv header: Retry-After: Wed, 31 Dec 2025 00:00:00 GMT", 0),
        ("<= Recv header: Retry-After: soon", 0),
        ("<= Recv header: Retry-After: Thu, 01 Jan 2026 00:01:00 -0000", 60),
        ("<= Recv header: Retry-After: Thu, 01 Jan 2026 00:01:00", 60),
        ("<= Recv header: Date: now", 0),
    ],
)
def test_retry_after(header: str, seconds: float, tmp_path: Path) -> None:
    """Seconds or a date, in any spelling of the header."""
    (tmp_path / "curl").write_text(f"00:00:00.000000 http.c:1 {header}\r\n")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert read_retry_after(tmp_path, now=now) == seconds
