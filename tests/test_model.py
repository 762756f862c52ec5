"""The nouns."""

from __future__ import annotations

import msgspec
import pytest

from asyncstack.model import FetchStatus, Frame, Mode, Node, PhaseKey, Status


def test_only_pending_and_running_may_still_change() -> None:
    assert {status for status in Status if not status.final} == {Status.PENDING, Status.RUNNING}


def test_dependents_go_on_after_ok_and_skipped_only() -> None:
    assert {status for status in Status if status.good} == {Status.OK, Status.SKIPPED}


def test_a_fetch_that_is_good_left_a_checkout() -> None:
    bad = {status for status in FetchStatus if not status.good}
    assert bad == {FetchStatus.FAILED, FetchStatus.CANCELLED}


@pytest.mark.parametrize(
    ("key", "name", "slug"),
    [
        (PhaseKey(Mode.STACK, "install"), "install", "stack-install"),
        (PhaseKey(Mode.SOURCE), "source", "source"),
        (PhaseKey(Mode.UNSTACK), "unstack", "unstack"),
    ],
)
def test_a_phase_is_called_what_a_user_calls_it(key: PhaseKey, name: str, slug: str) -> None:
    assert (key.name, key.slug) == (name, slug)


def test_a_frame_reads_like_a_compiler_message() -> None:
    assert str(Frame("configure", "/d/plugin.sh", 12)) == "/d/plugin.sh:12 in configure"


def test_nouns_are_immutable() -> None:
    with pytest.raises(AttributeError):
        Node("n").name = "m"  # type: ignore[misc]


def test_statuses_are_written_as_their_words() -> None:
    assert msgspec.json.encode(Status.UNREACHABLE) == b'"unreachable"'
