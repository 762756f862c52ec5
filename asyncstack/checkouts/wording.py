"""What is said about a checkout besides whether it is there, and the way out of each failure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from asyncstack.git.failures import FailureClass
from asyncstack.model import Suspicion

__all__ = [
    "about_contents",
    "about_local_work",
    "about_resumed",
    "about_saved",
    "about_unfiltered",
    "about_unusable",
    "hint_for",
    "local_work",
]

_F = FailureClass
_HINTS = {
    _F.DNS: "check the host name in the URL, and this machine's name servers",
    _F.REFUSED: "check that the server is up and that a proxy or firewall lets you through",
    _F.AUTHENTICATION: (
        "check the URL, for some servers (GitHub is one) ask for a login where there is no such "
        "repository; if it is right, set up a credential helper or an ssh agent: git never prompts here"
    ),
    _F.HOST_KEY: (
        "the server's host key isn't known here, or has changed: look at it and accept it by an ssh "
        "to that host"
    ),
    _F.NOT_FOUND: "check the URL of its enable_plugin line",
    _F.REF_NOT_FOUND: "check the ref of its enable_plugin line",
    _F.DISK_FULL: "free some space and run it again",
    _F.PERMISSION: "make DEST writable for this user, or set another DEST",
    _F.TLS: "the server's certificate is not trusted: see git's http.sslCAInfo",
    _F.RESET: (
        "something cuts the connection, a proxy perhaps: come back later, set GIT_DEPTH to fetch less, "
        "or name another source: --mirror FROM=TO"
    ),
    _F.SERVER: "the server is at fault: come back later, or name another source: --mirror FROM=TO",
    _F.GARBAGE: (
        "what answers is no git server, or a proxy spoils what it says: check the URL, or name another "
        "source: --mirror FROM=TO"
    ),
    _F.MOVED: "run it again: the server's refs changed each time while they were fetched",
    _F.STALL: "the server accepts connections and sends nothing; --mirror names another source",
    _F.TIMEOUT: "raise GIT_TIMEOUT, or set GIT_DEPTH to fetch less",
    _F.THROTTLED: (
        "the server limits how often it may be asked: come back later, lower --jobs, or name another "
        "source: --mirror FROM=TO"
    ),
    _F.DROPPED: (
        "an sshd drops connections that are too many for it: come back later, or lower --jobs; if none "
        "gets through, no sshd is there: check the URL's port"
    ),
    _F.WRONG_PROTOCOL: (
        "what answers there speaks another protocol: check the URL's port, and its beginning (a server "
        "without TLS is http://), and those of a proxy"
    ),
    _F.OFFLINE: "unset OFFLINE once, so that it can be cloned",
    _F.LOCAL_CHANGES: "commit and push it, or let --force save it to a ref and go on",
    _F.BUSY: "let the git that is at work there end; if there is none, remove its lock file",
    _F.GIT_MISSING: "install git",
}
_CONTENTS = {
    "no-devstack-folder": "has no devstack/ folder: a plugin with nothing to run",
    "submodules": "has submodules; they are not fetched, as DevStack doesn't either",
    "shallow-pbr": (
        "is a shallow clone of a project that takes its version from git's tags (pbr): its version "
        "will be wrong, and installing it may fail; unset GIT_DEPTH"
    ),
    "filter-login": (
        "is a partial clone, and the login of its enable_plugin line is kept nowhere in it: a git that "
        "needs more of its files later has to have one; give it to a credential helper, such as git "
        "config credential.helper store"
    ),
    "lfs-pointers": "keeps files in Git LFS; only their pointers are checked out",
}
#: How much local work is listed.
_SHOWN = 10


def hint_for(failure: FailureClass, *, pinned: bool = False) -> str:
    """Return the way out of a class of failures; '' if git's own words must do."""
    if pinned and failure is _F.REF_NOT_FOUND:
        return "the lock file's commit can't be had any more: --update takes what the ref is now"
    return _HINTS.get(failure, "")


def about_contents(directory: str, plugin: str, found: Iterable[str]) -> list[Suspicion]:
    """Put what a look into a checkout has `found`, by its codes, into words."""
    return [
        Suspicion(code, f"{directory} {text}", plugin)
        for code, text in _CONTENTS.items()
        if code in found
    ]


def about_local_work(directory: str, plugin: str, work: str) -> Suspicion:
    """Say beforehand what will make an update refuse to move a checkout."""
    message = (
        f"{directory} holds work that is nowhere else: {work}; an update won't move it: "
        f"{_HINTS[_F.LOCAL_CHANGES]}"
    )
    return Suspicion("local-work", message, plugin)


def about_unusable(words: str, plugin: str) -> Suspicion:
    """Say beforehand what a fetch will fail for."""
    return Suspicion("checkout-unusable", words, plugin)


def about_resumed(directory: str, plugin: str) -> Suspicion:
    """Say that an update was finished which had been killed."""
    message = f"{directory}: finished an update that had been interrupted"
    return Suspicion("update-resumed", message, plugin)


def about_saved(directory: str, plugin: str, work: str, name: str) -> Suspicion:
    """Say to which ref local work was saved before an update went over it."""
    message = f"{directory} held work that was nowhere else ({work}); it is kept as {name}"
    return Suspicion("local-work-saved", message, plugin)


def about_unfiltered(directory: str, plugin: str) -> Suspicion:
    """Say that a clone is no partial one though one was asked for."""
    message = f"{directory} is a whole clone: its server can't filter, as --filter asks"
    return Suspicion("filter-ignored", message, plugin)


def local_work(unfinished: str, files: Sequence[str], commits: Sequence[str]) -> str:
    """Say what an update would destroy: unfinished business, changed files, commits; '' if nothing."""
    problems = []
    if unfinished:
        problems.append(f"a {unfinished} is unfinished")
    if files:
        problems.append(f"{_count(files, 'file')} changed: {_listed(files, ', ')}")
    if commits:
        problems.append(f"{_count(commits, 'local commit')}: {_listed(commits, '; ')}")
    return "; ".join(problems)


def _count(items: Sequence[str], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"


def _listed(items: Sequence[str], separator: str) -> str:
    more = f"{separator}…" if len(items) > _SHOWN else ""
    return separator.join(items[:_SHOWN]) + more
