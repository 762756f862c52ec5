"""The table of past runs."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from msgspec import structs

from asyncstack.journal import RecordedNode, RunRecord, list_runs
from asyncstack.model import Status
from asyncstack.reports.runs import run_lines

STARTED = dt.datetime(2026, 1, 1, 12, 0, 0, tzinfo=dt.UTC)


def write(home: Path, status: Status, *nodes: str) -> str:
    run_id = f"20260101-120000-{len(list_runs(home)):04x}"
    folder = home / run_id
    folder.mkdir(parents=True)
    RunRecord(
        run_id=run_id,
        command="unstack",
        started=STARTED,
        finished=STARTED + dt.timedelta(seconds=5),
        status=status,
        local_conf="/home/stack/a/folder/with/a/long/name/local.conf",
        nodes=tuple(RecordedNode(name=name) for name in nodes),
    ).write(folder / "run.json")
    return run_id


@pytest.mark.parametrize("room", [140, 100, 80, 60, 52])
def test_a_line_is_no_wider_than_the_terminal(tmp_path: Path, room: int) -> None:
    """What is left out is what can be done without; which run it was, and how it ended, never is."""
    ids = [
        write(tmp_path, Status.UNREACHABLE, "localhost"),
        write(tmp_path, Status.OK, "controller", "network", "storage", "gateway"),
    ]
    heading, *rows = [line.plain for line in run_lines(list_runs(tmp_path), room)]
    assert max(map(len, (heading, *rows))) <= room
    assert [row.split()[0] for row in rows] == ids[::-1]
    assert "unreachable" in rows[1]
    assert "4 nodes" in rows[0] or "controller" in rows[0]
    assert ("local.conf" in heading) == (room >= 140)
    assert ("started" in heading) == (room >= 100)


@pytest.mark.parametrize("room", [140, 112])
def test_nodes_with_files_of_their_own(tmp_path: Path, room: int) -> None:
    """The first one's, and how many there are besides; however little room there is."""
    run_id = write(tmp_path, Status.OK, "a", "b", "c", "d")
    record = RunRecord.read(tmp_path / run_id / "run.json")
    files = ("/lab/control.conf", "/lab/compute.conf", "/lab/compute.conf", "/lab/compute.conf")
    nodes = [
        structs.replace(node, local_conf=file)
        for node, file in zip(record.nodes, files, strict=True)
    ]
    structs.replace(record, nodes=tuple(nodes)).write(tmp_path / run_id / "run.json")
    heading, row = [line.plain for line in run_lines(list_runs(tmp_path), room)]
    assert heading.endswith("local.conf")
    assert row.endswith("control.conf +1")
    assert len(row) <= room


def test_no_run_no_line() -> None:
    assert run_lines([], 80) == []
