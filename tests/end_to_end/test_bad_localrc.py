"""What users get wrong in local.conf: one clear message with its line, exit code 2, nothing done."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncstack.events import FetchStarted, RunFinished, StepStarted, Warned
from tests.helpers.lab import Lab, Outcome

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.plugin("good", "echo good\n")
    return lab


def assert_refused(outcome: Outcome, lab: Lab, *said: str) -> None:
    """Exit code 2, the message, no traceback; nothing was fetched, run or left behind."""
    assert outcome.code == 2
    for text in said:
        assert text in outcome.stderr
    assert outcome.no_traceback
    assert outcome.stdout.strip() == ""
    assert not lab.dest.exists()
    if outcome.directory.exists():
        assert not outcome.of(FetchStarted)
        assert not outcome.of(StepStarted)
        assert outcome.of(RunFinished)[0].exit_code == 2
        assert outcome.record.exit_code == 2


@pytest.mark.parametrize("command", ["stack", "unstack", "clean", "fetch"])
def test_no_local_conf(lab: Lab, command: str) -> None:
    """A file that isn't there is named, with the way out, and no run begins."""
    outcome = lab.run(command, lab.root / "absent.conf")
    assert_refused(outcome, lab, f"{lab.root}/absent.conf: no such file", "name another one")
    assert not outcome.directory.exists()


def test_no_localrc_section(lab: Lab) -> None:
    """A local.conf without [[local|localrc]] is told what to write there."""
    lab.conf.write_text("[[post-config|$NOVA_CONF]]\n[DEFAULT]\na = b\n")
    outcome = lab.run("stack")
    assert_refused(outcome, lab, f"{lab.conf}: has no [[local|localrc]] section", "enable_plugin")
    assert not outcome.directory.exists()


def test_local_conf_is_a_directory(lab: Lab) -> None:
    """The file in it is what was meant."""
    folder = lab.root / "folder.conf"
    folder.mkdir()
    outcome = lab.run("stack", folder)
    assert_refused(outcome, lab, f"{folder}: is a directory")
    assert f"name the file in it: {folder}/local.conf" in outcome.stderr


def test_a_syntax_error_names_the_line_of_local_conf(lab: Lab) -> None:
    """bash's message, and the line of local.conf, not of a temporary file; nothing of it runs."""
    touched = lab.root / "touched"
    lab.write_conf(f"touch {touched}\nif then\nfi\n{lab.enable('good')}")
    outcome = lab.run("stack")
    assert_refused(outcome, lab, f"{lab.conf}:6: syntax error near unexpected token `then'")
    assert "localrc.auto" not in outcome.stderr
    assert not touched.exists()


@pytest.mark.parametrize(
    "end", ["}", "fi", "done", "}\nfi", "fi\n}", "esac", ";;\nesac", ")", ";;"]
)
def test_what_follows_a_stray_end_does_not_run(lab: Lab, end: str) -> None:
    """An end that ends nothing is one of theirs, however we look for it."""
    touched = lab.root / "touched-too"
    lab.write_conf(f"A=1\n{end}\ntouch {touched}\n{lab.enable('good')}")
    outcome = lab.run("stack")
    token = end.split(maxsplit=1)[0]
    assert_refused(outcome, lab, f"{lab.conf}:6: syntax error near unexpected token `{token}'")
    assert not touched.exists()


def test_an_unfinished_quote_names_where_it_began(lab: Lab) -> None:
    """An error that bash only finds at the end of the file still has a line of local.conf."""
    lab.write_conf("A='no end\n")
    assert_refused(lab.run("stack"), lab, f"{lab.conf}:5: unexpected EOF while looking for")


@pytest.mark.parametrize(
    ("lines", "place", "said"),
    [
        ("enable_plugin good /a\nenable_plugin good /b", 6, "enabled twice, first in line 5"),
        ("X=1\nenable_plugin good", 6, "plugin 'good': has no URL"),
        ("enable_plugin", 5, "has no name"),
        ("enable_plugin '' /x", 5, "has no name"),
        ("enable_plugin a/b /x", 5, "'a/b': the name would not be one directory"),
        ("enable_plugin .. /x", 5, "'..': the name would not be one directory"),
        ("enable_plugin . /x", 5, "'.': the name would not be one directory"),
        ("enable_plugin ../../etc /x", 5, "the name would not be one directory"),
        ("enable_plugin 'a b' /x", 5, "'a b': the name would not be one directory"),
        ("enable_plugin -rf /x", 5, "'-rf': the name would not be one directory"),
        ("enable_plugin a,b /x", 5, "'a,b': the name would not be one directory"),
        ("enable_plugin '*' /x", 5, "'*': the name would not be one directory"),
        ("enable_plugin $'a\\nb' /x", 5, "the name would not be one directory"),
        ("enable_plugin 'a[$(touch pwned)]' /x", 5, "the name would not be one directory"),
        ("enable_plugin good --upload-pack=x", 5, "'--upload-pack=x' would be an option of git"),
        ("enable_plugin good /x --all", 5, "'--all' would be an option of git"),
        ("enable_plugin good 'ext::sh -c touch% pwned'", 5, "protocol 'ext' is not allowed"),
        ("enable_plugin good ftp://example.org/x", 5, "protocol 'ftp' is not allowed"),
        ("enable_plugin good fd::17/x", 5, "protocol 'fd' is not allowed"),
        ("enable_plugin good /x 'a..b'", 5, "'a..b' can't be a ref"),
        ("enable_plugin good /x 'a b'", 5, "'a b' can't be a ref"),
        ("exit 3", 5, "localrc ended the shell with status 3"),
        ("X=1\nset -e\nfalse", 7, "`false`"),
        ("die $LINENO 'not like this'", 5, "not like this"),
    ],
)
def test_a_line_that_cannot_be_used(lab: Lab, lines: str, place: int, said: str) -> None:
    """The message names the line of local.conf and the plugin; the good plugin isn't run either."""
    lab.write_conf(f"{lines}\n{lab.enable('good') if 'good' not in lines else ''}")
    assert_refused(lab.run("stack"), lab, f"{lab.conf}:{place}: ", said)
    assert not list(lab.root.rglob("pwned"))


@pytest.mark.parametrize(
    ("line", "said"),
    [("kill -9 $$", "killed by SIGKILL"), ("exec true", "status 0"), ("set -u; echo $x", "status")],
)
def test_a_localrc_that_ends_the_driver(lab: Lab, line: str, said: str) -> None:
    """However localrc ends the shell, that is what the message says."""
    lab.write_conf(line)
    assert_refused(lab.run("stack"), lab, str(lab.conf), said)


def test_several_bad_lines_are_told_at_once(lab: Lab) -> None:
    """Each unusable enable_plugin line has its message."""
    lab.write_conf("enable_plugin one -x\nenable_plugin two ext::y\nenable_plugin three /z 'a b'")
    assert_refused(
        lab.run("stack"), lab, ":5: plugin 'one'", ":6: plugin 'two'", ":7: plugin 'three'"
    )


def test_a_failing_command_is_a_warning(lab: Lab, tmp_path: Path) -> None:
    """localrc goes on after a command that fails, as in DevStack; line and command are told."""
    lab.write_conf(f"X=1\ncat /does/not/exist\nY=$(exit 3)\n{lab.enable('good')}")
    outcome = lab.run("stack", lab.conf, "--dest", tmp_path)
    assert outcome.code == 0
    found = [(w.path, w.line, w.message) for w in outcome.of(Warned)]
    assert [(path, line) for path, line, _ in found] == [(str(lab.conf), 6), (str(lab.conf), 7)]
    assert "`cat /does/not/exist` failed with status 1" in found[0][2]
    assert "`Y=$(exit 3)` failed with status 3" in found[1][2]
    assert f"{lab.conf}:6: `cat /does/not/exist` failed" in outcome.stderr
    assert outcome.statuses() == {"good": "ok"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--phase", "nonsense"], "stack has no such phase"),
        (["--phase", "install", "--from-phase", "extra"], "can't go with"),
        (["--from-phase", "extra", "--until-phase", "install"], "comes before"),
        (["--jobs", "0"], "--jobs"),
        (["--step-timeout", "-1"], "--step-timeout"),
        (["--step-timeout", "nan"], "--step-timeout"),
        (["--step-timeout", "inf"], "--step-timeout"),
        (["--stall", "nan"], "--stall"),
    ],
)
def test_options_that_mean_nothing(lab: Lab, options: list[str], said: str) -> None:
    """An option that can't be used is named, and no run begins."""
    lab.write_conf(lab.enable("good"))
    outcome = lab.run("stack", lab.conf, *options)
    assert outcome.code == 2
    assert said in outcome.stderr
    assert outcome.no_traceback
    assert not outcome.directory.exists()
