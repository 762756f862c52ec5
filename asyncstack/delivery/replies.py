"""What a node says while it works: one line a repository that is done."""

from __future__ import annotations

from collections.abc import Sequence

from anyio import EndOfStream

from asyncstack.checkouts.wording import about_contents, about_resumed, about_saved, local_work
from asyncstack.delivery.scripts import US
from asyncstack.delivery.tasks import Batch, Task
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus
from asyncstack.transports.base import Process

__all__ = ["read_local_work", "read_replies"]

_NEWLINE = "\x1e"
_STATUS = {
    "cloned": FetchStatus.CLONED,
    "updated": FetchStatus.UPDATED,
    "present": FetchStatus.PRESENT,
}


async def read_replies(process: Process, batch: Batch) -> None:
    """Finish tasks as the node tells of them, until it has nothing more to say."""
    rest = b""
    while True:
        try:
            rest += await process.stdout.receive()
        except EndOfStream:
            return
        *lines, rest = rest.split(b"\n")
        for each in lines:
            _take(each.decode("utf-8", "replace"), batch)


def _take(reply: str, batch: Batch) -> None:
    number, *fields = reply.split(US, 3)
    task = batch.tasks[int(number)]
    if not fields:
        task.start()
        return
    status, commit, said = fields
    words = _lines(said)
    if status in _STATUS:
        _succeed(task, _STATUS[status], commit, words.splitlines())
    elif status.startswith("retry "):
        _, attempt, pause = status.split(" ")
        task.retry(int(attempt), float(pause), words)
    elif status == "dirty":
        _refuse_update(task, commit, words.splitlines())
    else:
        task.fail(words, commit=commit)


def _succeed(task: Task, status: FetchStatus, commit: str, notes: Sequence[str]) -> None:
    directory, plugin = task.request.directory, task.request.plugin
    warnings = about_contents(directory, plugin, _noted(notes, "W"))
    for name in _noted(notes, "S"):
        warnings.insert(0, about_saved(directory, plugin, _local_work(notes), name))
    if _noted(notes, "R"):
        status = FetchStatus.UPDATED
        warnings.insert(0, about_resumed(directory, plugin))
    task.finish(status, commit=commit, warnings=warnings)


def read_local_work(text: str) -> dict[int, str]:
    """Read what a node says that updates would destroy, by number; '' for those where it is nothing."""
    work = {}
    for reply in filter(None, text.split("\n")):
        number, _, _, said = reply.split(US, 3)
        work[int(number)] = _local_work(_lines(said).splitlines())
    return work


def _lines(said: str) -> str:
    return said.replace(_NEWLINE, "\n").strip("\n")


def _refuse_update(task: Task, commit: str, notes: Sequence[str]) -> None:
    work = _local_work(notes) or "; ".join(notes)
    task.fail(
        f"{task.request.directory} holds work that is nowhere else: {work}",
        failure=FailureClass.LOCAL_CHANGES,
        commit=commit,
    )


def _local_work(notes: Sequence[str]) -> str:
    unfinished = "".join(_noted(notes, "U")[:1])
    return local_work(unfinished, _noted(notes, "F"), _noted(notes, "C"))


def _noted(notes: Sequence[str], kind: str) -> list[str]:
    """Return what a node noted of one kind: a line's first letter."""
    return [note[1:] for note in notes if note.startswith(kind)]
