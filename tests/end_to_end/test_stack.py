"""What a stack run does, from local.conf to the last phase, in stack.sh's own order."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncstack.events import NodeBooted, PhaseFinished, RunFinished, RunStarted, StepFinished
from asyncstack.model import PhaseKey, Status
from tests.helpers.lab import Lab, Outcome, alive, json_lines

pytestmark = pytest.mark.slow

_PHASES = ["pre-install", "install", "post-config", "extra", "test-config"]
# Each file of a plugin says that it was sourced, from where and with what.
_SAY = 'echo "${BASH_SOURCE#"$DEST"/} $# $*" >>"$DATA_DIR/order"\n'
_SETTINGS = """
echo "settings of $plugin see $FROM_OVERRIDE" >>"$DATA_DIR/order"
SINCE_SETTINGS+=" $plugin"
declare -A LOCAL_TO_DEVSTACKS_FUNCTION=([x]=1)
"""
_SCRIPT = (
    _SAY
    + """
echo "$plugin sees$SINCE_SETTINGS, phases:$SEEN_PHASES, ${LOCAL_TO_DEVSTACKS_FUNCTION[x]:-none}"
SEEN_PHASES+=" $plugin/$2"
echo "for the summary" >&3
[[ $0 != "$BASH_SOURCE" ]]
"""
)
_MERGES = """
[[post-config|$DATA_DIR/some.conf]]
[DEFAULT]
when = post-config
dest = $DEST
[[extra|$DATA_DIR/some.conf]]
[DEFAULT]
when = extra
[[post-extra|$DATA_DIR/some.conf]]
[DEFAULT]
when = post-extra
[[test-config|$DATA_DIR/some.conf]]
[DEFAULT]
when = test-config
"""
_READER = _SCRIPT + (
    'echo "$2 $(grep when "$DATA_DIR/some.conf" 2>/dev/null || echo nothing)" '
    '>>"$DATA_DIR/merged"\n'
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    for name in ("zeta", "alpha"):
        override = _SAY + "FROM_OVERRIDE=overridden\n"
        lab.plugin(name, _SCRIPT, settings=_SAY + _SETTINGS, override=override)
    lab.plugin("reader", _READER)
    script = lab.root / "local.sh"
    script.write_text(f'#!/bin/bash\necho "local.sh" >>"{lab.dest}/data/order"\n')
    script.chmod(0o755)
    lab.write_conf("A=$(echo substituted)\n" + lab.enable("zeta", "alpha", "reader"), _MERGES)
    return lab


@pytest.fixture(scope="module")
def outcome(lab: Lab) -> Outcome:
    return lab.run("stack")


def test_the_run_is_ok(outcome: Outcome) -> None:
    """Exit code 0, and journal and run.json agree."""
    assert outcome.code == 0
    assert outcome.of(RunFinished)[0].status is Status.OK
    assert outcome.record.status is Status.OK
    assert outcome.record.exit_code == 0
    assert len(outcome.of(NodeBooted)) == 1


def test_files_are_sourced_in_the_order_of_stack_sh(outcome: Outcome, lab: Lab) -> None:
    """override-defaults, settings, then each phase, each in registration order; local.sh at last."""
    names = ["zeta", "alpha"]
    expected = [f"{name}/devstack/override-defaults 0 " for name in names]
    for name in names:
        expected += [f"{name}/devstack/settings 0 ", f"settings of {name} see overridden"]
    for phase in _PHASES:
        for name in [*names, "reader"]:
            expected.append(f"{name}/devstack/plugin.sh 2 stack {phase}")
        if phase == "extra":
            expected.append("local.sh")
    assert (lab.dest / "data/order").read_text().splitlines() == expected


def test_variables_live_on_across_plugins_and_phases(outcome: Outcome) -> None:
    """One shell a run: settings and earlier steps are visible; a local of theirs is DevStack's."""
    assert outcome.log("zeta", "pre-install").startswith(b"zeta sees zeta alpha, phases:, none\n")
    last = outcome.log("alpha", "install").decode()
    assert "phases: zeta/pre-install alpha/pre-install reader/pre-install zeta/install," in last


def test_meta_sections_are_merged_where_stack_sh_merges_them(outcome: Outcome, lab: Lab) -> None:
    """post-config after its phase, extra before its own, post-extra and test-config after theirs."""
    assert (lab.dest / "data/merged").read_text().splitlines() == [
        "pre-install nothing",
        "install nothing",
        "post-config nothing",
        "extra when = extra",
        "test-config when = post-extra",
    ]
    final = (lab.dest / "data/some.conf").read_text()
    assert "when = test-config" in final
    assert f"dest = {lab.dest}" in final


def test_steps_that_are_not_plugins_are_steps_as_well(outcome: Outcome) -> None:
    """Merges, packages and local.sh have their place, status and timing in the journal."""
    order = [
        (s.phase or s.mode.value, s.plugin)
        for s in outcome.of(StepFinished)
        if s.plugin.startswith("@")
    ]
    assert order == [
        ("prerequisites", "@packages"),
        ("post-config", "@local.conf:post-config"),
        ("extra", "@local.conf:extra"),
        ("extra", "@local.conf:post-extra"),
        ("extra", "@local.sh"),
        ("test-config", "@local.conf:test-config"),
    ]


def test_phases_are_recorded_in_order(outcome: Outcome) -> None:
    """Each phase ends once, its steps lie within it, and nothing takes negative time."""
    phases = outcome.of(PhaseFinished)
    names = [PhaseKey(p.mode, p.phase).name for p in phases]
    assert names == ["override_defaults", "source", "prerequisites", *_PHASES]
    assert outcome.of(RunStarted)[0].phases == tuple(names)
    for phase in phases:
        assert phase.duration_s >= 0
        inside = [
            s for s in outcome.of(StepFinished) if (s.mode, s.phase) == (phase.mode, phase.phase)
        ]
        for step in inside:
            if step.status is Status.OK:
                assert phase.start <= step.start <= step.end <= phase.end


def test_a_plugin_without_a_file_is_skipped_there(outcome: Outcome) -> None:
    """The reader has no settings: said, not counted as done."""
    assert outcome.step("reader", "source").status is Status.SKIPPED
    assert outcome.step("reader", "source").message == "no devstack/settings"


def test_json_is_the_journal(lab: Lab) -> None:
    """--json puts one JSON object a line on stdout, the events, and nothing else."""
    outcome = lab.run("stack", "--json", lab.conf)
    found = json_lines(outcome.stdout)
    assert outcome.code == 0
    kinds = [line["event"] for line in found]
    assert kinds[0] == "run-started"
    assert kinds[-1] == "run-finished"
    journal = [event.__class__.__name__ for event in outcome.events]
    assert len([kind for kind in kinds if kind not in ("fetch-progress", "step-output")]) == len(
        journal
    )


def test_quiet_prints_nothing_when_all_is_well(lab: Lab) -> None:
    """-q: no progress, and no failure to tell."""
    outcome = lab.run("stack", "-q", lab.conf)
    assert outcome.code == 0
    assert outcome.stderr == ""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--phase", "install"], ["install"]),
        (["--phase", "source"], []),
        (["--from-phase", "extra"], ["extra", "test-config"]),
        (["--until-phase", "install"], ["prerequisites", "pre-install", "install"]),
        (
            ["--from-phase", "install", "--until-phase", "extra"],
            ["install", "post-config", "extra"],
        ),
    ],
)
def test_phases_can_be_chosen(lab: Lab, options: list[str], expected: list[str]) -> None:
    """Only these run, after what loads the settings, without which they mean nothing."""
    outcome = lab.run("stack", lab.conf, *options)
    assert outcome.code == 0
    names = [PhaseKey(p.mode, p.phase).name for p in outcome.of(PhaseFinished)]
    assert names == ["override_defaults", "source", *expected]


def test_dest_wins_over_localrc(lab: Lab, tmp_path: Path) -> None:
    """--dest moves all checkouts and what localrc derives from $DEST."""
    outcome = lab.run(
        "stack", lab.conf, "--dest", tmp_path / "else where", "--until-phase", "source"
    )
    assert outcome.code == 0
    assert (tmp_path / "else where/zeta/devstack").is_dir()
    assert outcome.of(NodeBooted)[0].dest == f"{tmp_path}/else where"


def test_trace_puts_xtrace_into_the_logs(lab: Lab) -> None:
    """--trace shows the plugin's commands with file and line, and none of the driver's."""
    outcome = lab.run("stack", lab.conf, "--trace", "--until-phase", "pre-install")
    assert outcome.code == 0
    log = outcome.log("zeta", "pre-install").decode()
    assert "SEEN_PHASES+=" in log
    assert "plugin.sh:" in log
    assert "_asyncstack_emit" not in log
    assert "_asyncstack_sample" not in log


def test_a_localrc_file_wins_over_the_section(tmp_path: Path) -> None:
    """As in DevStack; the section that isn't used is a warning."""
    lab = Lab(tmp_path)
    lab.plugin("good", "echo good\n")
    lab.plugin("other", "echo other\n")
    lab.write_conf(lab.enable("other"))
    localrc = f"DEST={lab.dest}\nDATA_DIR=$DEST/data\ndisable_all_services\n{lab.enable('good')}"
    (lab.root / "localrc").write_text(localrc)
    outcome = lab.run("stack")
    assert outcome.code == 0
    assert list(outcome.statuses()) == ["good"]
    assert "wins over this section" in outcome.stderr


def test_a_step_that_takes_too_long_fails(tmp_path: Path) -> None:
    """--step-timeout ends the step, the driver and what the step has started; exit code 1."""
    lab = Lab(tmp_path)
    lab.plugin("slow", 'sleep 1000 &\necho "$$ $!" >"$DATA_DIR/pids"\nsleep 1000\n')
    lab.plugin("after", "echo after\n")
    lab.write_conf(lab.enable("slow", "after"))
    outcome = lab.run("stack", lab.conf, "--step-timeout", "0.5")
    assert outcome.code == 1
    assert outcome.statuses("pre-install") == {"slow": "failed", "after": "aborted"}
    assert "--step-timeout" in outcome.step("slow", "pre-install").message
    assert outcome.step("slow", "pre-install").duration_s >= 0.5
    for pid in (lab.dest / "data/pids").read_text().split():
        assert not alive(pid)


def test_long_names_urls_and_secrets_are_not_cut(tmp_path: Path) -> None:
    """What the controller acts upon arrives whole, however long it is."""
    deep = tmp_path / "/".join(["d" * 100] * 8)
    deep.mkdir(parents=True)
    (tmp_path / "lab").mkdir()
    lab = Lab(tmp_path / "lab")
    lab.repositories = deep
    lab.plugin("good", "echo good\n")
    lab.write_conf(lab.enable("good"))
    assert lab.run("stack").code == 0


def test_override_defaults_come_before_the_defaults_of_core_services(tmp_path: Path) -> None:
    """A plugin sets what is not set yet; localrc wins over it, and it over DevStack's libraries."""
    lab = Lab(tmp_path)
    override = "".join(
        f"{name}=${{{name}:-mine}}\n" for name in ("Q_AGENT", "PHYSICAL_NETWORK", "OVS_BRIDGE")
    )
    show = 'echo "$Q_AGENT $PHYSICAL_NETWORK $OVS_BRIDGE $Q_PLUGIN" >"$DATA_DIR/seen"\n'
    lab.plugin("good", "echo good\n", override=override, settings=show)
    lab.write_conf("OVS_BRIDGE=from-localrc\n" + lab.enable("good"))
    assert lab.run("stack").code == 0
    assert (lab.dest / "data/seen").read_text() == "mine mine from-localrc ml2\n"
