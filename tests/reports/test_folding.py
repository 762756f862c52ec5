"""Folded node names."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.reports.folding import fold


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
    ],
)
def test_names_fold(names: list[str], folded: str) -> None:
    assert fold(names) == folded


def unfold(text: str) -> list[str]:
    names = []
    for group in re.findall(r"[^,\[\] ]+(?:\[[^\]]*\][^, ]*)?", text):
        head, bracket, rest = group.partition("[")
        ranges, _, tail = rest.partition("]")
        if not bracket:
            names.append(head)
        for part in filter(None, ranges.split(",")):
            first, _, last = part.partition("-")
            numbers = range(int(first), int(last or first) + 1)
            names += [f"{head}{number:0{len(first)}d}{tail}" for number in numbers]
    return names


@given(st.lists(st.from_regex(r"[ab]{1,2}[0-9]{0,2}", fullmatch=True), unique=True))
def test_what_is_folded_unfolds_to_the_same_names(names: list[str]) -> None:
    assert sorted(unfold(fold(names))) == sorted(names)


def test_a_big_lab_is_a_few_words() -> None:
    names = [f"{kind}{number}" for number, kind in itertools.product(range(1, 51), ("a", "b"))]
    assert fold(names) == "a[1-50], b[1-50]"
