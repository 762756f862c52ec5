"""Orders: of dependencies, of the plan, and what a name or a URL may be."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.graph import find_cycle, stable_order
from asyncstack.model import PHASES, PhaseSelection, Plugin
from asyncstack.plan import phase_names, plan_phases
from asyncstack.registry import problem_of, validate

pytestmark = pytest.mark.slow

_NAMES = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


@st.composite
def _acyclic(draw: st.DrawFn) -> tuple[list[str], dict[str, list[str]]]:
    names = draw(_NAMES)
    hidden = draw(st.permutations(names))
    before = {
        name: draw(st.lists(st.sampled_from(hidden[:n]), unique=True))
        for n, name in enumerate(hidden)
        if n
    }
    return names, before


@given(_acyclic())
def test_order_is_topological(graph: tuple[list[str], dict[str, list[str]]]) -> None:
    """Every name comes once, after all that it needs; without a cycle there is an order."""
    names, before = graph
    order = stable_order(names, before)
    assert order is not None
    assert sorted(order) == sorted(names)
    for name, needed in before.items():
        assert all(order.index(other) < order.index(name) for other in needed)
    assert find_cycle(before) == ()


@given(_acyclic())
def test_order_is_stable(graph: tuple[list[str], dict[str, list[str]]]) -> None:
    """At each place stands the first name, as given, of those that could: nothing moves idly."""
    names, before = graph
    order = stable_order(names, before)
    assert order is not None
    for place in range(len(order)):
        done = set(order[:place])
        ready = [n for n in names if n not in done and set(before.get(n, ())) <= done]
        assert order[place] == ready[0]


@given(_NAMES, st.data())
def test_a_cycle_is_found_where_there_is_no_order(names: list[str], data: st.DataObject) -> None:
    """Either there is an order or a cycle, and the cycle is one: each step is an edge."""
    edge = st.sampled_from(names) if names else st.nothing()
    before = {name: data.draw(st.lists(edge, unique=True, max_size=3)) for name in names}
    cycle = find_cycle(before)
    assert (stable_order(names, before) is None) == bool(cycle)
    for name, following in zip(cycle, (*cycle[1:], *cycle[:1]), strict=True):
        assert following in before[name]


@given(
    st.sampled_from(["stack", "unstack", "clean"]),
    st.sets(st.sampled_from(["post-config", "extra", "post-extra", "test-config", "other"])),
    st.booleans(),
    st.lists(st.sampled_from("pqrs"), unique=True),
    st.data(),
)
def test_a_plan_is_in_order(
    command: str, groups: set[str], has_local_sh: bool, plugins: list[str], data: st.DataObject
) -> None:
    """Phases in stack.sh's order, the loads always first, plugins in registration order."""
    names = phase_names(command)  # type: ignore[arg-type]
    first = data.draw(st.sampled_from(["", *names]))
    rest = names[names.index(first) :] if first else names
    last = data.draw(st.sampled_from(["", *rest]))
    phases = plan_phases(
        command,  # type: ignore[arg-type]
        PhaseSelection(first=first, last=last),
        groups=groups,
        has_local_sh=has_local_sh,
    )
    found = [phase.key.name for phase in phases]
    assert found[:2] == ["override_defaults", "source"]
    assert found == [name for name in names if name in found]
    assert [phase.index for phase in phases] == [names.index(name) + 1 for name in found]
    for phase in phases:
        steps = phase.steps(plugins)
        if phase.key.phase == "prerequisites":
            assert steps == ["@packages"]
        else:
            assert [step for step in steps if not step.startswith("@")] == plugins
        assert len(steps) == len(set(steps))
    merges = [part for phase in phases for part in phase.parts if part.startswith("merge=")]
    assert {part.removeprefix("merge=") for part in merges} <= groups - {"other"}
    if command == "stack" and not first and not last:
        assert found[2:] == list(PHASES)
        assert len(merges) == len(groups - {"other"})
        assert has_local_sh == any("local.sh" in phase.parts for phase in phases)


_ANY = st.text(max_size=12) | st.text("./-_a~,:@ \n*$", max_size=8)


@given(_ANY)
def test_no_name_escapes_dest(name: str) -> None:
    """A name that passes is one directory right below $DEST, and no option of anything."""
    if problem_of(Plugin(name, "https://example.org/x", "master", "")) is None:
        assert PurePosixPath("/dest") / name == PurePosixPath(f"/dest/{name}")
        assert (PurePosixPath("/dest") / name).parent == PurePosixPath("/dest")
        assert name not in (".", "..")
        assert ".." not in name
        assert not name.startswith("-")
        assert not set(name) & set("/,\\ \t\n\0*?[]$`\"'")


@given(_ANY | st.builds("{}://{}".format, st.text("abcext", max_size=5), _ANY), _ANY)
def test_no_option_and_no_program_gets_through(url: str, ref: str) -> None:
    """A URL or a ref that passes begins with no '-', and names no transport that runs programs."""
    if problem_of(Plugin("name", url, ref, "")) is None:
        assert not url.startswith("-")
        assert not ref.startswith("-")
        assert "::" not in url.partition("/")[0]
        if "://" in url:
            assert url.partition("://")[0].lower() in ("https", "http", "ssh", "git", "file")
        assert not set(ref) & set(" ~^:?*[\\\n\0")
        assert ".." not in ref


@given(st.lists(st.tuples(_ANY, _ANY, _ANY), max_size=6))
def test_each_bad_line_has_one_error(lines: list[tuple[str, str, str]]) -> None:
    """In their order, with the line of each."""
    plugins = [Plugin(n, u, r, "", "local.conf", i) for i, (n, u, r) in enumerate(lines, 1)]
    bad = [plugin.line for plugin in plugins if problem_of(plugin) is not None]
    assert [error.line for error in validate(plugins)] == bad
