"""Which plugins may be run: the rules for names, URLs and refs.

A name becomes a directory below `$DEST`, a URL and a ref become arguments of git; none of them
may be more than that.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable
from urllib.parse import unquote

from asyncstack.errors import PluginError
from asyncstack.model import Plugin

__all__ = [
    "FORBIDDEN_IN_REF",
    "PROTOCOLS",
    "absolute_url",
    "problem_of",
    "secrets_in",
    "url_problem",
    "validate",
]

#: Of the URLs that git may be given. `ext::` runs any command; others nobody serves.
PROTOCOLS = ("https", "http", "ssh", "git", "file")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_RELATIVE = ("./", "../")
_USERINFO = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/]*)@")
# Also of what is no URL yet: https:/user:password@host
_BEFORE_AT = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:/+)[^/]*@")
_TOKEN_LENGTH = 20
_NO_HOST = re.compile(r"[^:]+://(?:[^/]*@)?(?::\d*)?(?:/|\Z)")
_HELPER = re.compile(r"[A-Za-z0-9+.-]+::")
_SCP_LIKE = re.compile(r"(?:[\w.-]+@)?[\w.-]+:(?!/?/)[^:]")
# ssh would take such a host for an option.
_OPTION_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:[^/@]*@)?-")
#: What git-check-ref-format refuses; a SHA and refs/changes/… pass.
FORBIDDEN_IN_REF = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock(?:/|\Z)|\A[/-]|[/.]\Z|/\."
)


def secrets_in(url: str) -> list[str]:
    """The credentials that a URL holds; a user name alone is one if it looks like a token."""
    found = _USERINFO.match(url)
    if found is None:
        return []
    user, colon, password = found[1].partition(":")
    return [password, unquote(password)] if colon else [user] if len(user) >= _TOKEN_LENGTH else []


def absolute_url(url: str, folder: str) -> str:
    """Return a path that is relative as it is from a folder, as `git clone` does; any other URL as it is."""
    return os.path.normpath(f"{folder}/{url}") if url.startswith(_RELATIVE) else url


def validate(plugins: Iterable[Plugin]) -> list[PluginError]:
    """One error for each `enable_plugin` line that can't be used, in their order."""
    errors: list[PluginError] = []
    for plugin in plugins:
        found = problem_of(plugin)
        if found is not None:
            problem, hint = found
            errors.append(
                PluginError(plugin.name, problem, path=plugin.path, line=plugin.line, hint=hint)
            )
    return errors


def problem_of(plugin: Plugin) -> tuple[str, str] | None:
    """What is wrong with a plugin and the way out; None if nothing is."""
    for check, value in (
        (_name_problem, plugin.name),
        (url_problem, plugin.url),
        (_ref_problem, plugin.ref),
    ):
        found = check(value)
        if found is not None:
            return found
    return None


def _name_problem(name: str) -> tuple[str, str] | None:
    if _NAME.fullmatch(name) and ".." not in name:
        return None
    if not name:
        return "has no name", "write: enable_plugin NAME URL [REF]"
    return (
        "the name would not be one directory below $DEST",
        "use letters, digits, '.', '_', '+' and '-', not beginning with '-' or '.'",
    )


def url_problem(url: str) -> tuple[str, str] | None:
    """What is wrong with a URL and the way out; None if git may see it. Credentials aren't shown."""
    if not url:
        return "has no URL", "write: enable_plugin NAME URL [REF]"
    if url.startswith("-"):
        return f"the URL {_shown(url)} would be an option of git", "a URL does not begin with '-'"
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in url):  # noqa: PLR2004 – the control characters
        return f"the URL {_shown(url)} holds control characters", "write it without"
    if _OPTION_HOST.match(url):
        problem = f"the host of {_shown(url)} would be an option of ssh"
        return problem, "a host does not begin with '-'"
    return _protocol_problem(url)


def _protocol_problem(url: str) -> tuple[str, str] | None:
    scheme, helper = _SCHEME.match(url), _HELPER.match(url)
    protocol = scheme[1] if scheme else url.partition("::")[0] if helper else ""
    if protocol:
        if scheme and protocol.lower() in PROTOCOLS:
            if protocol.lower() != "file" and _NO_HOST.match(url):
                return f"the URL {_shown(url)} names no host", f"write it as {protocol}://HOST/PATH"
            return None
        problem = f"the URL's protocol {protocol!r} is not allowed"
        return problem, f"use one of {', '.join(PROTOCOLS)}"
    if url.startswith(_RELATIVE):
        problem = f"the URL {_shown(url)} is relative, and it can't be known to which directory"
        return (
            problem,
            "write an absolute path, or leave out --fetch-from node: the controller knows",
        )
    if url.startswith(("/", "~")) or _SCP_LIKE.match(url):
        return None
    return (
        f"{_shown(url)} is no URL",
        "use https://…, ssh://…, git://…, file://… or an absolute path",
    )


def _shown(url: str) -> str:
    return repr(_BEFORE_AT.sub(r"\1***@", url))


def _ref_problem(ref: str) -> tuple[str, str] | None:
    if not ref:
        return "the ref is empty", "leave it out for master"
    if ref.startswith("-"):
        return f"the ref {ref!r} would be an option of git", "a ref does not begin with '-'"
    if FORBIDDEN_IN_REF.search(ref):
        return f"{ref!r} can't be a ref", "name a branch, a tag, a commit or refs/changes/…"
    return None
