"""Run directories: made once, private, and found again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.errors import RunDirectoryError
from asyncstack.journal import RunDirectory, list_runs, new_run_id, runs_home
from asyncstack.model import Mode, PhaseKey, Status
from tests.journal.test_record import record

INSTALL = PhaseKey(Mode.STACK, "install")


def started(run_id: str) -> RunDirectory:
    run = RunDirectory.create(run_id=run_id)
    record(run_id).write(run.run_json)
    return run


def test_ids_are_dates_and_times() -> None:
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", new_run_id())


def test_ids_sort_by_time_within_a_second_as_well() -> None:
    ids = [new_run_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert len(set(ids)) > 1


def test_runs_live_in_the_state_directory(state_home: Path) -> None:
    assert runs_home() == state_home / "asyncstack" / "runs"


def test_a_relative_state_directory_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("HOME", "/home/stack")
    assert runs_home() == Path("/home/stack/.local/state/asyncstack/runs")


def test_a_run_directory_is_private(run: RunDirectory) -> None:
    assert run.path.stat().st_mode & 0o777 == 0o700


def test_two_runs_never_share_a_directory(run: RunDirectory) -> None:
    with pytest.raises(RunDirectoryError, match="exists already"):
        RunDirectory.create(run_id=run.run_id)


def test_an_explicit_directory_may_exist_but_must_be_empty(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    run = RunDirectory.create(explicit=tmp_path / "mine")
    assert run.path == tmp_path / "mine"
    with pytest.raises(RunDirectoryError, match="not empty"):
        RunDirectory.create(explicit=tmp_path / "mine")


def test_a_directory_that_can_not_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError) as caught:
        RunDirectory.create(parent=tmp_path / "file")
    assert str(tmp_path / "file") in str(caught.value)
    assert "--run-dir" in caught.value.hint


def test_a_step_has_its_own_log(run: RunDirectory) -> None:
    assert run.log("n1", 4, INSTALL, "ironic") == "logs/n1/04-stack-install/ironic.log"


@given(st.text(min_size=1, max_size=12), st.text(min_size=1, max_size=12))
def test_no_name_leads_out_of_the_logs(node: str, plugin: str) -> None:
    log = Path(RunDirectory(Path("/r"), "r").log(node, 0, INSTALL, plugin))
    assert len(log.parts) == 4
    assert not {".", ".."} & set(log.parts)


def test_the_newest_run_is_found_by_default() -> None:
    started("20260101-000000-aaaa")
    newest = started("20260102-000000-aaaa")
    assert RunDirectory.find() == newest


@pytest.mark.parametrize("run", ["20260101-000000-aaaa", "20260101", "20260101-000000-a"])
def test_a_run_is_found_by_its_id_or_the_beginning_of_it(run: str) -> None:
    older = started("20260101-000000-aaaa")
    started("20260102-000000-aaaa")
    assert RunDirectory.find(run) == older


def test_a_run_is_found_by_its_path_and_keeps_its_id(tmp_path: Path) -> None:
    run = RunDirectory.create(explicit=tmp_path / "elsewhere", run_id="id")
    record("id").write(run.run_json)
    assert RunDirectory.find(str(run.path)) == run


@pytest.mark.parametrize("run", ["20", "nothing", "/nowhere", None])
def test_what_is_not_one_run_is_an_error_with_a_way_out(run: str | None) -> None:
    if run is not None:
        started("20260101-000000-aaaa")
        started("20260102-000000-aaaa")
    with pytest.raises(RunDirectoryError) as caught:
        RunDirectory.find(run)
    assert caught.value.hint


def test_runs_are_listed_newest_first_and_a_broken_one_says_why() -> None:
    started("20260101-000000-aaaa")
    broken = started("20260102-000000-aaaa")
    broken.run_json.write_text("{")
    started("20260103-000000-aaaa")
    runs = list_runs()
    assert [run.directory.run_id[:8] for run in runs] == ["20260103", "20260102", "20260101"]
    assert [run.record.status if run.record else None for run in runs] == [
        Status.RUNNING,
        None,
        Status.RUNNING,
    ]
    assert runs[1].problem


def test_no_runs_are_an_empty_list() -> None:
    assert list_runs() == []
