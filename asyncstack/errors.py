"""Every error that asyncstack raises on purpose.

An error keeps its subject as attributes and builds its message from them: subject, problem, way
out. `exit_code` is what the command line returns for it. A failed step or a failed clone is no
error but a value (`StepResult`, `FetchResult`): only what nobody can go on from is raised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

__all__ = [
    "AsyncstackError",
    "AuthenticationError",
    "ConfigError",
    "ConnectError",
    "ConnectionLostError",
    "DependencyCycleError",
    "DriverProtocolError",
    "DuplicatePluginError",
    "FetchError",
    "FetchTimeoutError",
    "GitError",
    "HostKeyError",
    "InternalError",
    "InventoryError",
    "LocalConfError",
    "LockFileError",
    "NothingLeftError",
    "PluginError",
    "RefNotFoundError",
    "RunDirectoryError",
    "SettingsError",
    "TransportError",
    "UnfitNodeError",
    "UnknownPluginError",
]


class AsyncstackError(Exception):
    """Base of all of them.

    `problem` says what is wrong, `hint` the way out (may be empty).
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint

    def hide(self, hide: Callable[[str], str]) -> None:
        """Take secrets out of what it says; `hide` gives a text without them."""
        self.problem, self.hint = hide(self.problem), hide(self.hint)

    @property
    def subject(self) -> str:
        """What the error is about; empty if the problem says it all."""
        return ""

    def __str__(self) -> str:
        message = f"{self.subject}: {self.problem}" if self.subject else self.problem
        return f"{message}\n  {self.hint}" if self.hint else message


class ConfigError(AsyncstackError):
    """What the user wrote is wrong. `path` and `line` (1-based, 0 if unknown) say where."""

    exit_code = 2

    def __init__(self, problem: str, *, path: str = "", line: int = 0, hint: str = "") -> None:
        super().__init__(problem, hint=hint)
        self.path = path
        self.line = line

    @property
    def subject(self) -> str:
        return f"{self.path}:{self.line}" if self.path and self.line else self.path


class LocalConfError(ConfigError):
    """local.conf or localrc can't be used."""


class InventoryError(ConfigError):
    """The inventory can't be used."""


class SettingsError(ConfigError):
    """A command-line option, environment variable or settings file can't be used."""


class LockFileError(ConfigError):
    """asyncstack.lock can't be used, or disagrees with local.conf."""


class RunDirectoryError(ConfigError):
    """A run directory can't be made, written or found."""


class PluginError(AsyncstackError):
    """An `enable_plugin` line can't be used. `path` and `line` say which."""

    exit_code = 2

    def __init__(
        self, plugin: str, problem: str, *, path: str = "", line: int = 0, hint: str = ""
    ) -> None:
        super().__init__(problem, hint=hint)
        self.plugin = plugin
        self.path = path
        self.line = line

    @property
    def subject(self) -> str:
        where = f"{self.path}:{self.line}: " if self.path and self.line else ""
        return f"{where}plugin {self.plugin!r}"


class DuplicatePluginError(PluginError):
    """The same name was enabled twice."""


class UnknownPluginError(PluginError):
    """A name was asked for that no `enable_plugin` line registers."""


class DependencyCycleError(PluginError):
    """`plugin_requires` lines form a cycle; `cycle` holds its names, in order."""

    def __init__(self, cycle: tuple[str, ...]) -> None:
        super().__init__(
            cycle[0],
            "requires itself: " + " → ".join((*cycle, cycle[0])),
            hint="remove one plugin_requires line of the cycle",
        )
        self.cycle = cycle


class FetchError(AsyncstackError):
    """A repository could not be fetched (raised only by the strict form; a batch reports values)."""

    exit_code = 1

    def __init__(self, plugin: str, url: str, problem: str, *, hint: str = "") -> None:
        super().__init__(problem, hint=hint)
        self.plugin = plugin
        self.url = url

    @property
    def subject(self) -> str:
        return f"plugin {self.plugin!r} ({self.url})"


class GitError(FetchError):
    """git said no; the problem holds its last words."""


class RefNotFoundError(FetchError):
    """The repository has no such ref."""


class FetchTimeoutError(FetchError):
    """git took longer than it may, in every try."""


class TransportError(AsyncstackError):
    """A node can't be reached, or was lost."""

    exit_code = 5

    def __init__(self, node: str, problem: str, *, hint: str = "") -> None:
        super().__init__(problem, hint=hint)
        self.node = node

    @property
    def subject(self) -> str:
        return f"node {self.node}"


class ConnectError(TransportError):
    """No connection came about."""


class AuthenticationError(TransportError):
    """The node refused the login."""


class HostKeyError(TransportError):
    """The node's host key is unknown, or has changed."""


class ConnectionLostError(TransportError):
    """The connection, or the driver behind it, ended before its work did."""


class NothingLeftError(ConnectionLostError):
    """The node was reached, but has nothing of the run any more: it was installed anew, perhaps."""


class UnfitNodeError(TransportError):
    """The node lacks something that every run needs (bash 5, git, a writable state directory)."""

    exit_code = 2


class DriverProtocolError(AsyncstackError):
    """The driver sent something that this version can't understand: a bug of ours."""

    def __init__(self, node: str, problem: str) -> None:
        super().__init__(problem, hint="this is a bug in asyncstack; please report it")
        self.node = node

    @property
    def subject(self) -> str:
        return f"node {self.node}"


class InternalError(AsyncstackError):
    """Something that can't happen did: a bug of ours."""
