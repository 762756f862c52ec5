"""Why git failed: one class a failure, from its last words, so that policies needn't read prose.

The table is ordered: the first pattern that matches decides, the specific ones stand first.
The phrases are those of git ≥ 2.25, libcurl (OpenSSL and GnuTLS), OpenSSH and `git daemon` in the
C locale.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Sequence

__all__ = ["FailureClass", "classify", "essence"]


class FailureClass(enum.StrEnum):
    """What went wrong, as far as it changes what to do next."""

    DNS = "dns"
    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"
    STALL = "stall"
    THROTTLED = "throttled"
    DROPPED = "dropped"
    SERVER = "server"
    GARBAGE = "garbage"
    WRONG_PROTOCOL = "wrong-protocol"
    TLS = "tls"
    AUTHENTICATION = "authentication"
    HOST_KEY = "host-key"
    NOT_FOUND = "not-found"
    REF_NOT_FOUND = "ref-not-found"
    MOVED = "refs-moved"
    DISK_FULL = "disk-full"
    PERMISSION = "permission"
    CORRUPT = "corrupt"
    LOCAL_CHANGES = "local-changes"
    BUSY = "busy"
    REFUSED_BY_US = "not-allowed"
    OFFLINE = "offline"
    CHECKOUT = "checkout"
    GIT_MISSING = "git-missing"
    OTHER = "other"


_F = FailureClass
_TABLE: Sequence[tuple[FailureClass, Sequence[str]]] = (
    # First, for they name files, whose names may look like anything.
    (
        _F.LOCAL_CHANGES,
        [
            r"would be overwritten",
            r"local changes",
            r"untracked working tree files",
            r"would lose untracked files",
        ],
    ),
    (_F.BUSY, [r"Unable to create '.*index\.lock': File exists"]),
    (_F.DISK_FULL, [r"No space left on device", r"[Dd]isk quota", r"Out of diskspace"]),
    (
        _F.THROTTLED,
        [
            r"returned error: (?:429|503)\b",
            r"(?:HTTP(?: code)?|tunnel failed, response) (?:429|503)\b",
            r"Too Many Requests",
            r"[Rr]ate limit",
            r"Service (?:Temporarily )?Unavailable",
        ],
    ),
    # What answers at that port is nobody that speaks TLS, or no sshd. In a handshake only: what comes
    # later has been spoilt on its way.
    (
        _F.WRONG_PROTOCOL,
        [
            r"gnutls_handshake\(\) failed: An unexpected TLS packet",
            r"wrong version number",
            r"packet length too long",
            r"banner line (?:contains|too long)",
            r"banner exchange: .*invalid format",
        ],
    ),
    # What sshd does to connections beyond its MaxStartups, and somebody else who hears of SSH.
    (_F.DROPPED, [r"kex_exchange_identification.*(?:closed|reset)"]),
    (
        _F.SERVER,
        [
            r"returned error: 5\d\d\b",
            r"(?:HTTP(?: code)?|tunnel failed, response) 5\d\d\b",
            r"remote error: .*[Ii]nternal",
            r"possible repository corruption on the remote side",
        ],
    ),
    (
        _F.DNS,
        [
            r"[Cc]ould(?:n't| not) resolve (?:host|proxy)",
            r"unable to look up",
            r"Name or service not known",
            r"Temporary failure in name resolution",
        ],
    ),
    (
        _F.REF_NOT_FOUND,
        [
            r"couldn't find remote ref",
            r"not our ref",
            r"no such remote ref",
            r"Remote branch .* not found",
            r"unadvertised object",
        ],
    ),
    (_F.HOST_KEY, [r"Host key verification failed"]),
    (
        _F.AUTHENTICATION,
        [
            r"could not read (?:Username|Password)",
            r"Authentication failed",
            r"Permission denied \(",
            r"returned error: 40[137]\b",
            r"(?:HTTP code|tunnel failed, response) 407\b",
            r"HTTP Basic: Access denied",
            r"Invalid username or",
        ],
    ),
    (
        _F.NOT_FOUND,
        [
            r"returned error: (?:404|410)\b",
            r"[Rr]epository .*not (?:found|exported)",
            r"not found: did you run",
            r"does not appear to be a git",
            r"does not exist",
            r"[Nn]o such (?:repository|file or directory)",
            r"No such file or directory",
            r"URL using bad/illegal format",
            r"URL rejected",
        ],
    ),
    (_F.REFUSED_BY_US, [r"transport '.*' not allowed", r"protocol .* not (?:supported|allowed)"]),
    (
        _F.TLS,
        [
            r"SSL certificate",
            r"certificate verif",
            r"server certificate",
            r"SSL_connect.*certificate",
            r"unable to get local issuer",
        ],
    ),
    (_F.STALL, [r"Operation too slow", r"Less than .* bytes/sec", r"for [\d.]+ s nothing moved"]),
    (_F.TIMEOUT, [r"timed? ?out", r"Timeout", r"returned error: 408\b"]),
    (
        _F.REFUSED,
        [
            r"Connection refused",
            r"Failed to connect to",
            r"Network is unreachable",
            r"No route to host",
        ],
    ),
    # What a server finds too long is as long the next time, whatever git makes of that.
    (_F.OTHER, [r"returned error: 41[34]\b"]),
    # A repository on this machine, in words that are those of garbage as well.
    (_F.CORRUPT, [r"\(stored in .*\) is corrupt\b", r"failed to unpack tree object"]),
    (
        _F.GARBAGE,
        [
            r"bad line length",
            r"bad pack header",
            r"pack signature mismatch",
            r"protocol error",
            r"inflate",
            r"pack is corrupted",
            r"SHA1 COLLISION",
            r"pack has bad object",
            r"valid git repository",
            r"bad band",
            r"not valid: is this a git",
            r"invalid object",
            r"unable to parse",
            r"unresolved deltas",
            r"invalid server response",
        ],
    ),
    (
        _F.RESET,
        [
            r"Connection reset",
            r"bytes of body are still expected",
            r"Connection closed",
            r"RPC failed",
            r"early EOF",
            r"unexpected disconnect",
            r"hung up",
            r"Empty reply",
            r"Broken pipe",
            r"invalid index-pack output",
            r"unexpected (?:EOF|eof)",
            r"transfer closed",
            r"(?:Recv|Send) failure",
            r"SSL_ERROR_(?:SYSCALL|ZERO_RETURN)",
            r"gnutls_handshake",
            r"GnuTLS (?:recv|send) error",
            r"TLS connection was non-properly",
            r"HTTP/?2 (?:stream|framing)",
            r"expected flush after",
        ],
    ),
    (
        _F.PERMISSION,
        [
            r"[Pp]ermission denied",
            r"Read-only file system",
            r"insufficient permission",
            r"Operation not permitted",
        ],
    ),
    (
        _F.CORRUPT,
        [
            r"is corrupt",
            r"object file .* is empty",
            r"unable to read tree",
            r"bad object",
            r"missing blob",
            r"does not match index",
            r"unable to read",
        ],
    ),
)


#: What git adds when a program that it has started has failed, which said why before that.
_HOLLOW = (
    "fatal: Could not read from remote repository.",
    "Please make sure you have the correct access rights",
    "and the repository exists.",
)


def essence(words: str) -> str:
    """Return the line of git's last words that says why; '' if there are none."""
    lines = words.strip().splitlines()
    telling = [line for line in lines if line not in _HOLLOW] or lines
    ours = [line for line in telling if line.startswith("git was ")]
    fatal = [line for line in telling if line.startswith(("fatal:", "error:"))]
    return next(iter((*ours, *fatal, *telling[-1:])), "")


@functools.cache
def _compiled() -> list[tuple[re.Pattern[str], FailureClass]]:
    """Compile the table, once something has failed."""
    return [(re.compile("|".join(patterns)), kind) for kind, patterns in _TABLE]


def classify(words: str) -> FailureClass:
    """Name the class of a failure from git's last words."""
    if not words:  # a question that was answered with no: not worth compiling the table (20 ms)
        return FailureClass.OTHER
    found = (kind for pattern, kind in _compiled() if pattern.search(words))
    return next(found, FailureClass.OTHER)
