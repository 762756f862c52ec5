"""Why a step failed: the last things that the driver said before it ended. Pure."""

from __future__ import annotations

import signal

from msgspec import Struct

from asyncstack.model import Frame, Mode
from asyncstack.runtime import messages as m

__all__ = ["SIGNALLED", "Cause", "Evidence", "signal_name"]

#: A shell's status for what a signal has ended is this plus the signal's number.
SIGNALLED = 128
_FILES = {Mode.OVERRIDE_DEFAULTS: "override-defaults", Mode.SOURCE: "settings"}


class Cause(Struct, frozen=True):
    """A failure as the journal has it; `location` is file:line."""

    message: str = ""
    command: str = ""
    location: str = ""
    stack: tuple[Frame, ...] = ()


class Evidence:
    """Gathers what may explain a failure, and says what does."""

    def __init__(self) -> None:
        self._last: m.ErrorSeen | m.ExitCalled | None = None
        self._inner: m.SubError | None = None
        self._frames: list[Frame] = []
        self._die: m.Die | None = None
        self._missing: m.Missing | None = None
        self._warning: m.Warning_ | None = None
        self.reason = ""

    def feed(self, message: m.Message) -> None:
        """Take a message of an open step; those that explain nothing are passed over."""
        match message:
            case m.ErrorSeen() | m.ExitCalled():
                self._last, self._frames = message, []
            case m.SubError():
                # The innermost one comes first, and is where it happened.
                self._inner = self._inner or message
            case m.StackFrame(function, path, line):
                self._frames.append(Frame(function, path, line))
            case m.Die():
                self._die = message
            case m.Missing():
                self._missing = message
            case m.Warning_():
                self._warning = message
            case m.Reason(text):
                self.reason = text
            case _:
                pass

    def cause(
        self,
        status: int,
        mode: Mode,
        directory: str,
        plugin: str,
        *,
        ended: bool = False,
        top_dir: str = "",
    ) -> Cause:
        """The best explanation for an end with `status`; `ended`: the shell's, not the file's.

        What failed inside our function library (below `top_dir`) is told as the plugin's call
        of it: that is the line which its author can do something about.
        """
        cause = self._innermost(status, mode, directory, plugin, ended=ended)
        if not top_dir or not cause.location.startswith(f"{top_dir}/"):
            return cause
        inside = 0
        while inside < len(cause.stack) and cause.stack[inside].path.startswith(f"{top_dir}/"):
            inside += 1
        if not 0 < inside < len(cause.stack):
            return cause
        called, caller = cause.stack[inside - 1], cause.stack[inside]
        place = f"{caller.path}:{caller.line}"
        # What the library has warned of at this very line says it better than a command of its own.
        warning = self._warning
        warned = warning.text if warning and _place(warning.path, warning.line) == place else ""
        message = cause.message or warned or f"{cause.command} ({cause.location})"
        return Cause(message, called.function, place, cause.stack[inside:])

    def _innermost(  # noqa: PLR0911 – one for each kind of evidence, the strongest first
        self, status: int, mode: Mode, directory: str, plugin: str, *, ended: bool
    ) -> Cause:
        stack = tuple(self._frames)
        if self._missing is not None:
            gone = self._missing
            place = _place(gone.path, gone.line)
            return Cause(_missing_text(gone), gone.function, place, _called_from(gone, stack))
        if self._die is not None:
            die = self._die
            return Cause(die.text, "die", _place(die.path, die.line), stack)
        last = self._last
        if isinstance(last, m.ExitCalled):
            message = f"called exit {last.status}, which ends the shell that all plugins share"
            return Cause(message, f"exit {last.status}", _place(last.path, last.line), stack)
        if last is None or last.path.endswith("/driver.bash"):
            if last is None and ended:
                return Cause(_ended_text(status))
            return self._returned(status, mode, directory, plugin)
        location = _place(last.path, last.line)
        inner = self._inner
        if inner and inner.path == last.path and inner.command != last.command:
            inside = f"in a subshell: {inner.command} ({_place(inner.path, inner.line)})"
            return Cause(inside, last.command, location, stack)
        return Cause("", last.command, location, stack)

    def _returned(self, status: int, mode: Mode, directory: str, plugin: str) -> Cause:
        if plugin.startswith("@"):
            return Cause(f"ended with status {status}")
        file = f"{directory}/devstack/{_FILES.get(mode, 'plugin.sh')}"
        message = f"returned {status}: that of its last command, a `return` or bash's own error"
        return Cause(message, "", file)


def signal_name(number: int) -> str:
    """What a signal is called: `SIGKILL`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _ended_text(status: int) -> str:
    if status > SIGNALLED:
        return f"the shell was ended by {signal_name(status - SIGNALLED)}"
    return (
        f"ended the shell that all plugins share, with status {status}: by bash's own error (see "
        "the output), `exec`, or an `exit` that a trap has hidden"
    )


def _missing_text(gone: m.Missing) -> str:
    if not gone.library:
        return f"{gone.function}: no such command or function"
    return (
        f"{gone.function} belongs to DevStack's {gone.library}, which is not here; "
        "run with --devstack DIR"
    )


def _called_from(gone: m.Missing, stack: tuple[Frame, ...]) -> tuple[Frame, ...]:
    # A missing function is noticed in a trap, where bash has forgotten the innermost line.
    for index, frame in enumerate(stack):
        if frame.path == gone.path:
            return (Frame(frame.function, frame.path, gone.line), *stack[index + 1 :])
    return stack


def _place(path: str, line: int) -> str:
    return f"{path}:{line}" if path and line else path
