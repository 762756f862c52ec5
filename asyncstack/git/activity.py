"""Is a process still at work? Asked of the kernel, so that it holds for every protocol.

git says nothing on stderr while a server thinks, while deltas are resolved without a terminal, or
while a connection is dead. The first two move bytes or burn CPU somewhere in git's process tree,
the last does neither.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["activity"]

_PROC = Path("/proc")


def activity(pid: int) -> int:
    """Return a number that grows while a process or a descendant moves bytes or uses CPU.

    It is the sum of bytes through read and write calls and of CPU ticks; 0 where there is no /proc.
    A change in either direction is a sign of life: a child that ends takes its part along.
    """
    total, todo = 0, [pid]
    while todo:
        process = _PROC / str(todo.pop())
        total += _bytes_moved(process) + _cpu_ticks(process)
        todo += _children(process)
    return total


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:  # it ended, or belongs to somebody else
        return ""


def _bytes_moved(process: Path) -> int:
    fields = dict(line.split(": ", 1) for line in _read(process / "io").splitlines())
    return int(fields.get("rchar", 0)) + int(fields.get("wchar", 0))


def _cpu_ticks(process: Path) -> int:
    # The command's name is in parentheses and may hold anything; what follows is fixed.
    fields = _read(process / "stat").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]) if len(fields) > 12 else 0  # noqa: PLR2004


def _children(process: Path) -> list[int]:
    found = _read(process / "task" / process.name / "children")
    return [int(child) for child in found.split()]
