"""What single steps say: whether they ran, when, what they cost."""

from __future__ import annotations

from collections.abc import Iterable

from asyncstack.events import BarrierOpened, PhaseFinished, SpanFinished, StepFinished
from asyncstack.model import PhaseKey, Status

__all__ = ["cpu_is_known", "cpu_s", "did_run", "key_of", "worst"]

#: Seconds of wall time below which a CPU figure is mostly rounding.
CPU_KNOWN_FROM_S = 0.02

#: From harmless to grave: the status of several is that of the gravest.
_GRAVITY = (
    Status.SKIPPED,
    Status.OK,
    Status.PENDING,
    Status.RUNNING,
    Status.CANCELLED,
    Status.ABORTED,
    Status.UNREACHABLE,
    Status.LOST,
    Status.FAILED,
)


def did_run(step: StepFinished) -> bool:
    """False for what had nothing to do, or was never reached."""
    if step.status in (Status.ABORTED, Status.CANCELLED):
        return step.duration_s > 0
    return step.status is not Status.SKIPPED


def cpu_s(step: StepFinished) -> float:
    """CPU seconds of a step, its child processes included."""
    return step.user_cpu_s + step.system_cpu_s


def cpu_is_known(wall_s: float) -> bool:
    """Whether CPU time says anything for so short a time: bash tells it in whole milliseconds."""
    return wall_s >= CPU_KNOWN_FROM_S


def key_of(event: StepFinished | SpanFinished | BarrierOpened | PhaseFinished) -> PhaseKey:
    """The phase that an event belongs to."""
    return PhaseKey(event.mode, event.phase)


def worst(statuses: Iterable[Status]) -> Status:
    """The gravest of them; `skipped` if there is none."""
    return max(statuses, key=_GRAVITY.index, default=Status.SKIPPED)
