"""Look into a checkout for what its user should know of."""

from __future__ import annotations

from pathlib import Path

__all__ = ["contents_of"]


def contents_of(directory: Path, *, fresh: bool) -> set[str]:
    """Name what is to be warned of (see `about_contents`); some of it only where it is `fresh`."""
    found = set()
    if not (directory / "devstack").is_dir():
        found.add("no-devstack-folder")
    if fresh and (directory / ".gitmodules").is_file():
        found.add("submodules")
    if fresh and (directory / ".git" / "shallow").exists() and _uses_pbr(directory):
        found.add("shallow-pbr")
    if fresh and _uses_lfs(directory):
        found.add("lfs-pointers")
    return found


def _uses_pbr(directory: Path) -> bool:
    """Say whether a project's version comes from pbr, hence from git's tags and history."""
    for name in ("pyproject.toml", "setup.py", "setup.cfg"):
        try:
            if b"pbr" in (directory / name).read_bytes():
                return True
        except OSError:
            continue
    return False


def _uses_lfs(directory: Path) -> bool:
    try:
        return b"filter=lfs" in (directory / ".gitattributes").read_bytes()
    except OSError:
        return False
