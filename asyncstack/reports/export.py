"""The report for programs: one JSON object."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from asyncstack.events import (
    FORMAT_VERSION,
    BarrierOpened,
    ClockCompared,
    FetchFinished,
    FilesCopied,
    StepFinished,
)
from asyncstack.model import Mode, PhaseKey, Status
from asyncstack.reports.steps import key_of
from asyncstack.reports.stretches import Stretch
from asyncstack.reports.summary import Summary

__all__ = [
    "FetchReport",
    "PhaseTotal",
    "PluginGain",
    "PluginTotal",
    "Report",
    "Wait",
    "fetches_to_json",
    "to_json",
]


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


class Wait(Struct, frozen=True, kw_only=True):
    """A barrier that opened behind `phases`: `node` came last, most of the time in `plugin`.

    The others were through `lead_s` before it, the first of them `waited_s`; it had begun `late_s`
    after the first. Without that step the barrier would have opened `gain_s` sooner; without it on
    any node, `gain_everywhere_s`.
    """

    phases: tuple[PhaseKey, ...]
    nodes: tuple[str, ...]
    node: str
    plugin: str
    phase: PhaseKey
    step_s: float
    duration_s: float
    late_s: float
    lead_s: float
    waited_s: float
    gain_s: float
    gain_everywhere_s: float


class PluginGain(Struct, frozen=True, kw_only=True):
    """How much sooner the run would end if a plugin took no time in a phase.

    `gain_s`: on any node; `gain_there_s`: on the one node where that is most. `node` is where it
    took longest, `duration_s`.
    """

    plugin: str
    mode: Mode
    phase: str
    node: str
    duration_s: float
    gain_s: float
    gain_there_s: float


class _Run(Struct, frozen=True, kw_only=True):
    """What both of them begin with."""

    format_version: int = FORMAT_VERSION
    run_id: str
    command: str
    status: Status
    exit_code: int | None
    duration_s: float


class Report(_Run, frozen=True, kw_only=True):
    """What `--format json` prints: totals, then the events that they were made from.

    `path_s` of the run's `duration_s` were steps that all others waited for.
    """

    total_s: float
    nodes: tuple[str, ...]
    plugins: tuple[PluginTotal, ...]
    phases: tuple[PhaseTotal, ...]
    path_s: float
    waits: tuple[Wait, ...]
    gains: tuple[PluginGain, ...]
    fetches: tuple[FetchFinished, ...]
    steps: tuple[StepFinished, ...]
    barriers: tuple[BarrierOpened, ...]
    copies: tuple[FilesCopied, ...]
    clocks: tuple[ClockCompared, ...]


class FetchReport(_Run, frozen=True, kw_only=True):
    """What `--fetch --format json` prints: the repositories, those that took longest first."""

    fetches: tuple[FetchFinished, ...]


def to_json(summary: Summary) -> bytes:
    """The report as one JSON object, with a newline at its end."""
    return _encoded(_report(summary))


def fetches_to_json(summary: Summary) -> bytes:
    """The same of the repositories alone."""
    return _encoded(
        FetchReport(
            **_run(summary),
            fetches=tuple(summary.longest_fetches),
        )
    )


def _run(summary: Summary) -> dict[str, Any]:
    names = ("run_id", "command", "status", "exit_code", "duration_s")
    return {name: getattr(summary, name) for name in names}


def _encoded(report: Report | FetchReport) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def _report(summary: Summary) -> Report:
    whole = summary.total_s or 1.0
    plugins = [(name, summary.plugin_s[name]) for name in summary.plugins]
    phases = [(key, summary.phase_s[key]) for key in summary.phases]
    return Report(
        **_run(summary),
        total_s=summary.total_s,
        nodes=summary.nodes,
        plugins=tuple(
            PluginTotal(name, summary.fetch_s.get(name, 0.0), seconds, seconds / whole)
            for name, seconds in plugins
        ),
        phases=tuple(
            PhaseTotal(key.mode, key.phase, seconds, seconds / whole) for key, seconds in phases
        ),
        path_s=_rounded(summary.path.seconds),
        waits=tuple(_wait(one) for one in summary.path.stretches if len(one.loads) > 1),
        gains=tuple(
            PluginGain(
                plugin=gain.plugin,
                mode=gain.phase.mode,
                phase=gain.phase.phase,
                node=gain.slowest.node,
                duration_s=gain.slowest.duration_s,
                gain_s=_rounded(gain.everywhere_s),
                gain_there_s=_rounded(gain.there_s),
            )
            for gain in summary.path.gains
        ),
        fetches=summary.fetches,
        steps=summary.steps,
        barriers=summary.barriers,
        copies=summary.copies,
        clocks=summary.clocks,
    )


def _wait(stretch: Stretch) -> Wait:
    last = stretch.decisive
    return Wait(
        phases=stretch.phases,
        nodes=tuple(sorted(load.node for load in stretch.loads)),
        node=last.node,
        plugin=last.longest.plugin,
        phase=key_of(last.longest),
        step_s=last.longest.duration_s,
        duration_s=_rounded(stretch.seconds),
        late_s=_rounded(last.late_s),
        lead_s=_rounded(stretch.lead_s),
        waited_s=_rounded(stretch.waited_s),
        gain_s=_rounded(stretch.gain_s(last.longest)),
        gain_everywhere_s=_rounded(stretch.joint_gain_s(stretch.like(last.longest))),
    )


def _rounded(seconds: float) -> float:
    """To microseconds, as everything in a journal; the rest is what floats lose."""
    return round(seconds, 6)
