"""What the driver says: one struct a kind of frame, its fields in the order they are sent."""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from asyncstack.model import Usage
from asyncstack.runtime.framing import Frame

__all__ = [
    "Absent",
    "Bare",
    "Begin",
    "Checkout",
    "Defines",
    "Die",
    "Done",
    "End",
    "ErrorSeen",
    "ExitCalled",
    "Exited",
    "Exiting",
    "Fact",
    "Hello",
    "LocalrcFailed",
    "LocalrcSyntax",
    "Message",
    "Missing",
    "PluginListed",
    "Reason",
    "Received",
    "Register",
    "Repository",
    "Requires",
    "Sample",
    "Secret",
    "Skip",
    "Span",
    "StackFrame",
    "Standing",
    "SubError",
    "Unfit",
    "Unprepared",
    "Variable",
    "Warning_",
    "decode",
    "number",
]


class Message(Struct, frozen=True, array_like=True):
    """Base of all of them."""


class Hello(Message, frozen=True, array_like=True):
    """The driver runs: its pid, its directory, its clock."""

    pid: int
    directory: str
    time: str


class Unfit(Message, frozen=True, array_like=True):
    """The node lacks `what` (bash), having `found` instead."""

    what: str
    found: str


class Fact(Message, frozen=True, array_like=True):
    """Something about the node, for run.json."""

    name: str
    value: str


class LocalrcSyntax(Message, frozen=True, array_like=True):
    """localrc can't be parsed; `message` is bash's own."""

    path: str
    message: str


class LocalrcFailed(Message, frozen=True, array_like=True):
    """A command of localrc failed; DevStack goes on, and so does the driver."""

    status: int
    path: str
    line: int
    command: str


class Register(Message, frozen=True, array_like=True):
    """An `enable_plugin` was executed."""

    name: str
    url: str
    ref: str
    directory: str
    path: str
    line: int


class PluginListed(Message, frozen=True, array_like=True):
    """A plugin as it stands after localrc, in registration order."""

    name: str
    url: str
    ref: str
    directory: str


class Variable(Message, frozen=True, array_like=True):
    """A variable that the controller needs."""

    name: str
    value: str


class Secret(Message, frozen=True, array_like=True):
    """A value that may appear in no sink."""

    name: str
    value: str


class Defines(Message, frozen=True, array_like=True):
    """A `define_plugin` line."""

    name: str
    path: str
    line: int


class Requires(Message, frozen=True, array_like=True):
    """A `plugin_requires` line."""

    name: str
    other: str
    path: str
    line: int


class Checkout(Message, frozen=True, array_like=True):
    """What lies at a plugin's directory: `present`, `absent`, or empty for no checkout."""

    name: str
    state: str
    commit: str


class Standing(Message, frozen=True, array_like=True):
    """A checkout that is in order and where it was asked to be; `branch` empty: detached.

    `contents`: it has a devstack folder.
    """

    name: str
    commit: str
    branch: str
    origin: str
    contents: bool


class Bare(Message, frozen=True, array_like=True):
    """A plugin whose checkout has no devstack folder."""

    name: str


class Repository(Message, frozen=True, array_like=True):
    """An entry of GITREPO, with its GITDIR and GITBRANCH."""

    name: str
    url: str
    directory: str
    ref: str


class Absent(Message, frozen=True, array_like=True):
    """$DEST or $DATA_DIR is not there yet."""

    path: str


class Unprepared(Message, frozen=True, array_like=True):
    """$DEST or $DATA_DIR can't be made or written; `setting` is the variable to change."""

    path: str
    problem: str
    setting: str = "DEST"


class Warning_(Message, frozen=True, array_like=True):  # noqa: N801 – Warning is a builtin
    """Something that the user should look at."""

    code: str
    text: str
    path: str = ""
    line: int = 0


class Missing(Message, frozen=True, array_like=True):
    """A function was called that isn't there; `library` is DevStack's that would have it."""

    function: str
    library: str
    path: str = ""
    line: int = 0


class Die(Message, frozen=True, array_like=True):
    """`die` was called; the shell exits right after."""

    text: str
    path: str = ""
    line: int = 0


class ErrorSeen(Message, frozen=True, array_like=True):
    """A command failed under errexit: the shell ends right after."""

    status: int
    path: str
    line: int
    command: str


class SubError(Message, frozen=True, array_like=True):
    """A command failed in a subshell, which ends; the shell itself may follow."""

    status: int
    path: str
    line: int
    command: str


class ExitCalled(Message, frozen=True, array_like=True):
    """`exit` was called in the driver's own shell."""

    status: int
    path: str
    line: int


class StackFrame(Message, frozen=True, array_like=True):
    """One frame of the error or exit before it, innermost first."""

    function: str
    path: str
    line: int


class Sample(Struct, frozen=True):
    """What the driver's shell had consumed at one moment; two of them make a Usage."""

    time: float
    uptime: float
    user_cpu_s: float
    system_cpu_s: float
    read_bytes: int
    write_bytes: int

    def usage_since(self, begin: Sample) -> Usage:
        """What was consumed since `begin`; never negative."""
        return Usage(
            user_cpu_s=max(0.0, round(self.user_cpu_s - begin.user_cpu_s, 6)),
            system_cpu_s=max(0.0, round(self.system_cpu_s - begin.system_cpu_s, 6)),
            read_bytes=max(0, self.read_bytes - begin.read_bytes),
            write_bytes=max(0, self.write_bytes - begin.write_bytes),
        )


class _Sampled(Message, frozen=True, array_like=True):
    time: str
    uptime: str
    own_times: str
    child_times: str
    io: str

    @property
    def sample(self) -> Sample:
        """The figures in what was sent."""
        own, child = _cpu(self.own_times), _cpu(self.child_times)
        return Sample(
            time=number(self.time),
            uptime=number(self.uptime),
            user_cpu_s=own[0] + child[0],
            system_cpu_s=own[1] + child[1],
            read_bytes=_io(self.io, "read_bytes"),
            write_bytes=_io(self.io, "write_bytes"),
        )


class Begin(_Sampled, frozen=True, array_like=True):
    """A step begins: the driver sources the plugin's file next."""

    name: str = ""


class End(_Sampled, frozen=True, array_like=True):
    """A step came to its end; `status` is what `source` returned."""

    status: int = 0


class Exiting(_Sampled, frozen=True, array_like=True):
    """The driver's shell ends (its EXIT trap ran); a step that is open has failed."""

    status: int = 0


class Exited(Message, frozen=True, array_like=True):
    """The supervisor's word that the driver is gone, with its wait status and the time."""

    status: int
    time: str


class Reason(Message, frozen=True, array_like=True):
    """Why the open step did nothing; it counts as skipped."""

    text: str


class Skip(Message, frozen=True, array_like=True):
    """A plugin has nothing for this phase."""

    name: str
    reason: str


class Span(Message, frozen=True, array_like=True):
    """A time_start/time_stop pair, in seconds since the epoch."""

    name: str
    start: str
    end: str


class Received(Message, frozen=True, array_like=True):
    """The command with this number has come; the time is when, by the node's clock."""

    sequence: int
    time: str


class Done(Message, frozen=True, array_like=True):
    """The command with this number is done; 0: the boot is."""

    sequence: int


_KINDS: dict[str, type[Message]] = {
    "hello": Hello,
    "unfit": Unfit,
    "fact": Fact,
    "localrc-syntax": LocalrcSyntax,
    "localrc-failed": LocalrcFailed,
    "register": Register,
    "plugin": PluginListed,
    "variable": Variable,
    "secret": Secret,
    "defines": Defines,
    "requires": Requires,
    "checkout": Checkout,
    "bare": Bare,
    "repository": Repository,
    "absent": Absent,
    "unprepared": Unprepared,
    "warning": Warning_,
    "missing": Missing,
    "die": Die,
    "error": ErrorSeen,
    "suberror": SubError,
    "exit-called": ExitCalled,
    "frame": StackFrame,
    "exited": Exited,
    "reason": Reason,
    "skip": Skip,
    "span": Span,
    "standing": Standing,
    "received": Received,
    "done": Done,
}
# These carry a first field before the sample, which struct inheritance would put last.
_SAMPLED: dict[str, type[_Sampled]] = {"begin": Begin, "end": End, "exiting": Exiting}


def decode(frame: Frame) -> Message | None:
    """The message in a frame; None for a kind that this version doesn't know.

    Raises ValueError (msgspec.ValidationError) if the fields don't fit the kind.
    """
    if frame.kind in _SAMPLED:
        first, *rest = frame.fields
        return msgspec.convert([*rest, first], _SAMPLED[frame.kind], strict=False)
    kind = _KINDS.get(frame.kind)
    return None if kind is None else msgspec.convert(list(frame.fields), kind, strict=False)


_CPU = re.compile(r"(\d+)m(\d+)[.,](\d+)s")
_IO = re.compile(r"(\w+): (\d+)")


def _cpu(line: str) -> tuple[float, float]:
    # `0m1.250s 0m0.031s`: user and system; the point follows the plugin's locale.
    found = [int(m) * 60 + float(f"{s}.{f}") for m, s, f in _CPU.findall(line)]
    return (found[0], found[1]) if len(found) == 2 else (0.0, 0.0)  # noqa: PLR2004


def _io(text: str, name: str) -> int:
    return int(dict(_IO.findall(text)).get(name, 0))


def number(text: str) -> float:
    """Seconds as bash prints them, whatever a plugin's locale makes of the point."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return 0.0
