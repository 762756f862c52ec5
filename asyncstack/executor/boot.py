"""What a driver reports while it boots, gathered into one value. Pure."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from asyncstack.errors import (
    AsyncstackError,
    ConnectionLostError,
    LocalConfError,
    PluginError,
    UnfitNodeError,
)
from asyncstack.executor.failure import SIGNALLED, signal_name
from asyncstack.model import Plugin, Suspicion
from asyncstack.registry import absolute_url
from asyncstack.runtime import messages as m

__all__ = ["Boot", "BootCollector"]


class Boot(Struct, frozen=True, kw_only=True):
    """A node that is ready: what it is, which plugins it registered, its variables."""

    pid: int
    directory: str
    plugins: tuple[Plugin, ...]
    variables: dict[str, str]
    facts: dict[str, str]
    warnings: tuple[Suspicion, ...] = ()

    @property
    def dest(self) -> str:
        """The node's $DEST."""
        return self.variables.get("DEST", "")

    def seen_from(self, folder: str) -> Boot:
        """The same with URLs that mean the same elsewhere: a relative path is that from a folder."""
        plugins = [replace(p, url=absolute_url(p.url, folder)) for p in self.plugins]
        return replace(self, plugins=tuple(plugins))


class _Draft(Struct):
    hello: m.Hello | None = None
    registered: list[m.Register] = field(default_factory=list)
    listed: list[m.PluginListed] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    warnings: list[Suspicion] = field(default_factory=list)
    die: m.Die | None = None
    exit_called: m.ExitCalled | None = None
    failed: m.LocalrcFailed | None = None
    error: AsyncstackError | None = None


class BootCollector:
    """Takes a driver's messages until its boot is done or has failed.

    `localrc_path` is the file that the localrc really comes from; the driver's own copy has the
    same lines and is never named to the user.
    """

    def __init__(self, node: str, localrc_path: Path) -> None:
        self._node = node
        self._path = str(localrc_path)
        self._draft = _Draft()

    @property
    def secrets(self) -> list[str]:
        """The secret values so far, to be kept from every sink."""
        return self._draft.secrets

    def feed(self, message: m.Message) -> Boot | None:
        """The Boot once it is complete.

        Raises LocalConfError, PluginError or UnfitNodeError if the boot has failed.
        """
        draft = self._draft
        match message:
            case m.Hello():
                draft.hello = message
            case m.Fact(name, value):
                draft.facts[name] = value
            case m.Variable(name, value):
                draft.variables[name] = value
            case m.Secret(_, value):
                draft.secrets.append(value)
            case m.Register():
                draft.registered.append(message)
            case m.PluginListed():
                draft.listed.append(message)
            case m.Done():
                return self._finish()
            case _:
                self._feed_trouble(message)
        return None

    def _feed_trouble(self, message: m.Message) -> None:
        draft = self._draft
        match message:
            case m.Warning_(code, text, path, line):
                draft.warnings.append(Suspicion(code, text, "", self._named(path), line))
            case m.Missing(function, library, path, line):
                library = f" (DevStack's {library})" if library else ""
                text = f"{function}{library} is not there"
                draft.warnings.append(
                    Suspicion("missing-function", text, "", self._named(path), line)
                )
            case m.LocalrcFailed(status, path, line, command):
                draft.failed = message
                text = f"`{command}` failed with status {status}; localrc went on, as in DevStack"
                draft.warnings.append(
                    Suspicion("localrc-command-failed", text, "", self._named(path), line)
                )
            case m.Die():
                draft.die = message
            case m.ExitCalled():
                draft.exit_called = message
            case m.Unfit(what, found):
                draft.error = UnfitNodeError(
                    self._node, f"{what} {found} is too old", hint="bash 5.0 or later is needed"
                )
            case m.LocalrcSyntax(path, text):
                draft.error = self._syntax_error(path, text)
            case m.Exited(status):
                raise self._failure(status)

    def ended(self) -> AsyncstackError:
        """The error for a driver that has ended without a word of why, and its supervisor with it."""
        if self._draft.error is not None or self._draft.die is not None:
            return self._failure(0)
        return ConnectionLostError(
            self._node,
            "all that ran there was killed while localrc was evaluated",
            hint="was it rebooted? If it happens each time: a localrc must not kill its shell",
        )

    def _failure(self, status: int) -> AsyncstackError:
        draft = self._draft
        if draft.error is not None:
            return draft.error
        if draft.die is not None:
            return self._death(draft.die)
        line, how = 0, f"ended the shell with status {status}"
        if status > SIGNALLED and draft.exit_called is None:
            how = f"was killed by {signal_name(status - SIGNALLED)}"
        if draft.exit_called is not None:
            line = draft.exit_called.line
        elif draft.failed is not None and draft.failed.status == status:
            line, how = draft.failed.line, f"{how}: `{draft.failed.command}` failed under set -e"
        return LocalConfError(
            f"localrc {how}",
            path=self._path,
            line=line,
            hint="all plugins share this shell: a localrc must neither end it nor set -e or -u",
        )

    def _death(self, die: m.Die) -> AsyncstackError:
        last = self._draft.registered[-1] if self._draft.registered else None
        if "enabled twice" in die.text:
            name = die.text.partition(": ")[2].split(" ")[0]
            first = next((r for r in self._draft.registered if r.name == name), None)
            where = f", first in line {first.line}" if first else ""
            return PluginError(
                name or "?",
                f"is enabled twice{where}",
                path=self._path,
                line=die.line,
                hint="remove one of the two enable_plugin lines",
            )
        line = die.line or (last.line if last else 0)
        return LocalConfError(die.text, path=self._named(die.path) or self._path, line=line)

    def _syntax_error(self, path: str, text: str) -> LocalConfError:
        # Bash names its file and line before what it found; we have our own way to say where.
        first = text.replace(path, self._path).splitlines() or [text]
        where, _, rest = first[0].partition(": line ")
        number, _, problem = rest.partition(": ")
        if not (where and number.isdigit()):
            return LocalConfError(first[0], path=self._path)
        return LocalConfError(
            "\n  ".join((problem, *(line.partition(": line ")[2] or line for line in first[1:]))),
            path=self._path,
            line=int(number),
        )

    def _named(self, path: str) -> str:
        return self._path if path.endswith(("/.localrc.auto", "/devstack/localrc")) else path

    def _finish(self) -> Boot:
        draft = self._draft
        assert draft.hello is not None
        places = {r.name: (self._named(r.path), r.line) for r in draft.registered}
        plugins = [
            Plugin(p.name, p.url, p.ref, p.directory, *places.get(p.name, ("", 0)))
            for p in draft.listed
        ]
        # A name that isn't one word is split in the list, so that only its registration tells.
        listed = {p.name for p in plugins}
        odd = [
            Plugin(r.name, r.url, r.ref, r.directory, self._named(r.path), r.line)
            for r in draft.registered
            if r.name not in listed
        ]
        return Boot(
            pid=draft.hello.pid,
            directory=draft.hello.directory,
            plugins=tuple(odd or plugins),
            variables=draft.variables,
            facts=draft.facts,
            warnings=(*draft.warnings, *self._overridden()),
        )

    def _overridden(self) -> list[Suspicion]:
        # stackrc names DevStack's own libraries after it has read localrc, and a plugin of the
        # same name then comes from where stackrc says. DevStack's rule, and a trap.
        listed = {p.name: p for p in self._draft.listed}
        return [
            Suspicion(
                "registration-overridden",
                f"{r.name} comes from {now.url} {now.ref}, not from {r.url} {r.ref}: stackrc sets "
                f"GITREPO and GITBRANCH of this name, as DevStack's does; set the variables that "
                f"it takes them from",
                r.name,
                self._named(r.path),
                r.line,
            )
            for r in self._draft.registered
            if (now := listed.get(r.name)) and (now.url, now.ref) != (r.url, r.ref)
        ]
