"""The report for programs."""

from __future__ import annotations

import csv
import io
import math

import msgspec
from hypothesis import given

from asyncstack.events import Event
from asyncstack.model import Status
from asyncstack.reports.export import Report, to_json
from asyncstack.reports.spreadsheet import CSV_COLUMNS, to_csv
from asyncstack.reports.summary import Summary, summarise
from tests.helpers.journals import runs


@given(runs())
def test_the_totals_of_the_json_are_the_sums_of_its_steps(events: list[Event]) -> None:
    report = msgspec.json.decode(to_json(summarise(events)), type=Report)
    for total in report.plugins:
        cells: dict[str, float] = {}
        for step in report.steps:
            if step.plugin == total.plugin and step.status is not Status.SKIPPED:
                name = f"{step.mode} {step.phase}"
                cells[name] = max(cells.get(name, 0.0), step.duration_s)
        assert math.isclose(sum(cells.values()), total.total_s, abs_tol=1e-9)
    if report.total_s:
        assert math.isclose(sum(total.share for total in report.plugins), 1)
        assert math.isclose(sum(total.share for total in report.phases), 1)


def test_the_csv_has_a_line_a_fetch_and_a_step(golden: Summary) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(golden))))
    assert [row["kind"] for row in rows].count("fetch") == len(golden.fetches)
    assert [row["kind"] for row in rows].count("step") == len(golden.steps)
    assert tuple(rows[0]) == CSV_COLUMNS


def test_the_csv_keeps_microseconds_and_leaves_out_what_has_no_meaning(golden: Summary) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(golden))))
    fetch = next(row for row in rows if row["kind"] == "fetch")
    step = next(row for row in rows if row["kind"] == "step" and row["status"] == "failed")
    assert fetch["phase"] == fetch["exit_code"] == ""
    assert math.isclose(
        float(step["end"]) - float(step["start"]), float(step["duration_s"]), abs_tol=1e-5
    )
    assert step["exit_code"] == "1"
