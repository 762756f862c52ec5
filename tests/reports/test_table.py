"""The table: the golden picture, and what holds at any width."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from asyncstack.events import (
    FetchFinished,
    NodeBooted,
    PluginRegistered,
    RunFinished,
    RunStarted,
)
from asyncstack.model import FetchStatus, Mode, PhaseKey, Status
from asyncstack.reports.matrix import matrix
from asyncstack.reports.summary import Summary, summarise
from asyncstack.reports.table import print_report, report_lines
from tests.helpers.journals import step

INSTALL = PhaseKey(Mode.STACK, "install")
EXTRA = PhaseKey(Mode.STACK, "extra")


def test_the_report_looks_like_the_golden_one(golden: Summary, data: Path) -> None:
    lines = [line.plain for line in report_lines(golden, 100)]
    assert "\n".join(lines) + "\n" == (data / "report-100.txt").read_text()


@pytest.mark.parametrize("room", range(50, 160, 7))
def test_the_matrix_fits_and_its_lines_end_together(golden: Summary, room: int) -> None:
    lines = [line.plain for line in matrix(golden, room)]
    assert max(len(line) for line in lines) <= room


@pytest.mark.parametrize("room", [40, 60, 80, 100, 200])
def test_a_failure_is_seen_at_any_width(golden: Summary, room: int) -> None:
    assert any("✗ octavia install" in line.plain for line in report_lines(golden, room))


def test_every_status_but_ok_has_a_mark_of_its_own() -> None:
    summary = summarise(
        [
            *step("n", INSTALL, "good", 1.0),
            *step("n", INSTALL, "bad", 1.0, status=Status.FAILED),
            *step("n", INSTALL, "gone", 1.0, status=Status.LOST),
            *step("n", INSTALL, "stopped", 0.0, status=Status.ABORTED),
            *step("n", INSTALL, "none", 0.0, status=Status.SKIPPED),
        ]
    )
    cells = [line.plain.split()[1] for line in matrix(summary, 100)[1:6]]
    assert cells == ["1.00", "✗", "?", "–", "·"]


def test_a_phase_in_which_nothing_ran_has_no_column() -> None:
    summary = summarise(
        [*step("n", INSTALL, "p", 1.0), *step("n", EXTRA, "p", 0.0, status=Status.SKIPPED)]
    )
    assert matrix(summary, 100)[0].plain.split() == ["plugin", "install", "total", "share", "CPU"]


def test_what_was_skipped_costs_nothing_and_no_row_if_it_is_no_plugin() -> None:
    summary = summarise(
        [
            *step("n", INSTALL, "p", 1.0),
            *step("n", INSTALL, "q", 0.5, status=Status.SKIPPED),
            *step("n", INSTALL, "@packages", 0.5, status=Status.SKIPPED),
        ]
    )
    assert summary.plugins == ("p", "q")
    assert summary.total_s == 1.0


def test_phases_that_were_not_reached_are_named_instead_of_shown() -> None:
    summary = summarise(
        [
            RunStarted(command="stack", version="0"),
            *step("n", INSTALL, "p", 1.0, status=Status.FAILED),
            *step("n", EXTRA, "p", 0.0, status=Status.ABORTED),
        ]
    )
    text = [line.plain for line in report_lines(summary, 100)]
    assert "not reached: extra" in text
    assert "extra" not in text[2]


def test_failures_can_be_left_to_who_tells_them_in_full(golden: Summary) -> None:
    told = {line.plain for line in report_lines(golden, 100)}
    left_out = told - {line.plain for line in report_lines(golden, 100, outcome=False)}
    assert any(line.startswith("✗ octavia") for line in left_out)


def test_what_was_there_already_is_not_called_fetched() -> None:
    present = FetchFinished(
        plugin="p", url="u", ref="r", directory="d", status=FetchStatus.PRESENT, start=1, end=2
    )
    summary = summarise([RunStarted(command="stack", version="0"), present])
    assert report_lines(summary, 100)[1].plain == "1 repository present already"


def test_a_mirror_that_was_up_to_date_is_no_checkout() -> None:
    """What a node got from it is told, not where the controller had it."""

    def fetch(node: str, directory: str, status: FetchStatus) -> FetchFinished:
        return FetchFinished(
            plugin="p",
            url="u",
            ref="r",
            directory=directory,
            status=status,
            node=node,
            start=1,
            end=2,
            duration_s=1,
        )

    summary = summarise(
        [
            RunStarted(command="stack", version="0"),
            NodeBooted(node="n", pid=1, directory="/state", dest="/opt/stack"),
            fetch("", "/cache/git/p-0", FetchStatus.PRESENT),
            fetch("n", "/opt/stack/p", FetchStatus.CLONED),
            fetch("n", "/opt/stack/q", FetchStatus.PRESENT),
        ]
    )
    heading = report_lines(summary, 100)[1].plain
    assert heading == "fetched 1 repository in 1.00 s; 1 repository present already"


def test_a_run_that_only_fetched_shows_the_repositories() -> None:
    fetch = FetchFinished(
        plugin="p",
        url="https://h/p",
        ref="1.0.0",
        directory="/d/p",
        status=FetchStatus.CLONED,
        commit="ab" * 20,
        duration_s=1.0,
        received_bytes=4200,
    )
    registered = PluginRegistered(node="n", plugin="p", url="u", ref="1.0.0", directory="d")
    end = RunFinished(status=Status.OK, exit_code=0, duration_s=1.5)
    summary = summarise([RunStarted(command="fetch", version="0"), registered, fetch, end])
    text = "\n".join(line.plain for line in report_lines(summary, 100))
    assert "p       cloned  1.0.0  abababababab  4.2 kB  1.00 s" in text


def test_an_empty_journal_is_reported_without_an_error() -> None:
    assert report_lines(summarise([]), 80)


def test_without_colours_nothing_but_text_is_printed(golden: Summary, data: Path) -> None:
    out = io.StringIO()
    print_report(golden, Console(file=out, width=100, no_color=True, force_terminal=False))
    assert out.getvalue() == (data / "report-100.txt").read_text()
