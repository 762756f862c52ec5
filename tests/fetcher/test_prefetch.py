"""What is fetched before plugins ask for it."""

from __future__ import annotations

import pytest

from asyncstack.fetcher import FetchRequest, prefetch_requests
from asyncstack.fetcher.prefetch import from_git

REPOSITORIES = {"oslo.log": "https://h/oslo.log", "horizon": "https://h/horizon", "bad": "-x"}
DIRECTORIES = {"oslo.log": "/opt/stack/oslo.log", "horizon": "/opt/stack/horizon", "bad": "/b"}


@pytest.mark.parametrize(
    ("libraries", "also", "names"),
    [
        ("", [], []),
        ("oslo.log", [], ["oslo.log"]),
        ("x, oslo.log", [], ["oslo.log"]),
        ("oslo", [], []),
        ("ALL", [], ["oslo.log", "horizon"]),
        ("", ["horizon"], ["horizon"]),
    ],
)
def test_which(libraries: str, also: list[str], names: list[str]) -> None:
    """use_library_from_git's rule, and the plugins' own; what can't be used is left to them."""
    requests = prefetch_requests(REPOSITORIES, DIRECTORIES, {}, libraries=libraries, also=also)
    assert [request.plugin for request in requests] == names
    assert {request.ref for request in requests} <= {"master"}


def test_refs_and_what_is_there() -> None:
    """GITBRANCH counts; a plugin's own checkout isn't fetched again, nor one place twice."""
    plugin = FetchRequest("horizon", "https://h/horizon", "master", "/opt/stack/horizon")
    requests = prefetch_requests(
        {**REPOSITORIES, "again": "https://h/again"},
        {**DIRECTORIES, "again": "/opt/stack/oslo.log"},
        {"oslo.log": "stable/2025.1"},
        libraries="ALL",
        fetched=[plugin],
    )
    assert [(request.plugin, request.ref) for request in requests] == [
        ("oslo.log", "stable/2025.1")
    ]


def test_all_is_a_word_of_its_own() -> None:
    """LIBS_FROM_GIT=ALL."""
    assert from_git("x", "ALL")
    assert not from_git("x", "ALLES")
