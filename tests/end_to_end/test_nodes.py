"""Several nodes in one run, without a network: hosts of an inventory that are this machine."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from asyncstack.events import BarrierOpened, FilesCopied, NodeFinished, StepFinished, Warned
from asyncstack.model import PhaseKey, Status
from tests.helpers.lab import Lab, Outcome, json_lines

pytestmark = pytest.mark.slow

_SCRIPT = """
echo "$NODE $2"
[[ $2 != install || $NODE != "$FAILS" ]]
"""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    lab.plugin("demo", _SCRIPT)
    # DEST is the nodes' own affair here.
    lab.conf.write_text(f"[[local|localrc]]\ndisable_all_services\n{lab.enable('demo')}")
    return lab


def inventory(lab: Lab, *, fails: str = "", extra: str = "") -> Path:
    """A controller and two computes, each with a DEST of its own."""

    def host(name: str) -> str:
        return (
            f"        {name}:\n          ansible_connection: local\n          localrc:\n"
            f"            DEST: {lab.root}/{name}\n            DATA_DIR: {lab.root}/{name}/data\n"
            f"            NODE: {name}\n            FAILS: '{fails}'\n"
        )

    path = lab.root / "lab.yaml"
    path.write_text(
        f"all:\n{extra}  children:\n    controller:\n      hosts:\n{host('ctl')}"
        f"    compute:\n      hosts:\n{host('c1')}{host('c2')}"
    )
    return path


def stack(lab: Lab, path: Path, *options: str) -> Outcome:
    return lab.run("stack", lab.conf, "-i", path, *options)


def statuses(run: Outcome, phase: str) -> dict[str, str]:
    return {
        s.node: s.status.value
        for s in run.of(StepFinished)
        if PhaseKey(s.mode, s.phase).name == phase and s.plugin == "demo"
    }


_REST = ("install", "post-config", "extra", "test-config")


def test_every_node_has_its_own_checkout_settings_and_logs(lab: Lab) -> None:
    run = stack(lab, inventory(lab))
    assert run.code == 0, run
    for node in ("ctl", "c1", "c2"):
        assert (lab.root / node / "demo/devstack/plugin.sh").is_file()
        (log,) = (run.directory / "logs" / node).glob("*-stack-install/demo.log")
        assert log.read_text() == f"{node} install\n"
    assert {n.node for n in run.of(NodeFinished) if n.status is Status.OK} == {"ctl", "c1", "c2"}
    # They share a home, but none of them is another run.
    assert [event.message for event in run.of(Warned) if event.code == "run-alive"] == []


def test_each_node_is_recorded_with_its_own_local_conf(lab: Lab) -> None:
    """By name and digest, so that it can be told later which one has changed since."""
    other = lab.root / "other.conf"
    other.write_text(lab.conf.read_text() + "# other\n")
    path = inventory(lab)
    path.write_text(path.read_text().replace("c2:\n", f"c2:\n          local_conf: {other}\n"))
    run = lab.run("fetch", lab.conf, "-i", path)
    assert run.code == 0, run
    files = {node.name: node.local_conf for node in run.record.nodes}
    assert files == {"ctl": str(lab.conf), "c1": str(lab.conf), "c2": str(other)}
    for node in run.record.nodes:
        digest = hashlib.sha256(Path(node.local_conf).read_bytes()).hexdigest()
        assert node.local_conf_digest == f"sha256:{digest}"


def test_no_node_begins_a_phase_before_all_have_ended_the_one_before(lab: Lab) -> None:
    run = stack(lab, inventory(lab))
    spans: dict[str, list[StepFinished]] = {}
    for step in run.of(StepFinished):
        if step.plugin == "demo" and step.phase:
            spans.setdefault(step.phase, []).append(step)
    phases = [spans[name] for name in ("pre-install", "install", "post-config", "extra")]
    for before, after in pairwise(phases):
        assert max(s.end for s in before) <= min(s.start for s in after)
    assert len(run.of(BarrierOpened)) == 8


def test_a_failed_node_stops_the_others_at_the_next_barrier(lab: Lab) -> None:
    run = stack(lab, inventory(lab, fails="c1"))
    assert run.code == 1
    assert statuses(run, "install") == {"ctl": "ok", "c1": "failed", "c2": "ok"}
    assert set(statuses(run, "post-config").values()) == {"aborted"}
    # As in the journal, each node's status is its own.
    assert {node.name: node.status for node in run.record.nodes} == {
        event.node: event.status for event in run.of(NodeFinished)
    }
    assert {n.name for n in run.record.nodes if n.status is Status.FAILED} == {"c1"}


@pytest.mark.parametrize("option", [["--keep-going"], ["--max-fail", "1"], ["--max-fail", "40%"]])
def test_the_others_go_on_if_they_may(lab: Lab, option: list[str]) -> None:
    run = stack(lab, inventory(lab, fails="c1"), *option)
    assert run.code == 1
    assert statuses(run, "test-config") == {"ctl": "ok", "c1": "aborted", "c2": "ok"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--max-fail", "some"], "--max-fail some"),
        (["--max-fail", "101%"], "--max-fail 101%: is more than all nodes"),
        (["--max-fail", "1", "--keep-going"], "--max-fail 1 exclude each other"),
    ],
)
def test_a_max_fail_that_is_none_is_refused(lab: Lab, options: list[str], said: str) -> None:
    run = stack(lab, inventory(lab), *options)
    assert run.code == 2
    assert said in run.stderr


def test_one_group_finishes_before_the_next_begins(lab: Lab) -> None:
    run = stack(lab, inventory(lab), "--order", "controller,compute")
    assert run.code == 0
    ends = [s.end for s in run.of(StepFinished) if s.node == "ctl" and s.end]
    starts = [s.start for s in run.of(StepFinished) if s.node != "ctl" and s.start]
    assert max(ends) <= min(starts)


def test_limit_leaves_the_other_nodes_alone(lab: Lab) -> None:
    run = stack(lab, inventory(lab), "--limit", "compute:!c2")
    assert run.code == 0
    assert {s.node for s in run.of(StepFinished)} == {"c1"}
    assert not (lab.root / "ctl").exists()


_COPY = """  vars:
    asyncstack_copy:
      - after: {after}
        from: controller
        to: c1
        paths: [{path}]
        mode: "0640"
"""


@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_files_are_copied_behind_their_phase(lab: Lab, strategy: str) -> None:
    path = lab.root / "ca.pem"
    path.write_text("certificate\n")
    nodes = inventory(lab, extra=_COPY.format(after="pre-install", path=path))
    run = stack(lab, nodes, "--strategy", strategy)
    assert run.code == 0, run
    copies = run.of(FilesCopied)
    assert [(c.source, c.target, c.ok) for c in copies] == [("ctl", "c1", True)]
    order = [event for event in run.events if isinstance(event, FilesCopied | StepFinished)]
    first = order.index(copies[0])
    assert all(
        PhaseKey(s.mode, s.phase).name in ("override_defaults", "source", "prerequisites")
        or s.phase == "pre-install"
        for s in order[:first]
        if isinstance(s, StepFinished)
    )
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_node_that_lacks_its_files_stops_the_run_there(lab: Lab) -> None:
    missing = lab.root / "none.pem"
    run = stack(lab, inventory(lab, extra=_COPY.format(after="pre-install", path=missing)))
    assert run.code == 1
    assert f"{missing} not copied from ctl to c1 after pre-install" in run.stderr
    assert set(statuses(run, "install").values()) == {"aborted"}
    assert {n.node: n.status for n in run.of(NodeFinished)} == {
        "ctl": Status.OK,
        "c1": Status.FAILED,
        "c2": Status.OK,
    }


def test_the_others_go_on_without_a_node_that_lacks_its_files(lab: Lab) -> None:
    """If they may: it is a node that has failed, as any other."""
    missing = lab.root / "none.pem"
    nodes = inventory(lab, extra=_COPY.format(after="pre-install", path=missing))
    run = stack(lab, nodes, "--keep-going")
    assert run.code == 1
    assert statuses(run, "pre-install") == {"ctl": "ok", "c1": "ok", "c2": "ok"}
    assert statuses(run, "install") == {"ctl": "ok", "c1": "aborted", "c2": "ok"}
    assert {n.node: n.status for n in run.of(NodeFinished)}["c1"] is Status.FAILED


def test_a_node_is_not_let_go_on_without_files_that_were_never_made(lab: Lab) -> None:
    """The one that was to make them has failed."""
    path = lab.root / "ca.pem"
    path.write_text("of another run\n")
    copies = _COPY.format(after="install", path=path)
    run = stack(lab, inventory(lab, fails="ctl", extra=copies), "--keep-going")
    assert run.code == 1
    assert f"{path} not copied from ctl to c1 after install" in run.stderr
    assert "ctl has not come to the end of install" in run.stderr
    assert statuses(run, "post-config") == {"ctl": "aborted", "c1": "aborted", "c2": "ok"}


def test_nor_is_one_whose_turn_comes_after_the_node_that_failed(lab: Lab) -> None:
    """It has not even begun the phase behind which its files were due."""
    path = lab.root / "ca.pem"
    copies = _COPY.format(after="post-config", path=path)
    nodes = inventory(lab, fails="ctl", extra=copies)
    run = stack(lab, nodes, "--keep-going", "--order", "controller,compute")
    assert run.code == 1
    assert "ctl has not come to the end of post-config" in run.stderr
    assert statuses(run, "pre-install") == {"ctl": "ok", "c1": "aborted", "c2": "ok"}


@pytest.mark.parametrize(("option", "went_on"), [("0", "aborted"), ("1", "ok"), ("34%", "ok")])
def test_the_next_group_has_its_turn_if_so_many_may_fail(
    lab: Lab, option: str, went_on: str
) -> None:
    nodes = inventory(lab, fails="ctl")
    run = stack(lab, nodes, "--max-fail", option, "--order", "controller,compute")
    assert run.code == 1
    assert statuses(run, "test-config") == {"ctl": "aborted", "c1": went_on, "c2": went_on}


def test_a_group_that_comes_later_gives_its_files_then(lab: Lab) -> None:
    """Sources of two batches: behind the second."""
    path = lab.root / "ca.pem"
    path.write_text("certificate\n")
    copies = _COPY.format(after="install", path=path).replace("from: controller", "from: ctl,c2")
    run = stack(lab, inventory(lab, extra=copies), "--order", "ctl,c2,c1")
    assert run.code == 0, run
    order = [
        event.target if isinstance(event, FilesCopied) else event.node
        for event in run.events
        if isinstance(event, FilesCopied)
        or (isinstance(event, StepFinished) and (event.plugin, event.phase) == ("demo", "install"))
    ]
    assert order == ["ctl", "c2", "c1", "c1"]


def test_what_settings_ask_for_is_seen_by_any_strategy(lab: Lab) -> None:
    lab.plugin("needy", "", settings="plugin_requires needy other")
    lab.conf.write_text(f"[[local|localrc]]\ndisable_all_services\n{lab.enable('needy')}")
    for strategy in ("linear", "free"):
        run = stack(lab, inventory(lab), "--strategy", strategy)
        assert run.code == 0, run
        assert "other" in " ".join(event.message for event in run.of(Warned)), strategy


def test_the_plan_shows_every_node_and_what_it_gets(lab: Lab) -> None:
    path = inventory(lab, extra=_COPY.format(after="install", path="/etc/ca.pem"))
    plan = lab.plan("-i", path)
    assert plan.code == 0
    assert [line for line in plan.stdout.splitlines() if line.startswith("node ")] == [
        f"node {name}, DEST={lab.root}/{name}" for name in ("ctl", "c1", "c2")
    ]
    assert plan.stdout.count("after install: /etc/ca.pem from ctl") == 1
    assert plan.stdout.count("\n\nnode ") == 2


def test_the_plan_shows_the_copies_that_would_be_made(lab: Lab) -> None:
    """With their mode; not those behind a phase that isn't run."""
    path = inventory(lab, extra=_COPY.format(after="install", path="/etc/ca.pem"))
    assert "after install: /etc/ca.pem from ctl (0640)" in lab.plan("-i", path).stdout
    assert "/etc/ca.pem" not in lab.plan("-i", path, "--until-phase", "pre-install").stdout


def test_what_is_odd_about_an_inventory_is_told_once(lab: Lab) -> None:
    """A variable that isn't used, and files that can't be copied for want of their node."""
    copies = _COPY.format(after="install", path="/etc/ca.pem")
    path = inventory(lab, extra=f"{copies}    ansible_password: unused\n")
    plan = lab.plan("-i", path, "--limit", "compute")
    run = stack(lab, path, "--limit", "compute", "--until-phase", "source")
    assert run.code == 0, run
    for told in (plan.stderr, " ".join(event.message for event in run.of(Warned))):
        assert told.count("ansible_password is not used") == 1
        assert told.count("/etc/ca.pem won't be copied to c1") == 1


def test_files_do_not_travel_when_a_lab_is_taken_down(lab: Lab) -> None:
    path = inventory(lab, extra=_COPY.format(after="source", path=lab.root / "none.pem"))
    run = lab.run("unstack", lab.conf, "-i", path)
    assert run.code == 0, run
    assert run.of(FilesCopied) == []


@pytest.mark.parametrize(
    ("options", "fails", "ran"),
    [
        ((), "c1", {"ctl": _REST[1:], "c1": _REST, "c2": _REST[1:]}),
        (("--keep-going",), "c1", {"c1": _REST}),
        (
            ("--order", "controller,compute"),
            "ctl",
            {"ctl": _REST, "c1": ("pre-install", *_REST), "c2": ("pre-install", *_REST)},
        ),
    ],
)
def test_a_node_resumes_with_what_it_is_not_through_with(
    lab: Lab, options: tuple[str, ...], fails: str, ran: dict[str, tuple[str, ...]]
) -> None:
    """Not with what another one has failed at; and who is through with everything has rest."""
    inventory(lab, fails=fails)
    run = stack(lab, lab.root / "lab.yaml", *options)
    assert run.code == 1, run
    inventory(lab)
    assert resumed(lab, run) == ran


def resumed(lab: Lab, run: Outcome) -> dict[str, tuple[str, ...]]:
    """Resume a run; node → the phases that were run there."""
    line = [sys.executable, "-m", "asyncstack", "resume", "--json", str(run.directory)]
    done = subprocess.run(line, env=lab.environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done
    found: dict[str, tuple[str, ...]] = {}
    for step in json_lines(done.stdout.decode()):
        if (step["event"], step.get("plugin"), step.get("mode")) == (
            "step-finished",
            "demo",
            "stack",
        ):
            found[step["node"]] = (*found.get(step["node"], ()), step["phase"])
    return found


def test_settings_that_fail_bring_no_phase_that_was_not_asked_for(lab: Lab) -> None:
    path = inventory(lab)
    mended = lab.root / "mended"
    lab.plugin("needy", "", settings=f"[[ -e {mended} ]]")
    lab.conf.write_text(f"[[local|localrc]]\ndisable_all_services\n{lab.enable('demo', 'needy')}")
    run = stack(lab, path, "--from-phase", "extra", "--limit", "compute")
    assert run.code == 1, run
    mended.touch()
    assert resumed(lab, run) == dict.fromkeys(("c1", "c2"), ("extra", "test-config"))


def test_what_ended_before_its_first_phase_is_resumed_where_it_was_meant_to_be(lab: Lab) -> None:
    path = inventory(lab)
    away = lab.repositories / "away"
    (lab.repositories / "demo").rename(away)
    run = stack(lab, path, "--limit", "c1", "--until-phase", "pre-install")
    assert run.code == 1, run
    away.rename(lab.repositories / "demo")
    assert resumed(lab, run) == {"c1": ("pre-install",)}


@pytest.mark.parametrize("verb", ["resume", "stop"])
def test_a_run_is_met_again_from_any_folder(lab: Lab, verb: str) -> None:
    """Also one whose local.conf and inventory were named from where it was started."""
    inventory(lab, fails="c1")
    run = lab.run("stack", "local.conf", "-i", "lab.yaml")
    assert run.code == 1, run
    inventory(lab)
    done = subprocess.run(
        [sys.executable, "-m", "asyncstack", verb, str(run.directory)],
        cwd="/",
        env=lab.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done


def test_one_machine_is_not_stacked_twice_at_once(lab: Lab) -> None:
    """As after a line of the inventory was copied and not changed."""
    path = inventory(lab)
    path.write_text(path.read_text().replace(f"DEST: {lab.root}/c2\n", f"DEST: {lab.root}/c1\n"))
    run = stack(lab, path)
    assert run.code == 2, run
    assert f"nodes c1 and c2 are one machine, and have one DEST: {lab.root}/c1" in run.stderr
    assert run.of(StepFinished) == []


def test_the_plan_of_many_that_are_alike_is_shown_once(lab: Lab) -> None:
    """In JSON there is one object a node all the same."""
    path = inventory(lab)
    path.write_text(path.read_text().replace(f"DEST: {lab.root}/c2\n", f"DEST: {lab.root}/c1\n"))
    plan = lab.plan("-i", path)
    assert [line for line in plan.stdout.splitlines() if line.startswith("node ")] == [
        f"node ctl, DEST={lab.root}/ctl",
        f"node c[1-2], DEST={lab.root}/c1",
    ]
    plans = json.loads(lab.plan("-i", path, "--json").stdout)
    assert [one["node"] for one in plans] == ["ctl", "c1", "c2"]
