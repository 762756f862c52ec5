"""What went wrong, where, what it said last, and what to type next.

The same failure on several nodes is told once, with the nodes it happened on.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path

from rich.text import Text

from asyncstack.events import FetchFinished, StepFinished, Warned
from asyncstack.git.failures import essence
from asyncstack.model import Status
from asyncstack.reports.alike import alike_fetches, alike_steps, alike_warnings, on_nodes
from asyncstack.reports.copies import copy_failure_lines
from asyncstack.reports.folding import fold
from asyncstack.reports.steps import key_of
from asyncstack.reports.summary import Summary
from asyncstack.reports.tail import last_lines, one_line
from asyncstack.reports.units import duration

__all__ = ["failure_lines", "outcome_lines"]

#: Lines of output that are shown of a failed step.
TAIL_LINES = 20

#: So many repositories that failed in the same way are told one by one.
MANY_ALIKE = 3


def failure_lines(summary: Summary, root: Path, run: str = "") -> list[Text]:
    """Everything that a person needs to go on from the failures of a run.

    `root` is the run directory, where the step logs are; `run` what to type for this run
    (`asyncstack logs <run>`; empty for the newest).
    """
    fetches = alike_fetches(summary, summary.failed_fetches)
    blocks = _fetch_blocks(summary, fetches)
    steps = alike_steps(summary, summary.failures)
    blocks += [_step_block(summary, group, root, run) for group in steps]
    copies = copy_failure_lines(summary)
    blocks += [copies] if copies else []
    blocks += [[_lost_line(summary)]] if summary.lost_nodes else []
    if (copies or summary.lost_nodes) and not steps:  # each of which says it
        blocks[-1] += _next_lines(_resume_command(summary, run))
    return [line for block in blocks for line in (*block, Text())]


def outcome_lines(summary: Summary) -> list[Text]:
    """The failures, each with its reason, and the warnings: what a report ends with."""
    fetches = alike_fetches(summary, summary.failed_fetches)
    made = []
    for failed in fetches:
        words = one_line(essence(failed[0].message))
        made.append(_fetch_title(summary, failed))
        made += [Text(f"  {words}")] if words not in ("", failed[0].status.value) else []
    for group in alike_steps(summary, summary.failures):
        made.append(_step_title(summary, group))
        what = "  ".join(filter(None, (one_line(group[0].command), group[0].location)))
        made += [Text(f"  {what}")] if what else []
    made += copy_failure_lines(summary)
    made += [_lost_line(summary)] if summary.lost_nodes else []
    made += [_clock_line(summary, group) for group in _clocks_set(summary)]
    # Of a clock that was set in a step the step's line tells more.
    told = {step.node for step in summary.steps if step.clock_step_s}
    warnings = [w for w in summary.warnings if w.code != "clock-set" or w.node not in told]
    made += [_warning_line(summary, group) for group in alike_warnings(summary, warnings)]
    return made


def _warning_line(summary: Summary, group: list[Warned]) -> Text:
    warning = group[0]
    place = f"{warning.path}:{warning.line}: " if warning.path and warning.line else ""
    nodes = on_nodes(summary, group)
    where = f"{nodes}: " if nodes else ""
    line = f"{where}{place}{one_line(warning.message)}"
    return Text.assemble(("! ", "bold yellow"), line)


def _clocks_set(summary: Summary) -> list[list[StepFinished]]:
    groups: dict[float, list[StepFinished]] = {}
    for step in summary.steps:
        if step.clock_step_s:
            groups.setdefault(round(step.clock_step_s), []).append(step)
    return list(groups.values())


def _clock_line(summary: Summary, group: list[StepFinished]) -> Text:
    step = group[0]
    nodes = on_nodes(summary, group)
    where = f"{nodes}: " if nodes else ""
    line = (
        f"{where}the clock was set by {step.clock_step_s:+.1f} s while {step.plugin} "
        f"{key_of(step).name} ran; times are by one that can't be set"
    )
    return Text.assemble(("! ", "bold yellow"), line)


def _step_title(summary: Summary, group: list[StepFinished]) -> Text:
    step = group[0]
    title = Text.assemble(
        ("? " if step.status is Status.LOST else "✗ ", "bold red"),
        (f"{step.plugin} {key_of(step).name}", "bold"),
        f" {step.status.value}",
    )
    nodes = on_nodes(summary, group)
    title.append(f" on {nodes}" if nodes else "")
    title.append(f" after {duration(max(member.duration_s for member in group))}")
    if step.exit_code is not None:
        title.append(f", exit code {step.exit_code}")
    if step.message:
        title.append(f": {one_line(step.message)}")
    return title


def _step_block(summary: Summary, group: list[StepFinished], root: Path, run: str) -> list[Text]:
    step = group[0]
    block = [_step_title(summary, group)]
    if step.command:
        block.append(Text.assemble(("  command  ", "dim"), one_line(step.command)))
    frames = [str(frame) for frame in step.stack] or ([step.location] if step.location else [])
    for index, frame in enumerate(frames):
        block.append(Text.assemble(("  at       " if index == 0 else "           ", "dim"), frame))
    block += _output(step, root)
    return [*block, *_next_lines(_next_commands(summary, step, run))]


def _next_lines(commands: Iterable[str]) -> list[Text]:
    return [
        Text.assemble(("  next     " if index == 0 else "           ", "dim"), command)
        for index, command in enumerate(commands)
    ]


def _output(step: StepFinished, root: Path) -> list[Text]:
    if not step.log:
        return []
    path = root / step.log
    tail = last_lines(path, TAIL_LINES)
    if not tail:
        return [Text.assemble(("  output   ", "dim"), "none")]
    heading = f"last {len(tail)} lines of" if len(tail) > 1 else "the only line of"
    return [
        Text.assemble(("  output   ", "dim"), f"{heading} {path}"),
        *(Text.assemble(("  │ ", "red"), line) for line in tail),
    ]


def _next_commands(summary: Summary, step: StepFinished, run: str) -> Iterator[str]:
    key = key_of(step)
    show = ["asyncstack", "logs", *([run] if run else []), "--plugin", step.plugin]
    show += ["--phase", key.name]
    show += ["--node", step.node] if len(summary.nodes) > 1 else []
    yield f"{shlex.join(show)}    # all of its output"
    yield from _resume_command(summary, run)


def _resume_command(summary: Summary, run: str) -> Iterator[str]:
    if summary.command == "stack":
        # Not `stack --from-phase`, which would want all options of the run again, its nodes first.
        again = ["asyncstack", "resume", *([run] if run else [])]
        yield f"{shlex.join(again)}    # once it is repaired"


def _fetch_title(summary: Summary, group: list[FetchFinished]) -> Text:
    fetch = max(group, key=lambda one: one.duration_s)
    nodes = on_nodes(summary, group)
    title = Text.assemble(
        ("✗ ", "bold red"),
        (f"{fetch.plugin} fetch", "bold"),
        f" {fetch.status.value}",
        f" on {nodes}" if nodes else "",
        f" after {duration(fetch.duration_s)}",
    )
    if fetch.attempts > 1:
        title.append(f" and {fetch.attempts} tries")
    return title


def _fetch_blocks(summary: Summary, groups: list[list[FetchFinished]]) -> list[list[Text]]:
    """A block each; but where a server is gone for sixty repositories one block says it for all."""
    causes: dict[Hashable, list[list[FetchFinished]]] = {}
    for group in groups:
        causes.setdefault(_cause(group[0]), []).append(group)
    blocks = []
    for group in groups:
        first, *others = same = causes[_cause(group[0])]
        if len(same) <= MANY_ALIKE:
            blocks.append(_fetch_block(summary, group))
        elif group is first:
            names = ", ".join(_named(summary, other) for other in others)
            blocks.append(
                [*_fetch_block(summary, group), Text.assemble(("  also     ", "dim"), names)]
            )
    return blocks


def _named(summary: Summary, group: list[FetchFinished]) -> str:
    nodes = on_nodes(summary, group)
    return f"{group[0].plugin} on {nodes}" if nodes else group[0].plugin


def _cause(fetch: FetchFinished) -> Hashable:
    """What a failure has in common with others: its words without its names and numbers."""
    words = fetch.message.replace(fetch.url, "").replace(fetch.directory, "")
    return fetch.status, fetch.hint, re.sub(r"\d+", "", words)


def _fetch_block(summary: Summary, group: list[FetchFinished]) -> list[Text]:
    fetch = group[0]
    return [
        _fetch_title(summary, group),
        Text.assemble(("  from     ", "dim"), fetch.url),
        Text.assemble(("  ref      ", "dim"), fetch.ref),
        *(Text.assemble(("  │ ", "red"), one_line(line)) for line in fetch.message.splitlines()),
        *([Text.assemble(("  way out  ", "dim"), fetch.hint)] if fetch.hint else []),
    ]


def _lost_line(summary: Summary) -> Text:
    by_status: dict[str, list[str]] = {}
    for node in summary.lost_nodes:
        by_status.setdefault(node.status.value, []).append(node.node)
    told = "; ".join(f"{fold(nodes)} {status}" for status, nodes in by_status.items())
    return Text.assemble(("? ", "bold red"), told)
