"""Folded node names, and choosing nodes by them."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.reports.choosing import fits
from asyncstack.reports.folding import fold, fold_within


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        ([], ""),
        (["localhost"], "localhost"),
        (["compute3"], "compute3"),
        (["controller", "compute1", "compute2", "compute4"], "controller, compute[1-2,4]"),
        (["n08", "n09", "n10"], "n[08-10]"),
        (["n1", "n01"], "n1, n01"),
        (["rack1-a", "rack2-a", "rack1-b"], "rack[1-2]-a, rack1-b"),
        (["10.0.0.5", "10.0.0.6"], "10.0.0.[5-6]"),
        (["n1.dc2.org", "n2.dc2.org"], "n[1-2].dc2.org"),
        ([f"r{r}-n{n:02d}" for r in (1, 2) for n in range(8, 11)], "r[1-2]-n[08-10]"),
        (["r1-n1", "r1-n2", "r2-n1"], "r1-n[1-2], r2-n1"),
    ],
)
def test_names_fold(names: list[str], folded: str) -> None:
    assert fold(names) == folded


def unfold(text: str) -> list[str]:
    """Every combination that is meant, written out."""
    names = []
    for group in filter(None, re.split(r", (?![^\[]*\])", text)):
        pieces = re.split(r"\[(.*?)\]", group)
        choices = [numbers(p) if index % 2 else [p] for index, p in enumerate(pieces)]
        names += ["".join(chosen) for chosen in itertools.product(*choices)]
    return names


def numbers(text: str) -> list[str]:
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += [f"{n:0{len(first)}d}" for n in range(int(first), int(last or first) + 1)]
    return found


NAMES = st.from_regex(r"[ab]{1,2}([0-9]{1,2}(\.|-)?){0,2}[0-9]{0,2}", fullmatch=True)


@given(st.lists(NAMES, unique=True))
def test_what_is_folded_unfolds_to_the_same_names(names: list[str]) -> None:
    assert sorted(unfold(fold(names))) == sorted(names)


@given(st.lists(NAMES, unique=True), st.lists(NAMES))
def test_what_a_report_prints_chooses_the_same_nodes(names: list[str], others: list[str]) -> None:
    """Copied out of a report as it stands."""
    pattern = fold(names)
    for name in (*names, *others):
        assert fits(pattern, name) == (name in names or not names)


@given(st.lists(NAMES, unique=True, min_size=1), st.integers(12, 60))
def test_what_is_cut_says_how_much_is_missing(names: list[str], room: int) -> None:
    text = fold_within(names, room)
    assert len(text) <= max(room, len(f"{names[0]} and {len(names)} more"))
    shown, _, more = text.partition(" and ")
    if more:
        assert len(unfold(shown)) + int(more.split()[0]) == len(names)
    elif not text.endswith(" nodes"):
        assert sorted(unfold(text)) == sorted(names)


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("", ["controller", "compute1", "compute2", "compute12"]),
        ("compute1", ["compute1"]),
        ("compute*", ["compute1", "compute2", "compute12"]),
        ("compute[2-12]", ["compute2", "compute12"]),
        ("compute[1-2], controller", ["controller", "compute1", "compute2"]),
        ("!compute1", ["controller", "compute2", "compute12"]),
        ("compute*,!compute[1-2]", ["compute12"]),
        ("compute?", ["compute1", "compute2"]),
        ("*[!r]", ["compute1", "compute2", "compute12"]),
        ("nobody", []),
        ("compute[01-02]", []),
        ("compute[12]", ["compute1", "compute2"]),
        ("c*[1-2]", ["compute1", "compute2", "compute12"]),
    ],
)
def test_nodes_are_chosen_as_a_user_would_write_them(pattern: str, chosen: list[str]) -> None:
    names = ["controller", "compute1", "compute2", "compute12"]
    assert [name for name in names if fits(pattern, name)] == chosen


def test_a_big_lab_is_a_few_words() -> None:
    names = [f"{kind}{number}" for number, kind in itertools.product(range(1, 51), ("a", "b"))]
    assert fold(names) == "a[1-50], b[1-50]"
