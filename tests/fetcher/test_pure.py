"""The decisions, without any git: retries, caps, order, what to do with a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.checkouts.rules import Action, State, refuse, sources
from asyncstack.checkouts.wording import hint_for
from asyncstack.errors import FetchError, FetchTimeoutError, GitError, RefNotFoundError
from asyncstack.fetcher import FetchOptions, FetchRequest, FetchResult, raise_for_failures
from asyncstack.fetcher.decisions import decide, in_order, mismatches
from asyncstack.fetcher.inspection import Found
from asyncstack.fetcher.retry import delay_before_retry
from asyncstack.fetcher.throttle import HostLimit
from asyncstack.git.failures import FailureClass
from asyncstack.git.refs import RefTable
from asyncstack.model import FetchStatus

A, B = "a" * 40, "b" * 40
jitters = st.floats(0, 1)
attempts = st.integers(1, 20)


@given(jitters, attempts, st.integers(1, 10))
def test_waits_grow_and_end(jitter: float, attempt: int, tries: int) -> None:
    """Exponential with jitter over the upper half, never beyond a minute, and only so many tries."""
    delay = delay_before_retry(FailureClass.TIMEOUT, attempt, tries, jitter=jitter)
    if attempt >= tries:
        assert delay is None
    else:
        assert delay is not None
        assert min(60, 2 ** (attempt - 1)) / 2 <= delay <= min(60, 2 ** (attempt - 1))


@given(jitters, st.floats(0, 300))
def test_retry_after_is_the_least(jitter: float, asked: float) -> None:
    """The server's word stands."""
    delay = delay_before_retry(FailureClass.THROTTLED, 1, 3, jitter=jitter, retry_after_s=asked)
    assert delay is not None
    assert delay >= asked


def test_a_long_retry_after_is_a_no() -> None:
    """Nobody waits for an hour."""
    args = (FailureClass.THROTTLED, 1, 3)
    assert delay_before_retry(*args, jitter=0, retry_after_s=3600) is None


@pytest.mark.parametrize(
    "failure",
    [
        FailureClass.AUTHENTICATION,
        FailureClass.HOST_KEY,
        FailureClass.NOT_FOUND,
        FailureClass.REF_NOT_FOUND,
        FailureClass.DISK_FULL,
        FailureClass.TLS,
        FailureClass.OTHER,
    ],
)
def test_no_retry_of_what_stays_wrong(failure: FailureClass) -> None:
    """Another try can't cure these."""
    assert delay_before_retry(failure, 1, 3, jitter=0.5) is None


@pytest.mark.parametrize("failure", FailureClass)
def test_a_way_out_of_what_was_tried_in_vain(failure: FailureClass) -> None:
    """Whoever has waited for all tries is told what else there is."""
    if delay_before_retry(failure, 1, 3, jitter=0) is not None:
        assert hint_for(failure)


def test_a_stall_costs_half_a_try() -> None:
    """Seven connections in three tries: of a 30 % chance of a stall, 0.3^7 is left."""
    waits = [delay_before_retry(FailureClass.STALL, n, 3, jitter=0) for n in range(1, 9)]
    assert [wait is not None for wait in waits] == [True] * 6 + [False] * 2


def test_sources() -> None:
    """Rewritten prefixes in their order, the URL itself last, none twice."""
    mirrors = [("https://a/", "https://m/"), ("https://a/x", "https://n/x"), ("https://b/", "/c/")]
    assert sources("https://a/x.git", mirrors) == [
        "https://m/x.git",
        "https://n/x.git",
        "https://a/x.git",
    ]
    assert sources("https://c/x.git", mirrors) == ["https://c/x.git"]
    assert sources("https://a/x.git", [("https://a/", "https://a/")]) == ["https://a/x.git"]


@given(st.lists(st.booleans()), st.integers(1, 32))
def test_a_cap_stays_within_its_bounds(history: list[bool], most: int) -> None:
    """Additive increase, multiplicative decrease, between 1 and the most."""
    host = HostLimit(most)
    clock = 0.0
    for success in history:
        before = host.allowed
        if success:
            host.succeeded()
            assert before <= host.allowed <= before + 1
        else:
            clock += 1
            host.throttled(since=clock, now=clock)
            assert host.allowed <= max(1, before // 2 + 1)
        assert 1 <= host.allowed <= most
        assert host.limiter.total_tokens == host.allowed


def test_a_cap_recovers() -> None:
    """After a throttling, about as many successes as the sum of the caps on the way bring it back."""
    host = HostLimit(8)
    host.throttled(since=1, now=2)
    assert host.allowed < 8
    for _ in range(40):
        host.succeeded()
    assert host.allowed == 8


def test_connections_refused_together_are_one_message() -> None:
    """Sixteen that were open when the host cut them halve the cap once."""
    host = HostLimit(16)
    host.throttled(since=1, now=5)
    allowed = host.allowed
    for opened in (2, 3, 5):
        host.throttled(since=opened, now=6)
    assert host.allowed == allowed
    host.throttled(since=7, now=8)
    assert host.allowed <= allowed


def request(ref: str = "master", commit: str = "", url: str = "https://h/p") -> FetchRequest:
    return FetchRequest("p", url, ref, "/dest/p", commit)


def found(state: State = State.CHECKOUT, **facts: object) -> Found:
    return Found(state, Path("/dest/p/.git"), **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "options", "action"),
    [
        (State.ABSENT, FetchOptions(), Action.CLONE),
        (State.ABSENT, FetchOptions(error_on_clone=True), Action.FAIL),
        (State.CHECKOUT, FetchOptions(), Action.KEEP),
        (State.CHECKOUT, FetchOptions(error_on_clone=True), Action.KEEP),
        (State.CHECKOUT, FetchOptions(update=True), Action.UPDATE),
        (State.CHECKOUT, FetchOptions(update=True, offline=True), Action.KEEP),
        (State.UNKNOWN, FetchOptions(), Action.KEEP),
        (State.INTERRUPTED, FetchOptions(), Action.HEAL),
        (State.EMPTY, FetchOptions(), Action.FAIL),
        (State.NO_CHECKOUT, FetchOptions(), Action.FAIL),
        (State.NO_COMMIT, FetchOptions(update=True), Action.FAIL),
        (State.UNBORN, FetchOptions(update=True), Action.FAIL),
        (State.NO_FILES, FetchOptions(), Action.FAIL),
        (State.NOT_A_DIRECTORY, FetchOptions(), Action.FAIL),
        (State.UNREADABLE, FetchOptions(), Action.FAIL),
    ],
)
def test_what_to_do(state: State, options: FetchOptions, action: Action) -> None:
    """DevStack's rules, minus its silence."""
    decision = decide(request(), found(state, problem="why"), options)
    assert decision.action is action
    assert bool(decision.problem) == (action is Action.FAIL)


@pytest.mark.parametrize(
    ("asked", "facts", "codes"),
    [
        (request(), {"commit": A}, []),
        (request("v1"), {"commit": A}, []),
        (request("stable/x"), {"commit": A}, ["ref-mismatch"]),
        (request("unknown"), {"commit": A}, ["ref-mismatch"]),
        (request(), {"commit": B, "branch": "master"}, []),
        (request(), {"commit": A, "branch": "work"}, ["ref-mismatch"]),
        (request(A), {"commit": A}, []),
        (request(A[:8]), {"commit": A}, []),
        (request(B), {"commit": A}, ["ref-mismatch"]),
        (request(commit=A), {"commit": A}, []),
        (request(commit=B), {"commit": A}, ["ref-mismatch"]),
        (request("refs/changes/1/1/1"), {"commit": B}, []),
        (request("refs/changes/1/1/1"), {"commit": A}, ["ref-mismatch"]),
        (request(), {"commit": A, "origin": "https://elsewhere/p"}, ["url-mismatch"]),
        (request(), {"commit": A, "origin": "https://h/p.git/"}, []),
        (request(url="https://u:pw@h/p"), {"commit": A, "origin": "https://h/p"}, []),
    ],
)
def test_mismatches(asked: FetchRequest, facts: dict[str, object], codes: list[str]) -> None:
    """What is checked out against what was asked for."""
    refs = RefTable(
        {
            "refs/remotes/origin/master": A,
            "refs/remotes/origin/stable/x": B,
            "refs/tags/v1": "c" * 40,
            "refs/asyncstack/named/changes/1/1/1": B,
        },
        {"refs/tags/v1": A},
    )
    warnings = mismatches(asked, found(State.CHECKOUT, refs=refs, **facts))
    assert [warning.code for warning in warnings] == codes
    assert not any("pw" in warning.message for warning in warnings)


def test_the_longest_goes_first() -> None:
    """Unknown ones before all: they may be the longest."""
    a, b, c = (request(url=f"https://h/{name}") for name in "abc")
    ordered = in_order([a, b, c], {a.url: 1.0, c.url: 2.0})
    assert [number for number, _ in ordered] == [1, 2, 0]


@pytest.mark.parametrize(
    "bad",
    [
        FetchRequest("p", "", "r", "/d/p"),
        FetchRequest("p", "--upload-pack=x", "r", "/d/p"),
        FetchRequest("p", "ext::sh", "r", "/d/p"),
        FetchRequest("p", "https://h/p", "-x", "/d/p"),
        FetchRequest("p", "https://h/p", "a..b", "/d/p"),
        FetchRequest("p", "https://h/p", "a:b", "/d/p"),
        FetchRequest("p", "https://h/p", "", "/d/p"),
        FetchRequest("p", "https://h/p", "r", "/d/.."),
        FetchRequest("p", "https://h/p", "r", "/d/-p"),
    ],
)
def test_what_git_never_sees(bad: FetchRequest) -> None:
    """Refused with a reason before any process is started."""
    assert refuse(bad)


def result(status: FetchStatus, failure: FailureClass | None = None) -> FetchResult:
    return FetchResult("p", "u", "r", "/d/p", status, message="why", failure=failure)


def test_strict_form() -> None:
    """Nothing, the one error, or one that names them all."""
    raise_for_failures([result(FetchStatus.CLONED)])
    with pytest.raises(RefNotFoundError):
        raise_for_failures([result(FetchStatus.FAILED, FailureClass.REF_NOT_FOUND)])
    with pytest.raises(FetchTimeoutError):
        raise_for_failures([result(FetchStatus.FAILED, FailureClass.TIMEOUT)])
    with pytest.raises(GitError):
        raise_for_failures([result(FetchStatus.FAILED)])
    with pytest.raises(FetchError, match="2 repositories"):
        raise_for_failures([result(FetchStatus.FAILED), result(FetchStatus.FAILED)])
