"""What a node says while it works: one line a repository that is done."""

from __future__ import annotations

from anyio import EndOfStream

from asyncstack.delivery.decisions import describe_local_work
from asyncstack.delivery.scripts import US
from asyncstack.delivery.tasks import Batch, Task
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus, Suspicion
from asyncstack.transports.base import Process

__all__ = ["read_replies"]

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
    words = said.replace(_NEWLINE, "\n").strip("\n")
    if status in _STATUS:
        _succeed(task, _STATUS[status], commit)
    elif status.startswith("retry "):
        _, attempt, pause = status.split(" ")
        task.retry(int(attempt), float(pause), words)
    elif status == "dirty":
        _refuse_update(task, commit, words)
    else:
        task.fail(words, commit=commit)


def _succeed(task: Task, status: FetchStatus, commit: str) -> None:
    if not task.resumes:
        task.finish(status, commit=commit)
        return
    message = f"{task.parcel.directory}: finished an update that had been interrupted"
    warning = Suspicion("update-resumed", message, task.parcel.plugin)
    task.finish(FetchStatus.UPDATED, commit=commit, warnings=(warning,))


def _refuse_update(task: Task, commit: str, words: str) -> None:
    work = describe_local_work(words.splitlines())
    task.fail(
        f"{task.parcel.directory} holds work that is nowhere else: {work}",
        failure=FailureClass.LOCAL_CHANGES,
        hint="commit and push it there, or remove the checkout",
        commit=commit,
    )
