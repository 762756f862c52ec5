"""What a run leaves behind: its directory, run.json, the event journal and the step logs.

Everything here writes or reads files and nothing else: who produces events and who shows them is
no business of this package.
"""

from __future__ import annotations

from asyncstack.journal.directory import PastRun, RunDirectory, list_runs, new_run_id, runs_home
from asyncstack.journal.reader import EventTail, read_events
from asyncstack.journal.record import RecordedNode, RecordedPlugin, RunRecord
from asyncstack.journal.redaction import Redactor, StreamRedactor
from asyncstack.journal.steplogs import StepLogs
from asyncstack.journal.writer import Journal, open_journal

__all__ = [
    "EventTail",
    "Journal",
    "PastRun",
    "RecordedNode",
    "RecordedPlugin",
    "Redactor",
    "RunDirectory",
    "RunRecord",
    "StepLogs",
    "StreamRedactor",
    "list_runs",
    "new_run_id",
    "open_journal",
    "read_events",
    "runs_home",
]
