"""What plugins will clone later, one by one, in their install phase: fetched before, all at once.

After `settings`, DevStack's GITREPO, GITDIR and GITBRANCH name the repositories of libraries and
services. `git_clone_by_name` and `git_clone` find a checkout there and leave it as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from asyncstack.checkouts.values import FetchRequest
from asyncstack.git.refs import check_ref
from asyncstack.git.urls import check_url

__all__ = ["from_git", "prefetch_requests"]

#: GITBRANCH's default in `git_clone_by_name`.
_DEFAULT_REF = "master"


def from_git(name: str, libraries: str) -> bool:
    """Say whether DevStack would take a library from git: LIBS_FROM_GIT names it, or is ALL."""
    return libraries.strip() == "ALL" or name in {part.strip() for part in libraries.split(",")}


def prefetch_requests(
    repositories: Mapping[str, str],
    directories: Mapping[str, str],
    branches: Mapping[str, str],
    *,
    libraries: str = "",
    also: Collection[str] = (),
    fetched: Sequence[FetchRequest] = (),
) -> list[FetchRequest]:
    """Return what to fetch of GITREPO, GITDIR and GITBRANCH, in the order of GITREPO.

    `libraries` is LIBS_FROM_GIT; `also` are names that plugins clone by a rule of their own. What
    has no usable URL or directory is left to the plugin, which knows what it meant; so is what is
    `fetched` already.
    """
    taken = {request.directory for request in fetched}
    requests = []
    for name, url in repositories.items():
        directory = directories.get(name, "")
        ref = branches.get(name) or _DEFAULT_REF
        wanted = name in also or from_git(name, libraries)
        usable = directory.startswith("/") and not check_url(url) and not check_ref(ref)
        if wanted and usable and directory not in taken:
            taken.add(directory)
            requests.append(FetchRequest(name, url, ref, directory))
    return requests
