"""From what a driver says to events: which step is open, how it ended, what it cost. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from asyncstack.events import (
    Event,
    PhaseFinished,
    PhaseStarted,
    SpanFinished,
    StepFinished,
    StepOutput,
    StepStarted,
    Warned,
)
from asyncstack.executor.failure import SIGNALLED, Cause, Evidence, signal_name
from asyncstack.model import Declaration, PhaseKey, Plugin, Status, Usage
from asyncstack.plan import PlannedPhase
from asyncstack.runtime import messages as m

__all__ = ["NodeTracker", "driver_log"]

#: A difference between wall clock and monotonic clock that is more than reading them costs.
_CLOCK_STEP_S = 0.5


class _Open:
    """A step that has begun."""

    def __init__(self, name: str, begin: m.Sample, log: str, seen: float) -> None:
        self.name = name
        self.seen = seen
        self.begin = begin
        self.log = log
        self.output_bytes = 0
        self.evidence = Evidence()
        self.exiting: m.Exiting | None = None


class NodeTracker:
    """Follows one node through its phases.

    `log_path` names a step's log; `clock` (seconds, monotonic) is read only for steps that end
    without a word from the node; `top_dir` is where our function library lies there.
    """

    def __init__(
        self,
        node: str,
        plugins: Sequence[Plugin],
        commits: Mapping[str, str],
        log_path: Callable[[PlannedPhase, str], str],
        clock: Callable[[], float] = time.monotonic,
        *,
        top_dir: str = "",
    ) -> None:
        self.node = node
        self._plugins = {plugin.name: plugin for plugin in plugins}
        self._commits = commits
        self._log_path = log_path
        self._clock = clock
        self._top_dir = top_dir
        self._phase: PlannedPhase | None = None
        self._due: list[str] = []
        self._open: _Open | None = None
        self._start = 0.0
        self._end = 0.0
        self._begun: set[PhaseKey] = set()
        self.failures = 0
        self.lost = False
        self._well = True
        self.declarations: list[Declaration] = []

    @property
    def open_step(self) -> str:
        """The name of the step that runs; empty if none does."""
        return self._open.name if self._open else ""

    @property
    def open_for_s(self) -> float:
        """Seconds since we heard that the running step began; 0 if none runs."""
        return self._clock() - self._open.seen if self._open else 0.0

    def start_phase(self, phase: PlannedPhase) -> list[Event]:
        """The node begins a phase."""
        self._begun.add(phase.key)
        self._phase = phase
        self._due = phase.steps(list(self._plugins))
        self._start = self._end = 0.0
        return [PhaseStarted(node=self.node, mode=phase.key.mode, phase=phase.key.phase)]

    def finish_phase(self, status: Status) -> list[Event]:
        """The phase is over; steps that never began are `aborted`."""
        phase = self._current()
        events = self._abort_due("the node's run ended before it") if not status.good else []
        events.append(
            PhaseFinished(
                node=self.node,
                mode=phase.key.mode,
                phase=phase.key.phase,
                status=status,
                start=self._start,
                end=self._end,
                duration_s=round(max(0.0, self._end - self._start), 6),
            )
        )
        self._phase = None
        return events

    def skip_phase(self, phase: PlannedPhase, message: str) -> list[Event]:
        """A phase that this node has not begun and never will: its steps are `aborted`."""
        if phase.key in self._begun:
            return []
        self._phase = phase
        self._due = phase.steps(list(self._plugins))
        events = self._abort_due(message)
        self._phase = None
        return events

    def close(self, status: Status, message: str) -> list[Event]:
        """End the open step, if there is one, from outside (cancelled, lost, timed out)."""
        if self._open is None:
            return []
        step = self._open
        if step.exiting is not None:
            return self._fail(step, step.exiting.status, step.exiting.sample, ended=True)
        now = step.begin.time + self._clock() - step.seen
        return self._finish(
            step, status, _without_usage(step.begin, str(now)), None, Cause(message)
        )

    def feed(self, item: m.Message | bytes) -> list[Event]:
        """What one message or piece of output amounts to, in order."""
        match item:
            case bytes():
                return self._output(item) if item else []
            case m.Begin():
                return [self._begin(item)]
            case m.End() | m.Exiting() | m.Exited():
                return self._ended(item)
            case m.Skip(name, reason):
                return [self._without_run(name, Status.SKIPPED, reason)]
            case m.Span():
                return self._span(item)
            case _:
                return self._remark(item)

    def _remark(self, item: m.Message) -> list[Event]:
        plugin = self.open_step
        if self._open is not None:
            self._open.evidence.feed(item)
        match item:
            case m.Warning_(code, text, path, line):
                return [
                    Warned(
                        code=code, message=text, node=self.node, plugin=plugin, path=path, line=line
                    )
                ]
            case m.Missing(function, library, path, line):
                text = f"{function} ({library or 'unknown'}) was called and is not there"
                return [
                    Warned(
                        code="missing-function",
                        message=text,
                        node=self.node,
                        plugin=plugin,
                        path=path,
                        line=line,
                    )
                ]
            case m.Defines(name, path, line):
                self.declarations.append(Declaration(name, "", path, line))
            case m.Requires(name, other, path, line):
                self.declarations.append(Declaration(name, other, path, line))
            case _:
                pass
        return []

    def _current(self) -> PlannedPhase:
        assert self._phase is not None, "a step outside of any phase"
        return self._phase

    def _output(self, data: bytes) -> list[Event]:
        if self._open is None:
            return [StepOutput(node=self.node, data=data, log=driver_log(self.node))]
        self._open.output_bytes += len(data)
        key = self._current().key
        return [
            StepOutput(
                node=self.node,
                mode=key.mode,
                phase=key.phase,
                plugin=self._open.name,
                data=data,
                log=self._open.log,
            )
        ]

    def _begin(self, begin: m.Begin) -> StepStarted:
        phase = self._current()
        sample = begin.sample
        self._start = self._start or sample.time
        step = self._open = _Open(
            begin.name, sample, self._log_path(phase, begin.name), self._clock()
        )
        return StepStarted(
            node=self.node,
            mode=phase.key.mode,
            phase=phase.key.phase,
            plugin=step.name,
            commit=self._commits.get(step.name, ""),
            start=sample.time,
            log=step.log,
        )

    def _ended(self, end: m.End | m.Exiting | m.Exited) -> list[Event]:
        step = self._open
        if isinstance(end, m.Exiting):
            # A trap doesn't see a signal in its status; the supervisor's word is next.
            if step is not None:
                step.exiting = end
            return []
        if step is None:
            # After a failed step that is what was to be expected.
            expected = isinstance(end, m.End) or not self._well
            return [] if expected else self._ended_between(end.status)
        if isinstance(end, m.Exited):
            return self._gone(step, end)
        if end.status != 0:
            return self._fail(step, end.status, end.sample)
        reason = step.evidence.reason
        status = Status.SKIPPED if reason else Status.OK
        return self._finish(step, status, end.sample, 0, Cause(reason))

    def _gone(self, step: _Open, end: m.Exited) -> list[Event]:
        """The driver ended in a step; without a word: killed, or another program by then."""
        if step.exiting is not None:
            return self._fail(step, end.status, step.exiting.sample, ended=True)
        sample = _without_usage(step.begin, end.time)
        if end.status <= SIGNALLED:
            return self._fail(step, end.status, sample, ended=True)
        self.lost = True
        name = signal_name(end.status - SIGNALLED)
        message = f"the driver was killed by {name} while this ran"
        return self._finish(step, Status.LOST, sample, end.status, Cause(message))

    def _ended_between(self, status: int) -> list[Event]:
        """The driver's shell ended where no step runs, by what an earlier one has left behind."""
        self.failures += 1
        message = f"the shell ended with status {status} before this began; see driver.log"
        if self._due:
            return [self._without_run(self._due[0], Status.FAILED, message)]
        message = f"the shell ended with status {status} after the last step; see driver.log"
        return [Warned(code="driver-ended", message=message, node=self.node)]

    def _fail(
        self, step: _Open, status: int, sample: m.Sample, *, ended: bool = False
    ) -> list[Event]:
        self.failures += 1
        plugin = self._plugins.get(step.name)
        cause = step.evidence.cause(
            status,
            self._current().key.mode,
            plugin.directory if plugin else "",
            step.name,
            ended=ended,
            top_dir=self._top_dir,
        )
        return self._finish(step, Status.FAILED, sample, status, cause)

    def _finish(
        self, step: _Open, status: Status, sample: m.Sample, code: int | None, cause: Cause
    ) -> list[Event]:
        self._open = None
        self._well = status.good
        self._drop_due(step.name)
        self._end = max(self._end, sample.time)
        phase = self._current()
        monotonic = round(sample.uptime - step.begin.uptime, 6)
        wall = round(sample.time - step.begin.time, 6)
        clock_step = wall - monotonic
        stepped = abs(clock_step) > _CLOCK_STEP_S
        usage: Usage = sample.usage_since(step.begin)
        return [
            StepFinished(
                node=self.node,
                mode=phase.key.mode,
                phase=phase.key.phase,
                plugin=step.name,
                status=status,
                commit=self._commits.get(step.name, ""),
                exit_code=code,
                start=step.begin.time,
                end=sample.time,
                duration_s=max(0.0, monotonic if stepped else wall),
                user_cpu_s=usage.user_cpu_s,
                system_cpu_s=usage.system_cpu_s,
                read_bytes=usage.read_bytes,
                write_bytes=usage.write_bytes,
                output_bytes=step.output_bytes,
                clock_step_s=round(clock_step, 3) if stepped else 0.0,
                log=step.log if step.output_bytes else "",
                message=cause.message,
                command=cause.command,
                location=cause.location,
                stack=cause.stack,
            )
        ]

    def _abort_due(self, message: str) -> list[Event]:
        return [self._without_run(name, Status.ABORTED, message) for name in list(self._due)]

    def _without_run(self, name: str, status: Status, message: str) -> StepFinished:
        self._drop_due(name)
        key = self._current().key
        return StepFinished(
            node=self.node,
            mode=key.mode,
            phase=key.phase,
            plugin=name,
            status=status,
            commit=self._commits.get(name, ""),
            message=message,
        )

    def _drop_due(self, name: str) -> None:
        if name in self._due:
            self._due.remove(name)

    def _span(self, span: m.Span) -> list[Event]:
        key = self._phase.key if self._phase else None
        if key is None:
            return []
        first, last = m.number(span.start), m.number(span.end)
        return [
            SpanFinished(
                node=self.node,
                mode=key.mode,
                phase=key.phase,
                plugin=self.open_step,
                name=span.name,
                start=first,
                end=last,
                duration_s=round(max(0.0, last - first), 6),
            )
        ]


def driver_log(node: str) -> str:
    """Where a node's output outside of steps goes, relative to the run directory."""
    return f"logs/{node}/driver.log"


def _without_usage(begin: m.Sample, time: str) -> m.Sample:
    # What the step consumed is unknown: its shell ended without saying.
    end = max(begin.time, m.number(time))
    return msgspec.structs.replace(begin, time=end, uptime=begin.uptime + end - begin.time)
