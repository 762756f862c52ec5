"""Graphs of names: small cases; see tests/properties for all others."""

from __future__ import annotations

import pytest

from asyncstack.graph import find_cycle, stable_order


@pytest.mark.parametrize(
    ("names", "before", "expected"),
    [
        ([], {}, []),
        (["b", "a"], {}, ["b", "a"]),
        (["a", "b"], {"a": ["b"]}, ["b", "a"]),
        (["a", "b", "c", "d"], {"a": ["d"]}, ["b", "c", "d", "a"]),
        (["a", "b"], {"a": ["elsewhere"]}, ["a", "b"]),
        (["a"], {"elsewhere": ["a"]}, ["a"]),
        (["a", "b"], {"a": ["b"], "b": ["a"]}, None),
        (["a"], {"a": ["a"]}, None),
    ],
)
def test_stable_order(
    names: list[str], before: dict[str, list[str]], expected: list[str] | None
) -> None:
    """Only what must move does, and names that aren't there don't matter."""
    assert stable_order(names, before) == expected


def test_a_cycle_is_named_in_order() -> None:
    """Each name requires the next, and the last one the first."""
    assert find_cycle({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}) == ("a", "b", "c")


def test_a_diamond_is_no_cycle() -> None:
    """Two ways to the same name are no way back."""
    assert find_cycle({"a": ["b", "c"], "b": ["d"], "c": ["d"]}) == ()
