"""The events: one frozen struct a fact, and their JSON form, which is the journal's format.

A line of events.jsonl is one event as a JSON object. Common to all: `timestamp` (UTC, ISO 8601,
microseconds: when the controller learned of it), `event` (the kind) and `run_id`. Durations end in
`_s` and are seconds; `start` and `end` are seconds since the epoch by the node's own clock (less
the `offset_s` of its last `clock-compared` they can be compared across nodes); sizes end in
`_bytes`. Fields may be added in a version, never renamed or removed; a reader skips kinds
and fields that it doesn't know (`decode` gives None) and a line that was cut off.

The transient kinds (`FetchProgress`, `StepOutput`) feed live displays and are never journalled.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

from asyncstack.model import FetchStatus, Frame, Mode, Status

__all__ = [
    "FORMAT_VERSION",
    "BarrierOpened",
    "ClockCompared",
    "ConnectionChanged",
    "Emit",
    "Event",
    "FetchFinished",
    "FetchProgress",
    "FetchRetried",
    "FetchStarted",
    "FilesCopied",
    "NodeBooted",
    "NodeFinished",
    "PhaseFinished",
    "PhaseStarted",
    "PluginRegistered",
    "RunFinished",
    "RunStarted",
    "SpanFinished",
    "StepFinished",
    "StepOutput",
    "StepStarted",
    "Transient",
    "Warned",
    "decode",
    "encode",
    "kind_of",
    "stamped",
    "to_fields",
]

#: Of the journal's format; raised when a reader of the old one would be misled.
FORMAT_VERSION = 1


def _kebab(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


class Event(Struct, frozen=True, kw_only=True, tag=_kebab, tag_field="event"):
    """What all events share. `timestamp` is filled in by the journal if it is empty."""

    run_id: str = ""
    timestamp: str = ""


EventT = TypeVar("EventT", bound=Event)


class RunStarted(Event, frozen=True, kw_only=True):
    """A run began: `command` is the subcommand, `phases` the columns to come, in order."""

    command: str
    version: str
    format_version: int = FORMAT_VERSION
    local_conf: str = ""
    nodes: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()


class RunFinished(Event, frozen=True, kw_only=True):
    """A run ended; `exit_code` is the process's, `duration_s` the wall time since the run began.

    That is by the controllers' clocks, and with the time that it had no controller.
    """

    status: Status
    exit_code: int
    duration_s: float


class NodeBooted(Event, frozen=True, kw_only=True):
    """The driver of a node runs and has evaluated localrc.

    `launcher` says what keeps it alive (`setsid`, `systemd`); `facts` are strings (bash, kernel,
    os, cpus, memory). `clock_offset_s` is what old versions guessed; see ClockCompared.
    """

    node: str
    pid: int
    directory: str
    launcher: str = "setsid"
    clock_offset_s: float = 0.0
    duration_s: float = 0.0
    dest: str = ""
    facts: dict[str, str] = field(default_factory=dict)


class ClockCompared(Event, frozen=True, kw_only=True):
    """How far a node's clock is ahead of the controller's: node time less `offset_s` is ours.

    By a round trip: `uncertainty_s` is half of it. It counts until the next one of this node,
    which comes when a shorter round trip knew better, or a clock drifted or was set.
    """

    node: str
    offset_s: float
    uncertainty_s: float


class ConnectionChanged(Event, frozen=True, kw_only=True):
    """The connection to a node was lost (`message` says how) or is `up` again; its driver goes on."""

    node: str
    up: bool
    message: str = ""


class NodeFinished(Event, frozen=True, kw_only=True):
    """A node's part of the run is over."""

    node: str
    status: Status
    message: str = ""


class PluginRegistered(Event, frozen=True, kw_only=True):
    """A node's localrc registered a plugin; order is registration order."""

    node: str
    plugin: str
    url: str
    ref: str
    directory: str
    path: str = ""
    line: int = 0


class Warned(Event, frozen=True, kw_only=True):
    """Something that a user should look at; `code` is stable, `message` is for people."""

    code: str
    message: str
    node: str = ""
    plugin: str = ""
    path: str = ""
    line: int = 0


class FetchStarted(Event, frozen=True, kw_only=True):
    """Work on one repository began (it has left the queue)."""

    plugin: str
    url: str
    ref: str
    directory: str
    node: str = ""


class FetchRetried(Event, frozen=True, kw_only=True):
    """A try failed and another one follows after `delay_s`; `reason` is the class of failure."""

    plugin: str
    url: str
    attempt: int
    reason: str
    message: str
    delay_s: float
    node: str = ""


class FetchFinished(Event, frozen=True, kw_only=True):
    """One repository is done. `stages` splits `duration_s` (connect, negotiate, receive, …).

    `message` says what went wrong, `hint` the way out where there is one. `prefetch`: a plugin would
    clone it by itself later, so that nothing is lost if it failed.
    """

    plugin: str
    url: str
    ref: str
    directory: str
    status: FetchStatus
    commit: str = ""
    node: str = ""
    start: float = 0.0
    end: float = 0.0
    duration_s: float = 0.0
    attempts: int = 1
    received_bytes: int = 0
    objects: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    message: str = ""
    hint: str = ""
    prefetch: bool = False


class PhaseStarted(Event, frozen=True, kw_only=True):
    """A node begins a phase. `phase` is empty for modes that have none."""

    node: str
    mode: Mode
    phase: str = ""


class PhaseFinished(Event, frozen=True, kw_only=True):
    """A node is through with a phase, or it ended there."""

    node: str
    mode: Mode
    status: Status
    phase: str = ""
    start: float = 0.0
    end: float = 0.0
    duration_s: float = 0.0


class BarrierOpened(Event, frozen=True, kw_only=True):
    """All nodes have finished a phase; `held_by` came last, `waited_s` after the first."""

    mode: Mode
    phase: str = ""
    held_by: str = ""
    waited_s: float = 0.0


class FilesCopied(Event, frozen=True, kw_only=True):
    """Files went from one node to another, `after` a phase, as the inventory asks for."""

    source: str
    target: str
    paths: tuple[str, ...]
    after: str
    ok: bool
    sent_bytes: int = 0
    duration_s: float = 0.0
    message: str = ""


class StepStarted(Event, frozen=True, kw_only=True):
    """The driver is about to source a plugin's file. `log` is relative to the run directory."""

    node: str
    mode: Mode
    plugin: str
    phase: str = ""
    commit: str = ""
    start: float = 0.0
    log: str = ""


class StepFinished(Event, frozen=True, kw_only=True):
    """A step has its final status. For a failure: the command, its location, the call stack.

    `plugin` begins with `@` where no plugin is meant: `@packages`, `@local.conf`, `@local.sh`,
    `@extras.d/NAME`. `message` is what `die` said, or why it was skipped. `clock_step_s` is not 0
    if the node's clock was set while the step ran; `duration_s` is then the monotonic one.
    """

    node: str
    mode: Mode
    plugin: str
    status: Status
    phase: str = ""
    commit: str = ""
    exit_code: int | None = None
    start: float = 0.0
    end: float = 0.0
    duration_s: float = 0.0
    user_cpu_s: float = 0.0
    system_cpu_s: float = 0.0
    read_bytes: int = 0
    write_bytes: int = 0
    output_bytes: int = 0
    clock_step_s: float = 0.0
    log: str = ""
    message: str = ""
    command: str = ""
    location: str = ""
    stack: tuple[Frame, ...] = ()


class SpanFinished(Event, frozen=True, kw_only=True):
    """A `time_start`/`time_stop` pair inside a step: DevStack's own timing, by its name."""

    node: str
    mode: Mode
    plugin: str
    name: str
    start: float
    end: float
    duration_s: float
    phase: str = ""


class FetchProgress(Event, frozen=True, kw_only=True):
    """git's own progress on one repository: `fraction` of `stage`, if git knows it."""

    plugin: str
    stage: str
    fraction: float | None = None
    received_bytes: int = 0
    objects: int = 0
    total_objects: int = 0
    bytes_per_s: float = 0.0
    node: str = ""


class StepOutput(Event, frozen=True, kw_only=True):
    """A step printed `data`; it need not end at a line or a character.

    `log` is where it belongs, relative to the run directory. `plugin` is empty for what is printed
    between steps (a daemon, localrc), which goes to the node's driver.log.
    """

    node: str
    data: bytes
    log: str
    mode: Mode = Mode.SOURCE
    plugin: str = ""
    phase: str = ""


#: What every producer of events is given. It must not block, and is never called from a thread.
Emit = Callable[[Event], None]

#: Kinds that a display wants and the journal doesn't.
Transient = FetchProgress | StepOutput

_Any = (
    RunStarted
    | RunFinished
    | NodeBooted
    | ClockCompared
    | ConnectionChanged
    | NodeFinished
    | PluginRegistered
    | Warned
    | FetchStarted
    | FetchRetried
    | FetchFinished
    | PhaseStarted
    | PhaseFinished
    | BarrierOpened
    | FilesCopied
    | StepStarted
    | StepFinished
    | SpanFinished
)
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(_Any)
_encoder = msgspec.json.Encoder()


def kind_of(event: Event) -> str:
    """The event's kind, as its JSON form names it: `step-finished`."""
    tag = event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def encode(event: Event) -> bytes:
    """One JSON line, without the newline."""
    return _encoder.encode(event)


def stamped(event: EventT) -> EventT:
    """The event with the present time as its timestamp, unless it has one."""
    if event.timestamp:
        return event
    now = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
    return msgspec.structs.replace(event, timestamp=now.replace("+00:00", "Z"))


def to_fields(event: Event) -> dict[str, Any]:
    """The event's fields as plain data, without its kind: what a structlog call takes."""
    fields: dict[str, Any] = msgspec.to_builtins(event)
    del fields["event"]
    return fields


def decode(line: bytes | str) -> Event | None:
    """The event of one journal line; None for a kind we don't know or a line that was cut."""
    try:
        return _decoder.decode(line)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None
