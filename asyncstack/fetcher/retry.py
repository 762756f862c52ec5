"""Whether to try again, and when: pure functions of the failure's class.

Nothing is retried that another try can't cure: a repository that isn't there, a refused login, a
ref that doesn't exist, a full disk.
"""

from __future__ import annotations

from asyncstack.git.failures import FailureClass

__all__ = ["LONGEST_RETRY_AFTER_S", "delay_before_retry", "explain", "is_throttling", "not_before"]

_F = FailureClass
_CURABLE = frozenset(
    {
        _F.DNS,
        _F.REFUSED,
        _F.RESET,
        _F.TIMEOUT,
        _F.STALL,
        _F.THROTTLED,
        _F.DROPPED,
        _F.SERVER,
        _F.GARBAGE,
        _F.MOVED,
    }
)
#: A stall or a cut says nothing about the repository; it costs half a try. If 30 % of connections
#: stall, three tries would lose one repository in 37, and most batches; seven lose one in 4,572.
_CHEAP = frozenset({_F.STALL, _F.RESET})
_LONGEST_S = 60.0
#: A server that says "come back in an hour" is down for this run.
LONGEST_RETRY_AFTER_S = 300.0

_REASONS = {
    _F.DNS: "the host name can't be resolved",
    _F.REFUSED: "the connection was refused",
    _F.RESET: "the connection was cut",
    _F.TIMEOUT: "it took longer than GIT_TIMEOUT",
    _F.STALL: "nothing moved any more",
    _F.THROTTLED: "the server asks to slow down",
    _F.DROPPED: "the connection was closed before a word of sshd",
    _F.SERVER: "the server has a problem",
    _F.GARBAGE: "the server sent garbage",
    _F.MOVED: "its refs moved meanwhile",
}


def is_throttling(failure: FailureClass) -> bool:
    """Say whether a failure can mean that we ask too much of the server at once."""
    return failure in (_F.THROTTLED, _F.DROPPED, _F.RESET, _F.REFUSED)


def explain(failure: FailureClass) -> str:
    """Say in a few words why a try is repeated."""
    return _REASONS.get(failure, failure.value)


def not_before(retry_after_s: float) -> str:
    """Say that a server wants to be left alone for longer than a run waits."""
    seconds = [(86400, "day"), (3600, "hour"), (60, "minute")]
    size, name = next((unit for unit in seconds if retry_after_s >= 2 * unit[0]), seconds[-1])
    return (
        f"the server asks to come back in {retry_after_s / size:.0f} {name}s (Retry-After), and a run "
        f"waits {LONGEST_RETRY_AFTER_S / 60:.0f} minutes at most"
    )


def delay_before_retry(
    failure: FailureClass,
    attempt: int,
    tries: int,
    *,
    jitter: float,
    first_s: float = 1.0,
    retry_after_s: float = 0.0,
) -> float | None:
    """Return the seconds to wait after failed try number `attempt` (from 1); None: give up.

    Doubles with each try, spread by `jitter` (0 to 1) over its upper half, so that repositories that
    failed together don't come back together. A server's own Retry-After is the least.
    """
    if failure not in _CURABLE or retry_after_s > LONGEST_RETRY_AFTER_S:
        return None
    if attempt >= (2 * tries + 1 if failure in _CHEAP else tries):
        return None
    full = min(_LONGEST_S, first_s * 2.0 ** (attempt - 1))
    return retry_after_s + full * (0.5 + 0.5 * jitter)
