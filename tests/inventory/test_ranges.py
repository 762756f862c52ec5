"""Host ranges and ports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.inventory.ranges import MOST, expand_hosts, split_port


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("plain", "plain"),
        ("c[1:4]", "c1 c2 c3 c4"),
        ("c[:2]x", "c0x c1x c2x"),
        ("c[01:10:3]", "c01 c04 c07 c10"),
        ("c[8:11]", "c8 c9 c10 c11"),
        ("[a:c]", "a b c"),
        ("r[1:2]-[a:b].lab", "r1-a.lab r1-b.lab r2-a.lab r2-b.lab"),
        ("c[0:0]", "c0"),
    ],
)
def test_ranges(pattern: str, names: str) -> None:
    assert expand_hosts(pattern) == names.split()


@pytest.mark.parametrize(
    "pattern",
    [
        "c[4:1]",
        "c[01:100]",
        "c[a:3]",
        "c[1:3:0]",
        "c[1-3]",
        "c[1:3",
        "c1:3]",
        "c[1:1000000]",
        "c[1:999][1:999]",
    ],
)
def test_bad_ranges(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"c|\["):
        expand_hosts(pattern)


@given(st.integers(0, 500), st.integers(0, 60), st.integers(1, 5))
def test_numbers_are_pythons_range(first: int, more: int, step: int) -> None:
    """A range counts as `range` does, its end included."""
    names = expand_hosts(f"n[{first}:{first + more}:{step}]")
    assert names == [f"n{number}" for number in range(first, first + more + 1, step)]
    assert len(names) <= MOST


@pytest.mark.parametrize(
    ("entry", "split"),
    [
        ("a", ("a", 0)),
        ("a:22", ("a", 22)),
        ("a[1:3]", ("a[1:3]", 0)),
        ("a[1:3]:22", ("a[1:3]", 22)),
        ("[1:3]:22", ("[1:3]", 22)),
        ("[fe80::1]:22", ("fe80::1", 22)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        (":22", (":22", 0)),
    ],
)
def test_ports(entry: str, split: tuple[str, int]) -> None:
    assert split_port(entry) == split
