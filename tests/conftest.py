"""Policy for all tests: nobody's own files are seen or written, and CI skips nothing by accident."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

# A busy machine is no failure: hypothesis would take 200 ms for one example as such.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Under nohup all that the tests start would ignore a closed terminal, and so would the plugins.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

_OWN = ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")


@pytest.fixture
def anyio_backend() -> str:
    """asyncssh and aiofiles are asyncio libraries, and so are we."""
    return "asyncio"


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of each test's own, and no configuration of git but what the test makes."""
    home = tmp_path_factory.mktemp("home")
    for name in _OWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("GIT_CONFIG_GLOBAL", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "_ASYNCSTACK_COMPLETE"):
        monkeypatch.delenv(name, raising=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI, where everything is meant to be installed, a program that is missing is a failure."""
    report = yield
    if os.environ.get("CI") and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if "not installed" in reason:
            report.outcome = "failed"
            report.longrepr = f"CI has to install it: {reason}"
    return report
