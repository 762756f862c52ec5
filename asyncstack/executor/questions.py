"""What a driver is asked before and between the phases."""

from __future__ import annotations

import shlex

from msgspec import Struct

from asyncstack.errors import UnfitNodeError
from asyncstack.executor.conversation import Conversation
from asyncstack.model import Declaration, Plugin
from asyncstack.runtime import messages as m
from asyncstack.runtime.payload import unpack_texts
from asyncstack.transports.base import Transport

__all__ = [
    "AHEAD",
    "GIT_VERSION",
    "Inspection",
    "Repositories",
    "bare_plugins",
    "inspect",
    "prepare",
    "repositories",
    "scripts",
    "standing",
]

#: The oldest git that we know to do what we ask of it; the driver compares.
GIT_VERSION = "2.25"

#: What every run asks, and can ask before a node has booted: nothing comes of it there.
AHEAD = ("survey", "preflight")


class Inspection(Struct, frozen=True):
    """What lies in a node's checkouts: plugin → (state, commit), and what settings declare."""

    checkouts: dict[str, tuple[str, str]]
    declarations: tuple[Declaration, ...]


class Repositories(Struct, frozen=True):
    """What GITREPO, GITDIR and GITBRANCH name; `libraries` is LIBS_FROM_GIT."""

    repositories: tuple[m.Repository, ...]
    libraries: str


async def prepare(conversation: Conversation) -> list[UnfitNodeError]:
    """Make $DEST and $DATA_DIR; say what no run can do without, and warn of what may fail later.

    It waits for a package manager that somebody else runs on the node.
    """
    errors: list[UnfitNodeError] = []
    answers = await conversation.ask("preflight")
    if any(isinstance(answer, m.Absent) for answer in answers):
        answers += await conversation.ask("prepare")
    for message in answers:
        match message:
            case m.Unprepared(path, problem, setting):
                errors.append(_unprepared(conversation.node, path, problem, setting))
            case m.Unfit(what, found):
                hint = f"{what} {GIT_VERSION} or later is needed"
                problem = f"{what} {found} is too old"
                errors.append(UnfitNodeError(conversation.node, problem, hint=hint))
            case _:
                pass
    return errors


def _unprepared(node: str, path: str, problem: str, setting: str) -> UnfitNodeError:
    way_out = f'sudo mkdir -p {path} && sudo chown "$USER" {path}'
    hint = f"set DEST in localrc or give --dest DIR; or make it writable: {way_out}"
    if not path.startswith("/"):
        hint = f"give a whole path: {setting}=$HOME/{path} in localrc, or --dest $PWD/{path}"
    elif setting != "DEST":
        problem = f"{problem} (it is {setting}, which stays where it is when only DEST is set)"
        hint = f"set {setting} in localrc as well; or make it writable: {way_out}"
    return UnfitNodeError(node, f"{path} {problem}", hint=hint)


async def standing(conversation: Conversation) -> dict[str, m.Standing]:
    """The checkouts that need nothing to be done, by plugin; the others want a closer look."""
    answers = await conversation.ask("survey")
    return {answer.name: answer for answer in answers if isinstance(answer, m.Standing)}


async def inspect(conversation: Conversation) -> Inspection:
    """Look at the checkouts without running anything in them."""
    checkouts: dict[str, tuple[str, str]] = {}
    declarations: list[Declaration] = []
    for message in await conversation.ask("inspect"):
        match message:
            case m.Checkout(name, state, commit):
                checkouts[name] = (state, commit)
            case m.Defines(name, path, line):
                declarations.append(Declaration(name, "", path, line))
            case m.Requires(name, other, path, line):
                declarations.append(Declaration(name, other, path, line))
            case _:
                pass
    return Inspection(checkouts, tuple(declarations))


async def bare_plugins(conversation: Conversation, plugins: tuple[Plugin, ...]) -> list[Plugin]:
    """Those of the plugins whose checkout has no devstack folder, and so nothing of a plugin."""
    answers = await conversation.ask("verify")
    bare = {answer.name for answer in answers if isinstance(answer, m.Bare)}
    return [plugin for plugin in plugins if plugin.name in bare]


async def repositories(conversation: Conversation) -> Repositories:
    """What the plugins may clone later; complete once their settings are loaded."""
    answers = await conversation.ask("repositories")
    libraries = [a.value for a in answers if isinstance(a, m.Variable)]
    found = tuple(a for a in answers if isinstance(a, m.Repository))
    return Repositories(found, libraries[0] if libraries else "")


async def scripts(transport: Transport, plugins: tuple[Plugin, ...]) -> dict[str, dict[str, str]]:
    """The text of each plugin's devstack folder, plugin → path → text; nothing is run."""
    checkouts = {p.name: f"{p.directory}/devstack" for p in plugins}
    folders = " ".join(shlex.quote(folder.lstrip("/")) for folder in checkouts.values())
    # Those that are not there yet are simply missing in what comes back.
    answer = await transport.run(f"tar -C / -cf - {folders} 2>/dev/null")
    texts = unpack_texts(answer.stdout)
    return {
        name: {path: text for path, text in texts.items() if path.startswith(f"{folder}/")}
        for name, folder in checkouts.items()
    }
