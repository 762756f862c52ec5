"""The report for programs: JSON and CSV."""

from __future__ import annotations

import csv
import io

import msgspec
from msgspec import Struct

from asyncstack.events import FORMAT_VERSION, BarrierOpened, FetchFinished, StepFinished
from asyncstack.model import Mode, Status
from asyncstack.reports.summary import Summary

__all__ = ["CSV_COLUMNS", "PhaseTotal", "PluginTotal", "Report", "to_csv", "to_json"]

#: The columns of `--format csv`: one line a fetch and a step, told apart by `kind`.
CSV_COLUMNS = (
    *("kind", "node", "mode", "phase", "plugin", "commit", "status", "exit_code"),
    *("start", "end", "duration_s", "user_cpu_s", "system_cpu_s"),
    *("read_bytes", "write_bytes", "output_bytes", "received_bytes"),
)


class PluginTotal(Struct, frozen=True):
    """A plugin over all phases; `share` is of the run's total, 0 to 1."""

    plugin: str
    fetch_s: float
    total_s: float
    share: float


class PhaseTotal(Struct, frozen=True):
    """A phase over all plugins; `share` is of the run's total, 0 to 1."""

    mode: Mode
    phase: str
    total_s: float
    share: float


class Report(Struct, frozen=True, kw_only=True):
    """What `--format json` prints: totals, then the events that they were made from."""

    format_version: int = FORMAT_VERSION
    run_id: str
    command: str
    status: Status
    exit_code: int | None
    duration_s: float
    total_s: float
    nodes: tuple[str, ...]
    plugins: tuple[PluginTotal, ...]
    phases: tuple[PhaseTotal, ...]
    fetches: tuple[FetchFinished, ...]
    steps: tuple[StepFinished, ...]
    barriers: tuple[BarrierOpened, ...]


def to_json(summary: Summary) -> bytes:
    """The report as one JSON object, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(_report(summary)), indent=2) + b"\n"


def _report(summary: Summary) -> Report:
    whole = summary.total_s or 1.0
    plugins = [(name, summary.plugin_s[name]) for name in summary.plugins]
    phases = [(key, summary.phase_s[key]) for key in summary.phases]
    return Report(
        run_id=summary.run_id,
        command=summary.command,
        status=summary.status,
        exit_code=summary.exit_code,
        duration_s=summary.duration_s,
        total_s=summary.total_s,
        nodes=summary.nodes,
        plugins=tuple(
            PluginTotal(name, summary.fetch_s.get(name, 0.0), seconds, seconds / whole)
            for name, seconds in plugins
        ),
        phases=tuple(
            PhaseTotal(key.mode, key.phase, seconds, seconds / whole) for key, seconds in phases
        ),
        fetches=summary.fetches,
        steps=summary.steps,
        barriers=summary.barriers,
    )


def to_csv(summary: Summary) -> str:
    """The report as CSV (RFC 4180), with a heading; a field that has no meaning is empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    for fetch in summary.fetches:
        writer.writerow(_row("fetch", fetch))
    for step in summary.steps:
        writer.writerow(_row("step", step))
    return text.getvalue()


def _row(kind: str, event: FetchFinished | StepFinished) -> list[str]:
    return [kind, *(_field(getattr(event, name, None)) for name in CSV_COLUMNS[1:])]


def _field(value: str | float | None) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    return "" if value is None else str(value)
