"""What `plan --deep` reads out of a plugin's text."""

from __future__ import annotations

import pytest

from asyncstack.runtime.corecalls import CoreCall, core_calls, core_functions

TABLE = {"start_nova": "lib/nova", "recreate_database": "lib/database"}


def calls(text: str, **others: str) -> list[tuple[str, int]]:
    scripts = {
        "demo": {"/d/plugin.sh": text},
        **{name: {f"/{name}": other} for name, other in others.items()},
    }
    return [(call.function, call.line) for call in core_calls(scripts, TABLE)]


@pytest.mark.parametrize(
    "line",
    [
        "start_nova",
        "    start_nova now",
        "true && start_nova",
        "false || start_nova; true",
        "if start_nova; then",
        "! start_nova",
        "x=$(start_nova)",
        "x=`start_nova`",
        "( start_nova )",
        "cat x | start_nova",
        "if true; then start_nova; fi",
        "while ! start_nova; do :; done",
        "go() { start_nova; }",
        "function go { start_nova now; }",
        "mysql|postgresql) start_nova ;;",
        '("a b") start_nova ;;',
    ],
)
def test_a_name_where_bash_looks_for_a_command_is_a_call(line: str) -> None:
    assert calls(line) == [("start_nova", 1)]


@pytest.mark.parametrize(
    "line",
    [
        "# start_nova",
        "echo ok # start_nova",
        "echo start_nova",
        "START=start_nova",
        "start_nova_now",
        "restart_nova",
        "x=$start_nova",
        "x=(a b) start_nova=1",
        "echo $(true) start_nova",
    ],
)
def test_a_name_elsewhere_is_none(line: str) -> None:
    assert calls(line) == []


@pytest.mark.parametrize(
    "definition", ["start_nova() { :; }", "function start_nova {", "function start_nova() {"]
)
def test_what_a_plugin_defines_itself_is_its_own(definition: str) -> None:
    assert calls(f"{definition}\n:\n}}\nstart_nova\nrecreate_database x") == [
        ("recreate_database", 5)
    ]


def test_what_another_plugin_defines_is_there_for_all() -> None:
    assert calls("start_nova", other="start_nova() { :; }") == []


def test_a_function_is_told_once_a_file_at_its_first_call() -> None:
    assert calls(":\nstart_nova\nstart_nova") == [("start_nova", 2)]


def test_a_call_names_its_library_and_place() -> None:
    found = core_calls({"demo": {"/d/plugin.sh": "recreate_database demo"}}, TABLE)
    assert found == [CoreCall("demo", "recreate_database", "lib/database", "/d/plugin.sh", 1)]


def test_the_shipped_table_names_a_library_for_each_function() -> None:
    table = core_functions()
    assert table["recreate_database"] == "lib/database"
    assert all(name and library for name, library in table.items())
