"""Stacking several nodes: they keep step as they were told to, and nothing is done twice."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from asyncstack.events import FetchFinished, StepFinished, Warned
from asyncstack.model import FetchStatus, Status
from tests.helpers.gitserver import git
from tests.helpers.lab import Outcome
from tests.ssh.lab import SshLab, assert_exactly_once


def test_linear_keeps_phases_apart(lab: SshLab) -> None:
    """By the nodes' own clocks, which are one here: a phase begins when all have left the last."""
    lab.three()
    lab.witnesses("first", "second")
    lab.write_inventory()
    outcome = lab.stack()
    assert outcome.code == 0, outcome
    assert_exactly_once(lab, outcome)
    order = ("settings", "pre-install", "install", "post-config", "extra", "test-config")
    seen = sorted(line for node in lab.nodes.values() for line in node.witness())
    assert [phase for _, _, phase, _ in seen] == [phase for phase in order for _ in range(12)]


def test_a_filter_that_no_node_gets_is_warned_of(lab: SshLab) -> None:
    """What is sent is whole; a node that clones by itself gets what was asked for."""
    lab.node("one")
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack("--filter", "blob:none", command="fetch")
    assert outcome.code == 0, outcome
    (warned,) = outcome.of(Warned)
    assert (warned.code, "--fetch-from node" in warned.message) == ("filter-ignored", True)
    own = lab.stack("--filter", "blob:none", "--fetch-from", "node", command="fetch")
    assert own.of(Warned) == []


def test_a_plan_says_which_node_has_which_checkout(lab: SshLab) -> None:
    """What a fetch would say of it, and nothing of the node where all is in order."""
    lab.node("one")
    two = lab.node("two")
    lab.witnesses("first", "second")
    lab.write_inventory()
    assert lab.stack(command="fetch").code == 0
    git("-C", two.dest / "first", "checkout", "-q", "-b", "mine")
    (two.dest / "second" / "devstack" / "plugin.sh").write_text("changed\n")
    said = lab.plan("-i", lab.inventory)
    assert said.code == 0
    (warned,) = [line for line in said.stderr.splitlines() if "is left as it is" in line]
    assert warned.startswith(f"warning: {two.dest}/first is on branch 'mine', but 'master'")
    said = lab.plan("-i", lab.inventory, "--update")
    (warned,) = [line for line in said.stderr.splitlines() if "nowhere else" in line]
    assert warned.startswith(f"warning: {two.dest}/second holds work that is nowhere else: 1 file")


def spans(lab: SshLab, name: str) -> tuple[float, float]:
    """When a node's first step began and its last one ended."""
    times = [time for time, *_ in lab.nodes[name].witness()]
    return min(times), max(times)


def test_free_waits_for_nobody(lab: SshLab) -> None:
    """The fast one comes to its end while the slow one is still in a phase, and lets it go on."""
    lab.node("fast")
    slow = lab.node("slow")
    slow.dest.mkdir()
    os.mkfifo(slow.dest / "go")
    lab.plugin(
        "waits",
        """
        [[ $NODE_NAME$2 != slowpre-install ]] || read -r _ <"$DEST/go"
        [[ $NODE_NAME$2 != fasttest-config ]] || echo on >"$OTHER/go"
        """,
    )
    lab.write_conf(lab.enable("waits"))
    lab.write_inventory(localrc={"fast": {"OTHER": str(slow.dest)}})
    outcome = lab.stack("--strategy", "free")
    assert outcome.code == 0, outcome


def test_an_order_finishes_one_group_before_the_next(lab: SshLab) -> None:
    lab.three()
    lab.witnesses("plugin")
    lab.write_inventory({"controller": ["two"], "compute": ["one", "three"]})
    outcome = lab.stack("--order", "controller,compute")
    assert outcome.code == 0, outcome
    assert_exactly_once(lab, outcome)
    assert spans(lab, "two")[1] < min(spans(lab, "one")[0], spans(lab, "three")[0])


def test_a_limit_leaves_the_others_alone(lab: SshLab) -> None:
    lab.three()
    lab.witnesses("plugin")
    lab.write_inventory({"compute": ["one", "three"]})
    outcome = lab.stack("--limit", "compute:!three")
    assert outcome.code == 0, outcome
    assert {step.node for step in outcome.of(StepFinished)} == {"one"}
    assert lab.nodes["two"].witness() == lab.nodes["three"].witness() == []
    assert not lab.nodes["three"].state.exists()


def test_nodes_of_the_command_line(lab: SshLab) -> None:
    """Which have no inventory to say what their DEST is, so one is all there can be here."""
    node = lab.node("127.0.0.1")
    (lab.home / ".ssh/config").write_text(f"IdentityFile {node.sshd.key}\n")
    lab.witnesses("plugin")
    spec = f"{node.sshd.user}@127.0.0.1:{node.port}"
    outcome = lab.run("stack", lab.conf, "-n", spec)
    assert outcome.code == 0, outcome
    assert {step.node for step in outcome.of(StepFinished)} == {"127.0.0.1"}
    assert node.state.exists()


def test_a_relative_url_is_the_controllers(lab: SshLab) -> None:
    """A node that fetches by itself can't know what it is relative to, and is not asked."""
    lab.node("one")
    lab.witnesses("plugin")
    lab.write_conf("enable_plugin plugin ./repositories/plugin")
    lab.write_inventory()
    refused = lab.stack("--fetch-from", "node", "--until-phase", "source")
    assert refused.code == 2, refused
    assert "'./repositories/plugin' is relative" in refused.stderr
    assert "leave out --fetch-from node" in refused.stderr
    outcome = lab.stack("--until-phase", "source")
    assert outcome.code == 0, outcome
    origin = git("-C", lab.nodes["one"].dest / "plugin", "remote", "get-url", "origin").strip()
    assert origin == str(lab.repositories / "plugin")


@pytest.mark.parametrize("source", ["controller", "node", "seed"])
def test_the_nodes_have_ordinary_clones_and_get_them_once(lab: SshLab, source: str) -> None:
    """origin is the URL, the commit is checked out, tags and history are there."""
    lab.node("one")
    lab.node("two")
    lab.witnesses("plugin")
    repository = lab.repositories / "plugin"
    git("-C", repository, "tag", "1.0")
    git("-C", repository, "commit", "-q", "--allow-empty", "-m", "two")
    commit = git("-C", repository, "rev-parse", "HEAD")
    url = f"file://{repository}"
    lab.write_conf(f"enable_plugin plugin {url}")
    lab.write_inventory()
    outcome = lab.stack("--fetch-from", source, "--until-phase", "source")
    assert outcome.code == 0, outcome
    for node in lab.nodes.values():
        clone = node.dest / "plugin"
        assert git("-C", clone, "remote", "get-url", "origin").strip() == url
        assert git("-C", clone, "rev-parse", "HEAD") == commit
        assert git("-C", clone, "describe", "--tags").startswith("1.0-1-g")
        assert git("-C", clone, "status", "--porcelain") == ""
        git("-C", clone, "fsck", "--strict")
    again = lab.stack("--fetch-from", source, "--until-phase", "source")
    assert again.code == 0, again
    delivered = {event.node or "controller": event for event in again.of(FetchFinished)}
    assert [delivered[name].received_bytes for name in lab.nodes] == [0, 0]


def test_what_the_controller_has_fetched_was_not_there_before(lab: SshLab) -> None:
    """Small repositories, too, whose size git often doesn't tell."""
    lab.node("one")
    lab.witnesses(*"abcdef")
    lab.write_inventory()
    outcome = lab.run("fetch", lab.conf, "-i", lab.inventory)
    assert outcome.code == 0, outcome
    assert {e.plugin: e.status for e in outcome.of(FetchFinished) if not e.node} == dict.fromkeys(
        "abcdef", FetchStatus.CLONED
    )


def test_what_stands_needs_neither_server_nor_mirror(lab: SshLab) -> None:
    """A checkout that is there is told of by the node itself, and so is what is odd about it."""
    lab.node("one")
    lab.witnesses("plugin", "moved")
    lab.write_inventory()
    assert lab.stack("--until-phase", "source").code == 0
    git("-C", lab.nodes["one"].dest / "moved", "checkout", "-q", "-b", "mine")
    shutil.rmtree(lab.repositories)
    shutil.rmtree(lab.root / "cache")
    outcome = lab.stack("--until-phase", "source")
    assert outcome.code == 0, outcome
    assert [(e.node, e.status) for e in outcome.of(FetchFinished)] == [("one", "present")] * 2
    odd = {(event.code, event.plugin) for event in outcome.of(Warned) if event.plugin}
    assert odd == {("ref-mismatch", "moved")}


@pytest.mark.parametrize("source", ["controller", "node"])
def test_what_plugins_clone_later_is_prefetched_to_the_node(lab: SshLab, source: str) -> None:
    """And not to this machine, where the paths are somebody else's: same paths, another root."""
    node = lab.node("one")
    library = lab.plugin("library")
    settings = f'GITREPO["library"]=file://{library}\nGITDIR["library"]=$DEST/library\n'
    settings += 'GITBRANCH["library"]=master\nLIBS_FROM_GIT=library\n'
    lab.plugin("plugin", "", settings=settings)
    lab.write_conf(lab.enable("plugin"))
    lab.write_inventory()
    outcome = lab.stack("--prefetch", "--fetch-from", source, "--until-phase", "source")
    assert outcome.code == 0, outcome
    assert (node.dest / "library/.git").is_dir()
    told = [event for event in outcome.of(FetchFinished) if event.plugin == "library"]
    assert "one" in {event.node for event in told}
    assert (lab.root / "cache").exists() is (source == "controller")


@pytest.mark.parametrize(
    ("options", "went_on"),
    [
        ((), set()),
        (("--keep-going",), {"two", "three"}),
        (("--max-fail", "1"), {"two", "three"}),
        (("--max-fail", "30%"), set()),
        (("--max-fail", "34%"), {"two", "three"}),
    ],
)
def test_who_goes_on_when_a_node_has_failed(
    lab: SshLab, options: tuple[str, ...], went_on: set[str]
) -> None:
    """Nobody is stopped in a step; who goes on comes to the end. resume begins where it failed."""
    lab.three()
    lab.witnesses("plugin", more="[[ $NODE_NAME$2 != oneinstall || -e $DEST/mended ]]")
    lab.write_inventory()
    outcome = lab.stack(*options)
    assert outcome.code == 1, outcome
    assert_exactly_once(lab, outcome)
    ended = {s.node: s.status for s in outcome.of(StepFinished) if s.phase == "test-config"}
    aborted = set(lab.nodes) - went_on
    assert {name for name, status in ended.items() if status is Status.OK} == went_on
    assert {name for name, status in ended.items() if status is Status.ABORTED} == aborted
    installed = {s.node: s.status for s in outcome.of(StepFinished) if s.phase == "install"}
    assert installed == {"one": Status.FAILED, "two": Status.OK, "three": Status.OK}
    assert lab.driven() == []
    if not options:
        (lab.nodes["one"].dest / "mended").touch()
        lab.environment["PWD"] = str(lab.root)
        again = lab.again("resume", outcome.directory)
        assert again.code == 0, again
        phases = {phase for _, _, phase, _ in lab.nodes["two"].witness()[-2:]}
        assert phases == {"test-config"}
        first = [phase for _, _, phase, _ in lab.nodes["two"].witness()].count("pre-install")
        assert first == 2, "pre-install ran in the first run only: begin and end"


def test_a_wrong_number_of_failures_is_told_before_anything_is_done(lab: SshLab) -> None:
    lab.node("one")
    lab.witnesses("plugin")
    lab.write_inventory()
    outcome = lab.stack("--max-fail", "many")
    assert outcome.code == 2
    assert "--max-fail" in outcome.stderr
    assert not outcome.directory.exists()
    assert not lab.nodes["one"].state.exists()


def test_a_dozen_nodes_behind_one_sshd_that_allows_little(lab: SshLab) -> None:
    """MaxStartups is its default: no connect is dropped; two sessions a connection are enough."""
    daemon = lab.daemon("MaxSessions 2")
    names = [f"node{number}" for number in range(12)]
    for name in names:
        lab.node(name, daemon)
    lab.witnesses("plugin")
    lab.write_inventory(localrc={name: {"ADMIN_PASSWORD": "hidden-one"} for name in names})
    seen: list[str] = []
    process, directory = lab.start_stack("--until-phase", "install")
    assert process.stdout is not None
    for _ in process.stdout:
        seen += command_lines()
    process.wait(60)
    assert process.returncode == 0
    outcome = Outcome(0, b"", b"", directory)
    assert_exactly_once(lab, outcome)
    assert {step.node for step in outcome.of(StepFinished)} == set(names)
    log = (daemon.root / "sshd.log").read_text()
    assert log.count("Accepted publickey") == 12, "one connection a node"
    assert "drop" not in log
    assert "MaxStartups" not in log
    assert any(str(lab.root) in line for line in seen)
    assert not any("hidden-one" in line for line in seen)


def command_lines() -> list[str]:
    """The command lines of all processes there are."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return found
