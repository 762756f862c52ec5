"""A failure tells what, where, its last words and what to type next."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from asyncstack.events import (
    Event,
    FetchFinished,
    NodeBooted,
    NodeFinished,
    RunStarted,
    StepFinished,
    Warned,
)
from asyncstack.model import FetchStatus, Frame, Mode, Status
from asyncstack.reports.failure import failure_lines, outcome_lines
from asyncstack.reports.summary import summarise
from asyncstack.reports.wording import describe

STARTED = RunStarted(command="stack", version="0", local_conf="my local.conf", nodes=("n1", "n2"))
FAILED = StepFinished(
    node="n1",
    mode=Mode.STACK,
    phase="install",
    plugin="ironic",
    status=Status.FAILED,
    exit_code=3,
    duration_s=2.5,
    log="logs/n1/04-stack-install/ironic.log",
    command="false --really",
    location="/opt/stack/ironic/devstack/plugin.sh:12",
    stack=(
        Frame("install_ironic", "/opt/stack/ironic/devstack/plugin.sh", 12),
        Frame("source", "/opt/stack/ironic/devstack/plugin.sh", 80),
    ),
)


def text(*events: Event, root: Path) -> str:
    lines = failure_lines(summarise([STARTED, *events]), root, "some-run")
    return "\n".join(line.plain for line in lines)


def test_a_failed_step_tells_everything(tmp_path: Path) -> None:
    log = tmp_path / FAILED.log
    log.parent.mkdir(parents=True)
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(1, 31)))
    expected = f"""\
✗ ironic install failed on n1 after 2.50 s, exit code 3
  command  false --really
  at       /opt/stack/ironic/devstack/plugin.sh:12 in install_ironic
           /opt/stack/ironic/devstack/plugin.sh:80 in source
  output   last 20 lines of {log}
"""
    expected += "".join(f"  │ line {number}\n" for number in range(11, 31))
    expected += """\
  next     asyncstack logs some-run --plugin ironic --phase install --node n1    # all of its output
           asyncstack resume some-run    # once it is repaired
"""
    assert text(FAILED, root=tmp_path) == expected


def test_the_same_failure_on_many_nodes_is_told_once(tmp_path: Path) -> None:
    other = msgspec.structs.replace(FAILED, node="n2", duration_s=3.0)
    assert text(FAILED, other, root=tmp_path).count("✗") == 1
    assert "failed on n[1-2] after 3.00 s" in text(FAILED, other, root=tmp_path)


def test_different_failures_are_told_apart(tmp_path: Path) -> None:
    other = msgspec.structs.replace(FAILED, node="n2", location="/elsewhere:1")
    assert text(FAILED, other, root=tmp_path).count("✗") == 2


def test_a_step_that_printed_nothing_says_so(tmp_path: Path) -> None:
    assert "output   none" in text(FAILED, root=tmp_path)


def test_a_failed_fetch_gives_gits_last_words(tmp_path: Path) -> None:
    fetch = FetchFinished(
        plugin="ironic",
        url="https://h/ironic",
        ref="no-such",
        directory="/opt/stack/ironic",
        status=FetchStatus.FAILED,
        attempts=3,
        message="fatal: couldn't find remote ref no-such",
        hint="check the ref of its enable_plugin line",
    )
    told = text(fetch, root=tmp_path)
    assert "✗ ironic fetch failed" in told
    assert "3 tries" in told
    assert "https://h/ironic" in told
    assert "│ fatal: couldn't find remote ref no-such" in told
    assert "  way out  check the ref of its enable_plugin line" in told


def test_lost_and_unreachable_nodes_are_told_apart(tmp_path: Path) -> None:
    told = text(
        NodeFinished(node="n1", status=Status.LOST),
        NodeFinished(node="n2", status=Status.UNREACHABLE),
        root=tmp_path,
    )
    assert "n1 lost; n2 unreachable" in told


def test_a_run_without_failures_has_nothing_to_tell(tmp_path: Path) -> None:
    assert text(NodeFinished(node="n1", status=Status.OK), root=tmp_path) == ""


def outcome(*events: Event) -> list[str]:
    return [line.plain for line in outcome_lines(summarise([STARTED, *events]))]


def booted(node: str) -> NodeBooted:
    return NodeBooted(node=node, pid=1, directory="/r", dest=f"/srv/{node}")


def test_the_same_failure_under_other_paths_is_told_once() -> None:
    steps = [
        msgspec.structs.replace(FAILED, node=node, location=f"/srv/{node}/ironic/plugin.sh:12")
        for node in ("n1", "n2")
    ]
    lines = outcome(booted("n1"), booted("n2"), *steps)
    assert [line for line in lines if line.startswith("✗")] == [
        "✗ ironic install failed on n[1-2] after 2.50 s, exit code 3"
    ]


def test_other_failures_of_a_step_are_told_apart() -> None:
    other = msgspec.structs.replace(FAILED, node="n2", command="true")
    assert sum(line.startswith("✗") for line in outcome(FAILED, other)) == 2


def test_the_same_fetch_that_failed_on_many_nodes_is_told_once(tmp_path: Path) -> None:
    fetches = [
        FetchFinished(
            node=node,
            plugin="ironic",
            url="https://h/ironic",
            ref="master",
            directory=f"/srv/{node}/ironic",
            status=FetchStatus.FAILED,
            message=f"fatal: /srv/{node}/ironic: no space left",
            duration_s=seconds,
        )
        for node, seconds in (("n1", 1.0), ("n2", 2.0))
    ]
    events = (booted("n1"), booted("n2"), *fetches)
    assert outcome(*events) == [
        "✗ ironic fetch failed on n[1-2] after 2.00 s",
        "  fatal: /srv/n1/ironic: no space left",
    ]
    assert text(*events, root=tmp_path).count("from     https://h/ironic") == 1


@pytest.mark.parametrize("count", [3, 60])
def test_a_server_that_is_gone_is_told_once(count: int, tmp_path: Path) -> None:
    """Few are told one by one, of many the first one with the names of the others."""
    fetches = [
        FetchFinished(
            plugin=f"p{number}",
            url=f"https://h/p{number}",
            ref="master",
            directory=f"/d/p{number}",
            status=FetchStatus.FAILED,
            message=f"fatal: unable to access 'https://h/p{number}/': refused after {number} ms",
            hint="check that the server is up",
        )
        for number in range(count)
    ]
    other = msgspec.structs.replace(fetches[0], plugin="other", message="no branch 'x'", hint="ref")
    told = text(*fetches, other, root=tmp_path)
    assert told.count("way out") == told.count("✗") == (4 if count == 3 else 2)
    assert "✗ other fetch failed" in told
    assert all(f"p{number}" in told for number in range(count))
    assert ("also     p1, p2, p3, " in told) == (count == 60)


def test_a_fetch_that_was_cancelled_needs_no_reason() -> None:
    fetch = FetchFinished(
        plugin="ironic",
        url="https://h/ironic",
        ref="master",
        directory="/d/ironic",
        status=FetchStatus.CANCELLED,
        message="cancelled",
        duration_s=2.0,
    )
    assert outcome(fetch) == ["✗ ironic fetch cancelled after 2.00 s"]
    assert describe(fetch) == "fetch ironic: cancelled in 2.00 s"


def test_the_same_warning_of_many_nodes_is_told_once_with_their_names() -> None:
    warned = [Warned(code="sudo-refused", message="sudo refuses", node=n) for n in ("n1", "n2")]
    everywhere = Warned(code="dependency", message="order", path="local.conf", line=7)
    assert outcome(*warned, everywhere) == [
        "! n[1-2]: sudo refuses",
        "! local.conf:7: order",
    ]


def test_a_clock_that_was_set_in_a_step_is_said() -> None:
    step = msgspec.structs.replace(FAILED, status=Status.OK, clock_step_s=-3600.25)
    warned = Warned(code="clock-set", message="a clock was set", node="n1")
    (line,) = outcome(step, warned)
    assert line.startswith("! n1: the clock was set by -3600.2 s while ironic install ran")
    assert outcome(warned) == ["! n1: a clock was set"]
