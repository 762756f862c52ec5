"""Step logs: every byte, in order, in few descriptors."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from anyio import lowlevel

from asyncstack.errors import RunDirectoryError
from asyncstack.journal import StepLogs

pytestmark = pytest.mark.anyio


async def test_a_file_comes_into_being_with_its_first_byte(tmp_path: Path) -> None:
    logs = StepLogs(tmp_path)
    logs.write("logs/n/a.log", b"")
    logs.write("logs/n/b.log", b"\xff\x00b")
    await logs.flush()
    assert not (tmp_path / "logs/n/a.log").exists()
    assert (tmp_path / "logs/n/b.log").read_bytes() == b"\xff\x00b"
    assert (tmp_path / "logs/n/b.log").stat().st_mode & 0o777 == 0o600


async def test_nothing_is_written_before_a_flush(tmp_path: Path) -> None:
    logs = StepLogs(tmp_path)
    logs.write("a.log", b"123")
    assert logs.pending_bytes == 3
    assert not (tmp_path / "a.log").exists()
    await logs.flush()
    assert logs.pending_bytes == 0


async def test_parts_keep_their_order_when_many_flush_at_once(tmp_path: Path) -> None:
    logs = StepLogs(tmp_path)

    async def produce(name: str) -> None:
        for number in range(50):
            logs.write(f"{name}.log", b"%d\n" % number)
            await lowlevel.checkpoint()
            await logs.flush()

    async with anyio.create_task_group() as tasks:
        for name in "abcd":
            tasks.start_soon(produce, name)
    expected = b"".join(b"%d\n" % number for number in range(50))
    assert [(tmp_path / f"{name}.log").read_bytes() for name in "abcd"] == [expected] * 4


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """Room for 50 more open files, so that one a step would not do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 50, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def count_logs(root: Path) -> int:
    return sum(1 for _ in root.rglob("*.log"))


async def test_a_thousand_steps_need_few_descriptors(tmp_path: Path, few_descriptors: None) -> None:
    logs = StepLogs(tmp_path)
    for number in range(1000):
        logs.write(f"logs/{number % 7}/{number}.log", b"x")
    await logs.flush()
    assert count_logs(tmp_path) == 1000


async def test_a_full_disk_names_the_log(tmp_path: Path) -> None:
    (tmp_path / "a.log").symlink_to("/dev/full")
    logs = StepLogs(tmp_path)
    logs.write("a.log", b"x")
    with pytest.raises(RunDirectoryError, match=r"a\.log.*No space left"):
        await logs.flush()
