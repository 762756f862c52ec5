"""What is said about a checkout besides whether it is there, and the way out of each failure."""

from __future__ import annotations

from pathlib import Path

from asyncstack.fetcher.values import FetchWarning
from asyncstack.git.failures import FailureClass

__all__ = ["about_contents", "hint_for", "uses_pbr"]

_F = FailureClass
_HINTS = {
    _F.DNS: "check the host name in the URL, and this machine's name servers",
    _F.REFUSED: "check that the server is up and that a proxy or firewall lets you through",
    _F.AUTHENTICATION: "git never prompts here: set up a credential helper or an ssh agent",
    _F.NOT_FOUND: "check the URL of its enable_plugin line",
    _F.REF_NOT_FOUND: "check the ref of its enable_plugin line",
    _F.DISK_FULL: "free some space and run it again",
    _F.PERMISSION: "make DEST writable for this user, or set another DEST",
    _F.TLS: "the server's certificate is not trusted: see git's http.sslCAInfo",
    _F.STALL: "the server accepts connections and sends nothing; --mirror names another source",
    _F.TIMEOUT: "raise GIT_TIMEOUT, or set GIT_DEPTH to fetch less",
    _F.THROTTLED: "the server limits how often it may be asked: lower --jobs, or wait",
    _F.OFFLINE: "unset OFFLINE once, so that it can be cloned",
    _F.LOCAL_CHANGES: "commit and push it, or let --force save it to a ref and go on",
    _F.GIT_MISSING: "install git",
}


def hint_for(failure: FailureClass, *, pinned: bool = False) -> str:
    """Return the way out of a class of failures; '' if git's own words must do."""
    if pinned and failure is _F.REF_NOT_FOUND:
        return "the lock file's commit can't be had any more: --update takes what the ref is now"
    return _HINTS.get(failure, "")


def about_contents(directory: Path, *, fresh: bool) -> list[FetchWarning]:
    """Look into a checkout: a plugin without its folder, submodules and LFS files that stay away."""
    warnings = []
    if not (directory / "devstack").is_dir():
        message = f"{directory} has no devstack/ folder: a plugin with nothing to run"
        warnings.append(FetchWarning("no-devstack-folder", message))
    if fresh and (directory / ".gitmodules").is_file():
        message = f"{directory} has submodules; they are not fetched, as DevStack doesn't either"
        warnings.append(FetchWarning("submodules", message))
    if fresh and (directory / ".git" / "shallow").exists() and uses_pbr(directory):
        message = (
            f"{directory} is a shallow clone of a project that takes its version from git's tags "
            "(pbr): its version will be wrong, and installing it may fail; unset GIT_DEPTH"
        )
        warnings.append(FetchWarning("shallow-pbr", message))
    if fresh and _uses_lfs(directory):
        message = f"{directory} keeps files in Git LFS; only their pointers are checked out"
        warnings.append(FetchWarning("lfs-pointers", message))
    return warnings


def uses_pbr(directory: Path) -> bool:
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
