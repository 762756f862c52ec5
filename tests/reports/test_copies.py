"""Files between nodes in the report: what came in how much time, and what didn't come."""

from __future__ import annotations

from pathlib import Path

from asyncstack.events import FilesCopied, RunStarted
from asyncstack.reports.copies import copy_failure_lines, copy_table
from asyncstack.reports.failure import failure_lines, outcome_lines
from asyncstack.reports.summary import Summary, summarise
from asyncstack.reports.table import report_lines

NODES = ("ctl", "c1", "c2", "c3")


def copied(target: str, *, ok: bool = True, seconds: float = 1.0, message: str = "") -> FilesCopied:
    return FilesCopied(
        source="ctl",
        target=target,
        paths=("/etc/ceph/ceph.conf", "/etc/ceph/keyring"),
        after="install",
        ok=ok,
        sent_bytes=10240,
        duration_s=seconds,
        message=message,
    )


def of(*copies: FilesCopied) -> Summary:
    return summarise([RunStarted(command="stack", version="0", nodes=NODES), *copies])


def test_the_same_files_are_one_line_with_all_nodes_that_got_them() -> None:
    table = copy_table(of(copied("c1"), copied("c2", seconds=2.5), copied("c3", ok=False)))
    assert [line.plain.split() for line in table[1:]] == [
        [
            "/etc/ceph/ceph.conf,",
            "/etc/ceph/keyring",
            "install",
            "ctl",
            "c[1-2]",
            "10",
            "kB",
            "2.50",
            "s",
        ]
    ]
    assert table[1] in report_lines(of(copied("c1"), copied("c2", seconds=2.5)), 120)


def test_without_files_there_is_no_table() -> None:
    assert copy_table(of()) == []
    assert copy_failure_lines(of(copied("c1"))) == []


def test_what_did_not_come_is_told_with_the_reason(tmp_path: Path) -> None:
    summary = of(*(copied(c, ok=False, message="tar: no space\nleft") for c in ("c1", "c2")))
    expected = [
        "✗ /etc/ceph/ceph.conf, /etc/ceph/keyring not copied from ctl to c[1-2] after install",
        "  │ tar: no space",
        "  │ left",
    ]
    assert [line.plain for line in outcome_lines(summary)] == expected
    assert [line.plain for line in failure_lines(summary, tmp_path)][:3] == expected
