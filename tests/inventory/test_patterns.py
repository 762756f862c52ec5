"""--limit, --order and -n."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.errors import SettingsError
from asyncstack.inventory import (
    Copy,
    Inventory,
    InventoryHost,
    limit,
    order_groups,
    parse_nodes,
    too_late,
    with_files,
)
from asyncstack.model import Node

NAMES = ("ctl", "compute1", "compute2", "compute3", "net1", "::1")
GROUPS = {
    "all": NAMES,
    "controller": ("ctl",),
    "compute": ("compute1", "compute2", "compute3"),
    "network": ("net1", "ctl"),
    "empty": (),
}
LAB = Inventory(
    hosts=tuple(InventoryHost(node=Node(name, name)) for name in NAMES),
    groups=GROUPS,
    copies=(Copy(after="install", sources=("ctl",), targets=NAMES[1:3], paths=("/x",), line=7),),
)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("all", " ".join(NAMES)),
        ("*", " ".join(NAMES)),
        ("ctl", "ctl"),
        ("compute", "compute1 compute2 compute3"),
        ("compute*", "compute1 compute2 compute3"),
        ("compute?,net1", "compute1 compute2 compute3 net1"),
        ("compute1:controller", "ctl compute1"),
        ("net1, ctl ,", "ctl net1"),
        ("compute:!compute3", "compute1 compute2"),
        ("!compute3:compute", "compute1 compute2"),
        ("!compute*", "ctl net1 ::1"),
        ("network:&controller", "ctl"),
        ("&network", "ctl net1"),
        ("all:!network:&compute*", "compute1 compute2 compute3"),
        ("~compute[12]", "compute1 compute2"),
        ("controller:~(compute|net)1$", "ctl compute1 net1"),
        ("~(?:compute|net)\\d:!compute2:&compute", "compute1 compute3"),
        ("compute[0]", "compute1"),
        ("compute[-1]", "compute3"),
        ("compute[0:1]", "compute1 compute2"),
        ("compute[1:]", "compute2 compute3"),
        ("compute[0-1]", "compute1 compute2"),
        ("network[0]", "net1"),
        ("compute[!1]", "compute2 compute3"),
        ("::1", "::1"),
        ("ctl:empty", "ctl"),
    ],
)
def test_limit(pattern: str, names: str) -> None:
    """Ansible's patterns; the result is in the inventory's order."""
    chosen = limit(LAB, pattern)
    assert " ".join(chosen.names) == names
    assert chosen.groups["all"] == chosen.names


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("compote", "did you mean compute or"),
        ("compute:!compute9", "no node or group 'compute9'"),
        ("all:!all", "leaves no node"),
        ("empty", "leaves no node"),
        ("compute:&network", "leaves no node"),
        ("compute[3]", "compute has 3 hosts"),
        ("compute[-4]", "compute has 3 hosts"),
        ("compute[12]", "compute has 3 hosts"),
        ("~(", "no regular expression"),
        ("~nothing", "no node or group '~nothing'"),
    ],
)
def test_limits_that_mean_nothing(pattern: str, says: str) -> None:
    """A part that matches nothing is an error: behind `!` a typo would stack the wrong node."""
    with pytest.raises(SettingsError) as caught:
        limit(LAB, pattern)
    assert says in str(caught.value)


names = st.lists(st.sampled_from([*NAMES[:5], *list(GROUPS)[1:4]]), min_size=1, max_size=4)


@given(names, names, st.sampled_from(":,"))
def test_limit_is_set_arithmetic(added: list[str], removed: list[str], separator: str) -> None:
    """Plain parts are a union, `!` ones a difference, whatever their order."""

    def members(parts: list[str]) -> set[str]:
        return {name for part in parts for name in GROUPS.get(part, (part,))}

    expected = members(added) - members(removed)
    pattern = separator.join([*(f"!{name}" for name in removed), *added])
    if not expected:
        with pytest.raises(SettingsError):
            limit(LAB, pattern)
        return
    chosen = limit(LAB, pattern)
    assert chosen.names == tuple(name for name in NAMES if name in expected)
    assert limit(chosen, "all") == chosen


def test_a_limit_from_files(tmp_path: Path) -> None:
    """`@FILE`, a pattern a line; which may say what is taken away, too."""
    (tmp_path / "some").write_text("compute1\n\n  network # ours\n!net1\n")
    pattern = with_files(f"compute3, @{tmp_path}/some")
    assert " ".join(limit(LAB, pattern).names) == "ctl compute1 compute3"
    (tmp_path / "none").write_text("# compute1\n")
    with pytest.raises(SettingsError, match="none: names no node"):
        with_files(f"@{tmp_path}/none")
    with pytest.raises(SettingsError, match="missing: can't be read: No such file"):
        with_files(f"@{tmp_path}/missing")


def test_copies_follow_a_limit() -> None:
    """A copy keeps the targets that are left; without its source it can't be made, and that is said."""
    kept = limit(LAB, "ctl:compute2").copies
    assert [copy.targets for copy in kept] == [("compute2",)]
    without = limit(LAB, "compute")
    assert without.copies == ()
    assert [(warning.code, warning.line) for warning in without.warnings] == [("copy-left-out", 7)]
    assert limit(LAB, "net1").warnings == ()


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("compute[1-2]", "is compute2, compute3; for the others write compute1,compute2"),
        ("all:!compute[1]", "is compute2; for the others write compute1"),
        ("compute[0]", ""),
        ("compute[1:]", ""),
        ("network[0]", ""),
        ("compute1,compute2", ""),
    ],
)
def test_a_subscript_is_not_taken_for_a_folded_name(pattern: str, says: str) -> None:
    """`compute[1-2]` in a table of ours is compute1 and compute2."""
    messages = [w.message for w in limit(LAB, pattern).warnings if w.code == "limit-subscript"]
    assert [says in message for message in messages] == ([True] if says else [])


def test_copies_that_an_order_makes_too_late() -> None:
    """To who is through before the files are there."""
    assert too_late(LAB, "controller,compute") == ()
    (warning,) = too_late(LAB, "compute,controller")
    assert (warning.code, warning.line) == ("copy-too-late", 7)
    assert "/x of ctl come too late for compute1, compute2" in warning.message


def batches(order: str) -> list[list[str]]:
    return [[host.node.name for host in batch] for batch in order_groups(LAB, order)]


def test_order() -> None:
    """Each host once, in the first batch that has it; who isn't named comes last."""
    assert batches("controller,compute") == [["ctl"], list(NAMES[1:4]), ["net1", "::1"]]
    assert batches("network,controller,empty,compute2") == [
        ["net1", "ctl"],
        ["compute2"],
        ["compute1", "compute3", "::1"],
    ]
    assert batches("all") == [list(NAMES)]
    with pytest.raises(SettingsError, match="--order: there is no node or group 'computes'"):
        batches("controller,computes")


def test_nodes() -> None:
    """-n in all its shapes."""
    inventory = parse_nodes(
        ["stack@10.0.0.5", "lab.example:2222", "root@[2001:db8::5]:23", "[::1]"]
    )
    assert [host.node for host in inventory.hosts] == [
        Node("10.0.0.5", "10.0.0.5", "stack"),
        Node("lab.example", "lab.example", "", 2222),
        Node("2001:db8::5", "2001:db8::5", "root", 23),
        Node("::1", "::1"),
    ]
    assert limit(inventory, "!10.0.0.5,!::1,!2001:db8::5").names == ("lab.example",)


def test_nodes_on_one_host() -> None:
    """Two logins of one machine are two nodes, each with a name of its own."""
    inventory = parse_nodes(["a@h:1", "b@h", "h", "i"])
    assert inventory.names == ("a@h:1", "b@h", "h", "i")
    assert {host.node.host for host in inventory.hosts} == {"h", "i"}


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "@h",
        "u@",
        "h:",
        "h:x",
        "h:0",
        "h:65536",
        "::1",
        "u@::1",
        "[::1",
        "-oX@h",
        "u@-h",
        "u@h/x",
        "u@u@h",
        "[::1]22",
        "a\tb",
    ],
)
def test_bad_nodes(spec: str) -> None:
    """None of them reaches ssh."""
    with pytest.raises(SettingsError) as caught:
        parse_nodes([spec])
    assert "IPv6 address in brackets" in str(caught.value)


def test_the_same_node_twice() -> None:
    with pytest.raises(SettingsError, match="--node a@h was given twice"):
        parse_nodes(["a@h", "a@h"])
