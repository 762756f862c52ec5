"""What may be asked of git, and what may be said about it: URLs, names, credentials.

A URL comes from a local.conf that somebody else may have written. git has transports that run
programs (`ext::`), options that do (`--upload-pack=…`), and a habit of printing whatever it was
given; all three are dealt with here, once, before git is started.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from asyncstack.registry import url_problem

__all__ = [
    "Address",
    "Credentials",
    "check_name",
    "check_url",
    "parse_url",
    "redact",
]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/\s@]*(?:@[^/\s@]*)*)@")
_SCP_LIKE = re.compile(r"(?:[^/:@\s]+@)?(\[[0-9A-Fa-f:]+\]|[^/:\s]+):(?!:)")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What stood before the `@` of an http URL. Never printed: its repr shows nothing."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "Credentials(…)"


@dataclass(frozen=True, slots=True)
class Address:
    """A URL, taken apart: `url` carries no secret, `host` is the key of caps ('' = this machine)."""

    url: str
    scheme: str
    host: str
    credentials: Credentials | None = None

    @property
    def key(self) -> str:
        """A directory name for the cache: readable, and unique by a digest of the URL."""
        stem = self.url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git") or "repository"
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", stem).lstrip(".")[:60]
        digest = hashlib.sha256(self.url.encode("utf-8", "surrogateescape")).hexdigest()
        return f"{stem}-{digest[:16]}"


def parse_url(url: str) -> Address:
    """Take a checked URL apart. The user name of an ssh URL is no secret and stays in it."""
    matched = _SCHEME.match(url)
    if matched is None:
        scp = _SCP_LIKE.match(url)
        if scp is None:
            return Address(url, "file", "")
        return Address(url, "ssh", scp.group(1).strip("[]").lower())
    scheme = matched.group(1).lower()
    authority, slash, path = url[matched.end() :].partition("/")
    userinfo, at, host = authority.rpartition("@")
    if not at:
        return Address(url, scheme, host.lower())
    user, _, password = userinfo.partition(":")
    if scheme in ("http", "https"):
        bare = f"{matched.group(0)}{host}{slash}{path}"
        return Address(bare, scheme, host.lower(), Credentials(unquote(user), unquote(password)))
    bare = f"{matched.group(0)}{quote(unquote(user), safe='%')}@{host}{slash}{path}"
    return Address(bare, scheme, host.lower())


def redact(text: str) -> str:
    """Replace what stands before the `@` of any URL in a text, however it got there."""
    return _USERINFO.sub(r"\1***@", text)


def check_url(url: str) -> str:
    """Say what is wrong with a URL; '' if git may see it."""
    if not url.strip():
        return "no URL"
    found = url_problem(url)
    if found is not None:
        return redact(found[0])
    address = parse_url(url)
    if address.scheme != "file" and not address.host:
        return f"the URL {redact(url)!r} names no host"
    return ""


def check_name(name: str) -> str:
    """Say what is wrong with a plugin's name, which becomes a directory; '' if nothing is."""
    if not name or name in (".", ".."):
        return f"{name!r} is no directory name"
    if "/" in name or _UNPRINTABLE.search(name):
        return f"the name {name!r} would leave its directory"
    if name.startswith("-"):
        return f"the name {name!r} starts with '-'"
    return ""
