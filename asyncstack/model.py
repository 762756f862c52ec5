"""The nouns: what every layer passes to the next.

Times are seconds (float); points in time are seconds since the epoch, as the node's clock told
them. Sizes are bytes. Everything is immutable.
"""

from __future__ import annotations

import enum
from typing import Literal

from msgspec import Struct

__all__ = [
    "PHASES",
    "Command",
    "Declaration",
    "FetchStatus",
    "Frame",
    "Mode",
    "Node",
    "PhaseKey",
    "PhaseSelection",
    "Plugin",
    "SshArguments",
    "Status",
    "Suspicion",
    "Usage",
]


#: The subcommands that run phases.
Command = Literal["stack", "unstack", "clean"]


class Mode(enum.StrEnum):
    """The first argument of plugin.sh, and the two loads that come before it."""

    OVERRIDE_DEFAULTS = "override_defaults"
    SOURCE = "source"
    STACK = "stack"
    UNSTACK = "unstack"
    CLEAN = "clean"


#: The phases of mode `stack`, in DevStack's order; `prerequisites` is ours (see design, sequence).
PHASES = ("prerequisites", "pre-install", "install", "post-config", "extra", "test-config")


class Status(enum.StrEnum):
    """How a step, a node or a run stands; every step ends in exactly one of the final ones."""

    PENDING = "pending"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    ABORTED = "aborted"
    UNREACHABLE = "unreachable"
    LOST = "lost"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """True if nothing can change it any more."""
        return self not in (Status.PENDING, Status.RUNNING)

    @property
    def good(self) -> bool:
        """True if what depends on it may go on."""
        return self in (Status.OK, Status.SKIPPED)


class FetchStatus(enum.StrEnum):
    """How one repository ended: `cloned` and `updated` are new, `present` was left as it is."""

    CLONED = "cloned"
    UPDATED = "updated"
    PRESENT = "present"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def good(self) -> bool:
        """True if `$DEST/<name>` holds a complete checkout."""
        return self not in (FetchStatus.FAILED, FetchStatus.CANCELLED)


class PhaseKey(Struct, frozen=True, order=True):
    """A mode and, for mode `stack`, its phase (empty otherwise)."""

    mode: Mode
    phase: str = ""

    @property
    def name(self) -> str:
        """What a user calls it: `install`, `source`, `unstack`."""
        return self.phase or self.mode.value

    @property
    def slug(self) -> str:
        """Its part of a log path: `stack-install`, `source`."""
        return f"{self.mode.value}-{self.phase}" if self.phase else self.mode.value


class Plugin(Struct, frozen=True):
    """One `enable_plugin` line: `path` and `line` are where it stands, `directory` its checkout."""

    name: str
    url: str
    ref: str
    directory: str
    path: str = ""
    line: int = 0


class Declaration(Struct, frozen=True):
    """A `define_plugin` (`requires` empty) or `plugin_requires` line in a settings file."""

    name: str
    requires: str
    path: str
    line: int


class SshArguments(Struct, frozen=True):
    """What an inventory tells ssh of a node, as ssh's own options; it wins over ~/.ssh/config."""

    strict_host_key_checking: str = ""
    user_known_hosts_file: str = ""
    proxy_jump: str = ""
    proxy_command: str = ""


class Node(Struct, frozen=True):
    """A machine being stacked. `host` is only its address; empty for the local host.

    `inner_address` is where other nodes reach it, if that is known not to be where we do.
    """

    name: str
    host: str = ""
    user: str = ""
    port: int = 0
    inner_address: str = ""
    ssh: SshArguments = SshArguments()


class Frame(Struct, frozen=True):
    """One line of a bash call stack, innermost first."""

    function: str
    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line} in {self.function}"


class Usage(Struct, frozen=True):
    """What a step consumed, the processes that it waited for included."""

    user_cpu_s: float = 0.0
    system_cpu_s: float = 0.0
    read_bytes: int = 0
    write_bytes: int = 0


class Suspicion(Struct, frozen=True):
    """Something in the input that is probably not meant; `code` is stable."""

    code: str
    message: str
    plugin: str = ""
    path: str = ""
    line: int = 0


class PhaseSelection(Struct, frozen=True):
    """--phase, --from-phase, --until-phase; empty: no limit."""

    only: str = ""
    first: str = ""
    last: str = ""
