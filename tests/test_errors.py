"""Errors: subject, problem, way out; and the exit code that goes with each family."""

from __future__ import annotations

import pytest

from asyncstack import errors
from asyncstack.errors import (
    AsyncstackError,
    ConfigError,
    ConnectError,
    DependencyCycleError,
    DriverProtocolError,
    FetchError,
    GitError,
    InternalError,
    LocalConfError,
    PluginError,
    RunDirectoryError,
    TransportError,
)


def test_every_error_is_exported_and_of_one_family() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert defined == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), AsyncstackError) for name in defined)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ConfigError, 2),
        (RunDirectoryError, 2),
        (PluginError, 2),
        (FetchError, 1),
        (TransportError, 5),
        (DriverProtocolError, 70),
        (InternalError, 70),
    ],
)
def test_exit_codes_tell_whose_fault_it_is(kind: type[AsyncstackError], code: int) -> None:
    assert kind.exit_code == code


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            LocalConfError(
                "no [[local|localrc]] section", path="local.conf", line=3, hint="add it"
            ),
            "local.conf:3: no [[local|localrc]] section\n  add it",
        ),
        (LocalConfError("missing", path="local.conf"), "local.conf: missing"),
        (LocalConfError("missing"), "missing"),
        (PluginError("p", "no URL", path="c", line=7), "c:7: plugin 'p': no URL"),
        (GitError("p", "https://h/p", "gone"), "plugin 'p' (https://h/p): gone"),
        (ConnectError("n1", "refused", hint="start sshd"), "node n1: refused\n  start sshd"),
        (
            DependencyCycleError(("a", "b")),
            "plugin 'a': requires itself: a → b → a\n  remove one plugin_requires line of the cycle",
        ),
    ],
)
def test_a_message_is_subject_problem_way_out(error: AsyncstackError, text: str) -> None:
    assert str(error) == text


def test_an_error_keeps_its_subject() -> None:
    error = DependencyCycleError(("a", "b"))
    assert (error.plugin, error.cycle) == ("a", ("a", "b"))
