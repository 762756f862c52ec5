"""The commands report, runs and logs, called as typer calls them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from asyncstack.cli.logs import logs
from asyncstack.cli.report import ReportFormat, report, runs
from asyncstack.errors import RunDirectoryError, SettingsError
from asyncstack.events import Event, RunFinished, RunStarted, encode
from asyncstack.journal import RecordedNode, RunDirectory, RunRecord
from asyncstack.model import Mode, PhaseKey, Status
from tests.helpers.journals import step

INSTALL = PhaseKey(Mode.STACK, "install")
LOG = "logs/n/00-stack-install/p.log"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")


def new_run(run_id: str, **fields: object) -> RunDirectory:
    run = RunDirectory.create(run_id=run_id)
    started = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    record = RunRecord(run_id=run_id, command="stack", started=started)
    for name, value in fields.items():
        record = msgspec.structs.replace(record, **{name: value})
    record.write(run.run_json)
    return run


def append(run: RunDirectory, *events: Event) -> None:
    with run.events.open("ab") as stream:
        stream.writelines(encode(event) + b"\n" for event in events)


def put_log(run: RunDirectory, log: str, data: bytes) -> None:
    (run.path / log).parent.mkdir(parents=True, exist_ok=True)
    with (run.path / log).open("ab") as stream:
        stream.write(data)


@pytest.fixture
def golden_run(data: Path) -> RunDirectory:
    run = new_run("20260101-000000-aaaa")
    shutil.copy(data / "events-v1.jsonl", run.events)
    return run


def test_report_prints_the_golden_table(
    golden_run: RunDirectory, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report()
    assert capsys.readouterr().out == (data / "report-100.txt").read_text()


def test_report_prints_json_and_csv(
    golden_run: RunDirectory, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    report(golden_run.run_id, ReportFormat.JSON)
    assert json.loads(capsysbinary.readouterr().out)["command"] == "stack"
    report(golden_run.run_id, ReportFormat.CSV)
    assert capsysbinary.readouterr().out.startswith(b"kind,node,mode,phase,plugin")


def test_the_fetches_alone_are_told_in_each_format(
    golden_run: RunDirectory,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    report(golden_run.run_id, fetch=True)
    table = capsysbinary.readouterr().out.decode().partition("plugin ")[2].splitlines()[1:]
    order = [line.split()[0] for line in table]
    report(golden_run.run_id, ReportFormat.JSON, fetch=True)
    told = json.loads(capsysbinary.readouterr().out)
    assert "steps" not in told
    assert [fetch["plugin"] for fetch in told["fetches"]] == order
    report(golden_run.run_id, ReportFormat.CSV, fetch=True)
    text = capsysbinary.readouterr().out.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["plugin"] for row in rows] == order
    stages = [round(fetch["stages"].get("receive", 0), 6) for fetch in told["fetches"]]
    assert [float(row["receive_s"] or 0) for row in rows] == stages


def test_a_run_without_fetches_has_no_times_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, for no table at all looks like a mistake."""
    append(new_run("20260102-000000-bbbb"), RunStarted(run_id="r", command="fetch", version="0"))
    report(None, output_format=ReportFormat.TABLE, fetch=True)
    assert capsys.readouterr() == ("", "run r fetched nothing\n")


def test_a_run_that_is_not_there_is_the_users_mistake() -> None:
    with pytest.raises(RunDirectoryError) as caught:
        report("no-such-run")
    assert caught.value.exit_code == 2


def test_runs_lists_the_newest_first_and_how_they_ended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    finished = dt.datetime(2026, 1, 1, 0, 1, 5, tzinfo=dt.UTC)
    nodes = (RecordedNode(name="compute1"), RecordedNode(name="compute2"))
    new_run("20260101-000000-aaaa", status=Status.OK, finished=finished, nodes=nodes)
    new_run("20260102-000000-aaaa")
    new_run("20260103-000000-aaaa").run_json.write_text("{")
    runs()
    heading, broken, killed, good = capsys.readouterr().out.splitlines()
    assert heading.split()[0] == "run"
    assert "20260103" in broken
    assert "unreadable" in broken
    assert "lost" in killed  # it says that it runs, but nobody writes its journal
    assert good.split()[3:6] == ["stack", "ok", "1:05"]
    assert "compute[1-2]" in good


def test_a_long_path_is_cut_in_the_middle(capsys: pytest.CaptureFixture[str]) -> None:
    new_run("20260101-000000-aaaa", local_conf="/home/" + "x" * 200 + "/local.conf")
    runs()
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= 100
    assert lines[1].endswith("local.conf")


def test_runs_says_how_to_start_one_where_there_is_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "asyncstack stack" in captured.err


def test_logs_prints_one_step_as_it_is(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    run = new_run("20260101-000000-aaaa")
    append(run, *step("n", INSTALL, "p", 1.0))
    put_log(run, LOG, b"\xff\x00\n")
    logs()
    assert capsysbinary.readouterr().out == b"\xff\x00\n"


def test_logs_of_nothing_that_ran_says_what_could_be_chosen() -> None:
    run = new_run("20260101-000000-aaaa")
    append(run, *step("n", INSTALL, "p", 1.0))
    with pytest.raises(SettingsError) as caught:
        logs(plugin="q")
    assert "plugins: p" in caught.value.hint


def test_following_a_run_that_is_over_prints_it_and_ends(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    run = new_run("20260101-000000-aaaa")
    append(run, *step("n", INSTALL, "p", 1.0))  # no end: its controller was killed
    put_log(run, LOG, b"one\n")
    logs(follow=True)
    assert capsysbinary.readouterr().out == b"==> install p on n <==\none\n"


WRITER = """
import fcntl, sys
stream = open(sys.argv[1], "ab")
fcntl.flock(stream, fcntl.LOCK_EX)
print("ready", flush=True)
sys.stdin.read()
"""


def test_following_ends_with_the_run(tmp_path: Path) -> None:
    """The follower is a process of its own; what it prints tells when to go on."""
    run = new_run("20260101-000000-aaaa")
    started, finished = step("n", INSTALL, "p", 1.0)
    append(run, started)
    holder = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(run.events)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    code = "from asyncstack.cli.logs import logs; logs(follow=True)"
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        follower = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ}
        )
        watchdog = threading.Timer(60, follower.kill)
        watchdog.start()
        with follower:
            assert follower.stdout is not None
            put_log(run, LOG, b"one\n")
            assert follower.stdout.readline() == b"==> install p on n <==\n"
            assert follower.stdout.readline() == b"one\n"
            put_log(run, LOG, b"two\n")
            assert follower.stdout.readline() == b"two\n"
            put_log(run, LOG, b"three\n")
            append(run, finished, RunFinished(status=Status.OK, exit_code=0, duration_s=1.0))
            assert follower.stdout.read() == b"three\n"
            assert follower.wait() == 0
        watchdog.cancel()
        holder.communicate()


@pytest.mark.parametrize("module", ["rich", "structlog", "anyio", "asyncstack.journal"])
def test_the_commands_cost_nothing_before_they_run(module: str) -> None:
    code = f"import sys, asyncstack.cli.report; print({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
