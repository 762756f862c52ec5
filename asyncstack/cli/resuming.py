"""What a run has left to be done, as the settings of another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from asyncstack.errors import RunDirectoryError
from asyncstack.journal import PastRun, RunDirectory, RunRecord
from asyncstack.model import Mode, PhaseKey, PhaseSelection, Status
from asyncstack.reports.runs import status_of
from asyncstack.reports.summary import Summary
from asyncstack.settings import THROUGH, RunSettings

__all__ = ["refuse_resumed", "what_is_left"]

#: What every run begins with, for all else builds upon it.
_LOADING = (Mode.OVERRIDE_DEFAULTS, Mode.SOURCE)


def refuse_resumed(directory: RunDirectory, run_id: str, later: Sequence[PastRun]) -> None:
    """See that no other run has done what this one left. `later` are the runs since, newest first.

    Raises RunDirectoryError, which names the last of them if the other one was resumed as well.
    """
    resumes = {
        run.record.settings.resumes: run
        for run in reversed(later)
        if run.record is not None and run.record.settings is not None
    }
    last = None
    while run_id in resumes:
        last = resumes.pop(run_id)
        run_id = last.directory.run_id
    if last is not None:
        raise RunDirectoryError(
            f"{run_id} has gone on from it, and is {status_of(last)}",
            path=str(directory.path),
            hint=_way_out(last),
        )


def _way_out(last: PastRun) -> str:
    run_id, status = last.directory.run_id, status_of(last)
    if status is Status.OK:
        return "nothing is left to be done; start a new one: asyncstack stack"
    if status is Status.RUNNING:
        return f"follow it: asyncstack logs --follow {run_id}"
    if last.record is not None and last.record.finished is None:
        return f"take it up: asyncstack attach {run_id}"
    return f"resume that one: asyncstack resume {run_id}"


def what_is_left(record: RunRecord, settings: RunSettings, summary: Summary) -> RunSettings:
    """The settings of a run, for the nodes that aren't through, each from where it isn't.

    `settings` are the record's.
    """
    # What was updated for the first run is there; and a run's directory is its own.
    fetch = msgspec.structs.replace(settings.fetch, update=False)
    settings = msgspec.structs.replace(
        settings, fetch=fetch, run_directory=None, resumes=record.run_id
    )
    order = [phase.key for phase in record.plan]
    first_of = _first_unfinished(order, summary)
    if not summary.steps:
        return settings  # it ended before its first phase
    loaded = sum(key.mode in _LOADING for key in order)
    needed = _needed(first_of, summary)
    first = min(first_of.values())
    selection = settings.selection
    if first >= loaded:
        selection = PhaseSelection(first=order[first].name, last=order[-1].name)
    return msgspec.structs.replace(
        settings,
        selection=selection,
        nodes=msgspec.structs.replace(settings.nodes, limit=_limit(record, {*first_of, *needed})),
        begin_at=dict.fromkeys(needed, THROUGH)
        | {
            # Who couldn't load its settings hasn't begun with what was left to it before.
            node: order[number].name if number >= loaded else settings.begin_at.get(node, "")
            for node, number in first_of.items()
        },
        copies_first=_copies(settings, [key.name for key in order[:first]], summary),
    )


def _first_unfinished(order: list[PhaseKey], summary: Summary) -> dict[str, int]:
    """The first phase that a node isn't through with, by its place; of nodes that have one."""
    found = {node.node: 0 for node in summary.lost_nodes if node.status is Status.UNREACHABLE}
    for step in summary.steps:
        if not step.status.good:
            number = order.index(PhaseKey(step.mode, step.phase))
            found[step.node] = min(number, found.get(step.node, number))
    # One that was found empty has no step that wasn't good, and none that is worth anything.
    for node in summary.lost_nodes:
        found.setdefault(node.node, 0)
    return found


def _needed(first_of: Mapping[str, int], summary: Summary) -> set[str]:
    """The nodes that are through, but have files that others still lack."""
    lacking = [copy for copy in summary.copies if not copy.ok and copy.target in first_of]
    return {copy.source for copy in lacking} - first_of.keys()


def _limit(record: RunRecord, needy: set[str]) -> str:
    """Those nodes, as --limit names them."""
    names = [node.name for node in record.nodes]
    if needy >= set(names):
        assert record.settings is not None
        return record.settings.nodes.limit
    return ",".join(name for name in names if name in needy)


def _copies(settings: RunSettings, left_out: list[str], summary: Summary) -> tuple[str, ...]:
    """The phases, of those that are left out now, whose copies have failed or were never made."""
    failed = {copy.after for copy in summary.copies if not copy.ok}
    made = {copy.after for copy in summary.copies if copy.ok}
    due = [name for name in left_out if name in failed]
    due += [name for name in settings.copies_first if name not in made - failed]
    return tuple(dict.fromkeys(due))
