"""run.json: all of it or none, and readable again."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from asyncstack.errors import RunDirectoryError
from asyncstack.journal import RecordedNode, RecordedPlugin, RunRecord
from asyncstack.model import Status

STARTED = dt.datetime(2026, 1, 1, 12, 0, 0, tzinfo=dt.UTC)


def record(run_id: str) -> RunRecord:
    return RunRecord(
        run_id=run_id,
        command="stack",
        started=STARTED,
        versions={"asyncstack": "0.1.0"},
        local_conf="/home/stack/local.conf",
        local_conf_digest="sha256:00",
        phases=("install",),
        nodes=(RecordedNode(name="n", facts={"bash": "5.2"}),),
        plugins=(RecordedPlugin(name="p", url="https://h/p", ref="master", commit="ab" * 20),),
    )


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record("r").write(tmp_path / "run.json")
    assert RunRecord.read(tmp_path / "run.json") == record("r")


def test_writing_again_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    record("r").write(tmp_path / "run.json")
    record("s").write(tmp_path / "run.json")
    assert RunRecord.read(tmp_path / "run.json").run_id == "s"
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_fields_of_a_later_version_are_ignored(tmp_path: Path) -> None:
    record("r").write(tmp_path / "run.json")
    text = (tmp_path / "run.json").read_text()
    (tmp_path / "run.json").write_text(text.replace("{", '{"weather": "fine",', 1))
    assert RunRecord.read(tmp_path / "run.json").status is Status.RUNNING


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run_id": 3}', "\xff"])
def test_a_broken_record_names_its_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(RunDirectoryError, match="run record") as caught:
        RunRecord.read(path)
    assert caught.value.path == str(path)


def test_a_record_that_can_not_be_written_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError) as caught:
        record("r").write(tmp_path / "missing" / "run.json")
    assert "--run-dir" in caught.value.hint
