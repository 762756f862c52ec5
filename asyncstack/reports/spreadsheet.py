"""The report for spreadsheets: CSV."""

from __future__ import annotations

import csv
import io

from asyncstack.events import FetchFinished, StepFinished
from asyncstack.reports.fetches import STAGES
from asyncstack.reports.steps import key_of
from asyncstack.reports.summary import Summary

__all__ = ["CSV_COLUMNS", "FETCH_COLUMNS", "fetches_to_csv", "to_csv"]

#: The columns of `--format csv`: one line a fetch and a step, told apart by `kind`. `start` and
#: `end` are by the node's clock; less `clock_offset_s`, where that is known, they can be compared
#: across nodes. `gain_s`: so much sooner the run would have ended without this one step.
CSV_COLUMNS = (
    *("kind", "node", "mode", "phase", "plugin", "commit", "status", "exit_code"),
    *("start", "end", "duration_s", "user_cpu_s", "system_cpu_s"),
    *("read_bytes", "write_bytes", "output_bytes", "received_bytes"),
    *("clock_offset_s", "gain_s"),
)


_EVENT_COLUMNS = CSV_COLUMNS[1:-2]


#: Those of `--fetch --format csv`: where the time of each went, in seconds.
FETCH_COLUMNS = (
    *("plugin", "node", "status", "url", "ref", "commit", "start", "end", "duration_s"),
    *("attempts", "received_bytes", "objects", *(f"{stage}_s" for stage in STAGES)),
)


def fetches_to_csv(summary: Summary) -> str:
    """The repositories as CSV, those that took longest first; a stage that wasn't is empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(FETCH_COLUMNS)
    for fetch in summary.longest_fetches:
        known = [getattr(fetch, name) for name in FETCH_COLUMNS[: -len(STAGES)]]
        stages = [fetch.stages.get(stage) for stage in STAGES]
        writer.writerow([_field(value) for value in (*known, *stages)])
    return text.getvalue()


def to_csv(summary: Summary) -> str:
    """The report as CSV (RFC 4180), with a heading; a field that has no meaning is empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    for fetch in summary.fetches:
        writer.writerow([*_row("fetch", fetch), "", ""])
    gains = summary.path.step_gains()
    for step, clock in zip(summary.steps, summary.readings, strict=True):
        offset = clock.offset_s if clock.known else None
        gain = gains[step.node, step.plugin, key_of(step)]
        writer.writerow([*_row("step", step), _field(offset), _field(gain)])
    return text.getvalue()


def _row(kind: str, event: FetchFinished | StepFinished) -> list[str]:
    return [kind, *(_field(getattr(event, name, None)) for name in _EVENT_COLUMNS)]


def _field(value: str | float | None) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    return "" if value is None else str(value)
