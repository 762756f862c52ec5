"""Updating (--update, RECLONE): to where the ref is now, and never over somebody's work."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from asyncstack.events import Warned
from asyncstack.git.failures import FailureClass
from asyncstack.git.layout import MARKER
from asyncstack.model import FetchStatus
from tests.helpers.fetching import Bench
from tests.helpers.gitserver import SmartHttp, commit_files, git, rev

pytestmark = pytest.mark.anyio


@pytest.fixture
def repository(served: Path) -> Path:
    return served / "plugin.git"


async def checkout_of(
    bench: Bench, server: SmartHttp, ref: str = "master", **options: object
) -> Path:
    result = await bench.one(server.url("plugin.git"), ref, **options)
    assert result.status.good, result.message
    bench.events.clear()
    server.requests.clear()
    server.connections = 0
    return bench.dest / "plugin"


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
@pytest.mark.parametrize("ref", ["master", "1.0.0", "stable/2025.1"])
async def test_nothing_new_costs_one_question(
    ref: str, cached: bool, server: SmartHttp, bench: Bench
) -> None:
    """One ls-remote, one connection, no fetch."""
    options = {} if cached else {"cache_directory": ""}
    checkout = await checkout_of(bench, server, ref, **options)
    before = rev(checkout)
    result = await bench.one(server.url("plugin.git"), ref, update=True, **options)
    assert (result.status, result.commit) == (FetchStatus.PRESENT, before)
    assert [request.split()[0] for request in server.requests] == ["POST"]


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
async def test_moves_to_the_new_commit(
    cached: bool, repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """A clean checkout follows its ref; what the plugin left lying about stays."""
    options = {} if cached else {"cache_directory": ""}
    checkout = await checkout_of(bench, server, **options)
    (checkout / "untracked").write_text("mine")
    commit = commit_files(repository, {"new": "1"})
    result = await bench.one(server.url("plugin.git"), update=True, **options)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)
    assert rev(checkout) == rev(checkout, "origin/master") == commit
    assert git("-C", checkout, "status", "--porcelain") == "?? untracked\n"
    assert not (checkout / ".git" / MARKER).exists()


async def test_follows_a_force_push(repository: Path, server: SmartHttp, bench: Bench) -> None:
    """What was fetched is nobody's local work, even if the server dropped it."""
    await checkout_of(bench, server)
    commit = commit_files(repository, {"rewritten": "1"}, parent="refs/heads/stable/2025.1^0")
    result = await bench.one(server.url("plugin.git"), update=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")], ids="→".join)
async def test_a_branch_and_a_folder_of_branches_change_places(
    names: tuple[str, str], cached: bool, repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """git keeps branches that are gone, but these stand in the way."""
    options = {} if cached else {"cache_directory": ""}
    before, after = names
    git("-C", repository, "branch", before, "master")
    checkout = await checkout_of(bench, server, **options)
    git("-C", repository, "branch", "-D", before)
    git("-C", repository, "branch", after, "master")
    commit = commit_files(repository, {"new": "1"})
    result = await bench.one(server.url("plugin.git"), update=True, **options)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, commit, "")
    assert rev(checkout, f"origin/{after}") == rev(repository, after)
    assert rev(checkout, "origin/master") == commit


async def test_follows_a_moved_tag(repository: Path, server: SmartHttp, bench: Bench) -> None:
    """The tag that was asked for moves with the server's."""
    await checkout_of(bench, server, "1.0.0")
    git("-C", repository, "tag", "-f", "-a", "-m", "again", "1.0.0", "master")
    result = await bench.one(server.url("plugin.git"), "1.0.0", update=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, rev(repository, "master"))


async def test_other_ref(repository: Path, server: SmartHttp, bench: Bench) -> None:
    """A review's next patch set, and back to a branch: neither counts as local work."""
    await checkout_of(bench, server, "refs/changes/12/3412/5")
    lost = commit_files(repository, {"review": "6"}, branch="tmp", parent="refs/heads/master^0")
    git("-C", repository, "update-ref", "refs/changes/12/3412/6", lost)
    git("-C", repository, "branch", "-D", "tmp")
    url = server.url("plugin.git")
    result = await bench.one(url, "refs/changes/12/3412/6", update=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, lost)
    result = await bench.one(url, "master", update=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, rev(repository, "master"))


async def test_devstacks_own_checkout_of_a_review(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """DevStack leaves a review's commit in FETCH_HEAD only; it isn't local work either."""
    checkout, url = bench.dest / "plugin", server.url("plugin.git")
    lost = commit_files(repository, {"r": "1"}, branch="tmp", parent="refs/heads/master^0")
    git("-C", repository, "update-ref", "refs/changes/77/1077/1", lost)
    git("-C", repository, "branch", "-D", "tmp")
    git("clone", "-q", "--no-checkout", url, checkout)
    git("-C", checkout, "fetch", "-q", "origin", "refs/changes/77/1077/1")
    git("-C", checkout, "checkout", "-q", "FETCH_HEAD")
    result = await bench.one(url, "master", update=True)
    assert (result.status, result.message) == (FetchStatus.UPDATED, "")


async def test_its_own_branch_moves_along(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """On a branch of the ref's name, the branch is fast-forwarded."""
    checkout = await checkout_of(bench, server)
    git("-C", checkout, "checkout", "-q", "-b", "master")
    commit = commit_files(repository, {"new": "1"})
    result = await bench.one(server.url("plugin.git"), update=True)
    assert result.commit == commit
    assert git("-C", checkout, "rev-parse", "--abbrev-ref", "HEAD") == "master\n"


async def test_origin_becomes_the_url_as_written(
    served: Path, repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """RECLONE sets origin."""
    checkout = await checkout_of(bench, server)
    await anyio.Path(repository).rename(served / "renamed.git")
    result = await bench.one(server.url("renamed.git"), update=True)
    assert result.status is FetchStatus.PRESENT
    assert git("-C", checkout, "remote", "get-url", "origin").strip() == server.url("renamed.git")


def make_dirty(checkout: Path) -> str:
    (checkout / "README").write_text("changed")
    return "README"


def make_staged(checkout: Path) -> str:
    (checkout / "added file").write_text("new")
    git("-C", checkout, "add", "added file")
    return "added file"


def make_commit(checkout: Path) -> str:
    git("-C", checkout, "commit", "-q", "--allow-empty", "-m", "my own work")
    return "my own work"


def make_rebase(checkout: Path) -> str:
    git("-C", checkout, "checkout", "-q", "-b", "topic", "HEAD~1")
    (checkout / "README").write_text("conflict")
    git("-C", checkout, "commit", "-q", "-a", "-m", "topic")
    with pytest.raises(Exception, match="rebase"):
        git("-C", checkout, "rebase", "origin/master")
    return "rebase is unfinished"


def make_sequence(checkout: Path) -> str:
    git("-C", checkout, "checkout", "-q", "-b", "topic")
    for text in ("one", "two"):
        (checkout / "README").write_text(text)
        git("-C", checkout, "commit", "-q", "-a", "-m", text)
    git("-C", checkout, "checkout", "-q", "--detach", "origin/master~1")
    with pytest.raises(Exception, match="cherry-pick"):
        git("-C", checkout, "cherry-pick", "topic~2..topic")
    git("-C", checkout, "reset", "-q", "--hard")
    return "cherry-pick is unfinished"


WORK = [make_dirty, make_staged, make_commit, make_rebase, make_sequence]


@pytest.mark.parametrize("make", WORK)
async def test_local_work_is_an_error_that_names_it(
    make: object, repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """Nothing is touched, not even fetched."""
    assert callable(make)
    checkout = await checkout_of(bench, server)
    named = make(checkout)
    commit_files(repository, {"new": "1"})
    before = git("-C", checkout, "status") + git("-C", checkout, "for-each-ref") + rev(checkout)
    result = await bench.one(server.url("plugin.git"), update=True)
    assert result.failure is FailureClass.LOCAL_CHANGES
    assert named in result.message
    assert "--force" in result.hint
    after = git("-C", checkout, "status") + git("-C", checkout, "for-each-ref") + rev(checkout)
    assert after == before


async def test_unfinished_in_a_linked_work_tree(
    repository: Path, server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """What git keeps of it is elsewhere, and an error as well."""
    git("clone", "-q", repository, tmp_path / "main")
    checkout = bench.dest / "plugin"
    git("-C", tmp_path / "main", "worktree", "add", "-q", "--detach", checkout)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GIT_SEQUENCE_EDITOR", "sed -i 's/^pick/edit/'")
        git("-C", checkout, "rebase", "-q", "-i", "HEAD~2")
    before = rev(checkout)
    commit_files(repository, {"new": "1"})
    result = await bench.one(server.url("plugin.git"), update=True)
    assert result.failure is FailureClass.LOCAL_CHANGES
    assert "rebase is unfinished" in result.message
    assert rev(checkout) == before


@pytest.mark.parametrize("make", WORK)
async def test_force_saves_local_work_first(
    make: object, repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """--force goes on, and the warning names a ref that holds everything."""
    assert callable(make)
    checkout = await checkout_of(bench, server)
    make(checkout)
    (checkout / "untracked").write_text("mine, too")
    readme, head = (checkout / "README").read_text(), rev(checkout)
    commit = commit_files(repository, {"new": "1"})
    result = await bench.one(server.url("plugin.git"), update=True, force=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)
    (warning,) = (event for event in bench.of(Warned) if event.code == "local-work-saved")
    saved = warning.message.rpartition(" ")[2]
    assert git("-C", checkout, "show", f"{saved}:README") == readme
    assert git("-C", checkout, "show", f"{saved}:untracked") == "mine, too"
    assert rev(checkout, f"{saved}~1") == head
    assert "rebase" not in git("-C", checkout, "status")


async def test_what_was_saved_is_never_pruned(
    repository: Path, server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """fetch.prune in the user's configuration is about refs of the server's."""
    (tmp_path / "home" / ".gitconfig").write_text("[fetch]\n\tprune = true\n")
    checkout = await checkout_of(bench, server, "refs/changes/12/3412/5")
    make_dirty(checkout)
    await bench.one(server.url("plugin.git"), update=True, force=True)
    (warning,) = (event for event in bench.of(Warned) if event.code == "local-work-saved")
    saved = warning.message.rpartition(" ")[2]
    assert git("-C", checkout, "show", f"{saved}:README") == "changed"
    commit_files(repository, {"new": "1"})
    assert (await bench.one(server.url("plugin.git"), update=True)).status is FetchStatus.UPDATED
    assert git("-C", checkout, "show", f"{saved}:README") == "changed"


async def test_untracked_file_in_the_way(repository: Path, server: SmartHttp, bench: Bench) -> None:
    """git itself refuses to overwrite it; its words come through, nothing is half done."""
    checkout = await checkout_of(bench, server)
    (checkout / "new").write_text("mine")
    commit_files(repository, {"new": "theirs"})
    result = await bench.one(server.url("plugin.git"), update=True)
    assert result.failure is FailureClass.LOCAL_CHANGES
    assert "new" in result.message
    assert (checkout / "new").read_text() == "mine"
    assert not (checkout / ".git" / MARKER).exists()


async def test_force_saves_an_untracked_file_in_the_way(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """git checkout --force would not spare it."""
    checkout = await checkout_of(bench, server)
    (checkout / "new").write_text("mine")
    commit = commit_files(repository, {"new": "theirs"})
    result = await bench.one(server.url("plugin.git"), update=True, force=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)
    (warning,) = (event for event in bench.of(Warned) if event.code == "local-work-saved")
    saved = warning.message.rpartition(" ")[2]
    assert git("-C", checkout, "show", f"{saved}:new") == "mine"
    assert (checkout / "new").read_text() == "theirs"


@pytest.mark.parametrize("dirty", [False, True], ids=["", "dirty"])
async def test_ignored_file_in_the_way(
    dirty: bool, repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """git would overwrite it without a word; here it is an error, and saved under force."""
    commit_files(repository, {".gitignore": "*.local\n"})
    checkout = await checkout_of(bench, server)
    (checkout / "x.local").write_text("mine")
    (checkout / "y.local").write_text("in nobody's way")
    commit = commit_files(repository, {"x.local": "theirs"})
    result = await bench.one(server.url("plugin.git"), update=True)
    assert result.failure is FailureClass.LOCAL_CHANGES
    assert "x.local" in result.message
    assert (checkout / "x.local").read_text() == "mine"
    if dirty:
        make_dirty(checkout)
    result = await bench.one(server.url("plugin.git"), update=True, force=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)
    (warning,) = (event for event in bench.of(Warned) if event.code == "local-work-saved")
    saved = warning.message.rpartition(" ")[2]
    assert git("-C", checkout, "show", f"{saved}:x.local") == "mine"
    assert "y.local" not in git("-C", checkout, "ls-tree", "-r", saved)
    assert (checkout / "y.local").exists()


@pytest.mark.parametrize("name", ["new", "Timeout"])
async def test_untracked_folder_in_the_way(
    name: str, repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """Where a file is to be: nothing of it is lost, now and in the next run, whatever it is called."""
    checkout = await checkout_of(bench, server)
    (checkout / name).mkdir()
    (checkout / name / "file").write_text("mine")
    commit = commit_files(repository, {name: "theirs"})
    result = await bench.one(server.url("plugin.git"), update=True)
    assert result.failure is FailureClass.LOCAL_CHANGES
    assert not (checkout / ".git" / MARKER).exists()
    result = await bench.one(server.url("plugin.git"), update=True, force=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)
    (warning,) = (event for event in bench.of(Warned) if event.code == "local-work-saved")
    saved = warning.message.rpartition(" ")[2]
    assert git("-C", checkout, "show", f"{saved}:{name}/file") == "mine"


async def test_another_git_at_work(repository: Path, server: SmartHttp, bench: Bench) -> None:
    """Its lock is respected, also by the next run, and nothing looks like an interrupted update."""
    checkout = await checkout_of(bench, server)
    before = rev(checkout)
    lock = checkout / ".git" / "index.lock"
    lock.touch()
    commit_files(repository, {"new": "1"})
    result = await bench.one(server.url("plugin.git"), update=True)
    assert result.failure is FailureClass.BUSY
    assert "lock file" in result.hint
    assert (await bench.one(server.url("plugin.git"))).commit == before
    assert lock.exists()


async def test_what_was_saved_before_a_failure_is_told(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """Whoever forced it has to find it."""
    checkout = await checkout_of(bench, server)
    make_dirty(checkout)
    (checkout / ".git" / "index.lock").touch()
    commit_files(repository, {"new": "1"})
    result = await bench.one(server.url("plugin.git"), update=True, force=True)
    assert result.failure is FailureClass.BUSY
    saved = result.message.rpartition(" ")[2]
    assert git("-C", checkout, "show", f"{saved}:README") == "changed"


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
async def test_locks_of_refs_that_a_killed_git_left(
    cached: bool, repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """They are removed, as no git holds one for so long."""
    options = {} if cached else {"cache_directory": ""}
    checkout = await checkout_of(bench, server, **options)
    commit = commit_files(repository, {"new": "1"})
    commit_files(repository, {"new": "2"}, branch="stable/2025.1")
    for name in ("master", "stable/2025.1"):
        lock = checkout / ".git" / "refs" / "remotes" / "origin" / f"{name}.lock"
        lock.parent.mkdir(exist_ok=True)
        lock.touch()
        os.utime(lock, (0, 0))
    result = await bench.one(server.url("plugin.git"), update=True, **options)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, commit, "")


async def test_shallow_checkout_stays_shallow(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """Updating a GIT_DEPTH clone fetches the one commit."""
    checkout = await checkout_of(bench, server, depth=1)
    commit = commit_files(repository, {"new": "1"})
    result = await bench.one(server.url("plugin.git"), update=True, depth=1)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)
    assert git("-C", checkout, "rev-parse", "--is-shallow-repository") == "true\n"


async def interrupted(bench: Bench, server: SmartHttp, repository: Path) -> tuple[Path, str]:
    """A checkout as a kill leaves it: marker written, one of two files updated, locks lying about."""
    checkout = await checkout_of(bench, server)
    old = rev(checkout)
    commit = commit_files(repository, {"README": "new\n", "another": "new"})
    git("-C", checkout, "fetch", "-q", "origin")
    (checkout / ".git" / MARKER).write_text(f"{old} {commit}\n")
    (checkout / ".git" / "index.lock").write_bytes(b"")
    (checkout / "README").write_text("new\n\n")
    git("-C", checkout, "show", f"{commit}:README")
    (checkout / "README").write_text(git("-C", checkout, "show", f"{commit}:README"))
    return checkout, commit


async def test_interrupted_update_is_finished(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """The next run completes it, whether it updates or not."""
    checkout, commit = await interrupted(bench, server, repository)
    (checkout / "devstack" / "plugin.sh").write_text("edited since\n")
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, commit, "")
    assert "update-resumed" in [event.code for event in bench.of(Warned)]
    assert git("-C", checkout, "status", "--porcelain") == " M devstack/plugin.sh\n"
    assert (checkout / "another").exists()
    result = await bench.one(server.url("plugin.git"))
    assert result.status is FetchStatus.PRESENT


async def test_interrupted_update_spares_what_was_edited_since(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """A file that holds neither version is the user's."""
    checkout, _ = await interrupted(bench, server, repository)
    (checkout / "README").write_text("edited since")
    result = await bench.one(server.url("plugin.git"))
    assert result.failure is FailureClass.LOCAL_CHANGES
    assert "README" in result.message
    assert (checkout / "README").read_text() == "edited since"


async def test_force_saves_what_was_edited_after_an_interruption(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """Then the update goes over it."""
    checkout, commit = await interrupted(bench, server, repository)
    (checkout / "README").write_text("edited since")
    result = await bench.one(server.url("plugin.git"), force=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)
    (warning,) = (event for event in bench.of(Warned) if event.code == "local-work-saved")
    saved = warning.message.rpartition(" ")[2]
    assert git("-C", checkout, "show", f"{saved}:README") == "edited since"
    assert git("-C", checkout, "status", "--porcelain") == ""


async def test_force_saves_twice_in_a_second(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """Before the interrupted update is finished, and before the next: each has a ref of its own."""
    checkout, _ = await interrupted(bench, server, repository)
    (checkout / "README").write_text("edited since")
    (checkout / "devstack" / "plugin.sh").write_text("edited, too")
    commit = commit_files(repository, {"devstack/plugin.sh": "theirs"})
    result = await bench.one(server.url("plugin.git"), update=True, force=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)
    warnings = [event for event in bench.of(Warned) if event.code == "local-work-saved"]
    first, second = (warning.message.rpartition(" ")[2] for warning in warnings)
    assert git("-C", checkout, "show", f"{first}:README") == "edited since"
    assert git("-C", checkout, "show", f"{second}:devstack/plugin.sh") == "edited, too"


async def test_interrupted_update_spares_a_folder_made_since(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """Where a file is to be: what lies in it is named, and saved under force."""
    checkout, commit = await interrupted(bench, server, repository)
    (checkout / "another").mkdir()
    (checkout / "another" / "file").write_text("mine")
    result = await bench.one(server.url("plugin.git"))
    assert result.failure is FailureClass.LOCAL_CHANGES
    assert "another/file" in result.message
    result = await bench.one(server.url("plugin.git"), force=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)
    (warning,) = (event for event in bench.of(Warned) if event.code == "local-work-saved")
    saved = warning.message.rpartition(" ")[2]
    assert git("-C", checkout, "show", f"{saved}:another/file") == "mine"


async def test_interrupted_update_that_takes_a_submodule_away(
    repository: Path, server: SmartHttp, bench: Bench, tmp_path: Path
) -> None:
    """Its folder is no file to remove; what the user has put there stays."""
    work = tmp_path / "work"
    git("clone", "-q", repository, work)
    git("-C", work, "update-index", "--add", "--cacheinfo", f"160000,{rev(work)},sub")
    git("-C", work, "commit", "-q", "-m", "sub")
    git("-C", work, "push", "-q", "origin", "master")
    checkout = await checkout_of(bench, server)
    old = rev(checkout)
    git("-C", work, "rm", "-q", "--cached", "sub")
    git("-C", work, "commit", "-q", "-m", "no sub")
    git("-C", work, "push", "-q", "origin", "master")
    git("-C", checkout, "fetch", "-q", "origin")
    (checkout / ".git" / MARKER).write_text(f"{old} {rev(work)}\n")
    (checkout / "sub" / "file").write_text("mine")
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, rev(work), "")
    assert (checkout / "sub" / "file").read_text() == "mine"


async def test_interrupted_update_moves_no_other_branch(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """On a branch of the user's, as `git switch` makes it, only HEAD is brought to the commit."""
    checkout, commit = await interrupted(bench, server, repository)
    old = rev(checkout)
    git("-C", checkout, "branch", "topic")
    git("-C", checkout, "symbolic-ref", "HEAD", "refs/heads/topic")
    result = await bench.one(server.url("plugin.git"))
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, commit, "")
    assert (rev(checkout), rev(checkout, "topic")) == (commit, old)


async def test_interrupted_update_of_its_own_branch(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """On the branch that is being followed, that branch moves, as the update would have done."""
    checkout, commit = await interrupted(bench, server, repository)
    git("-C", checkout, "branch", "master")
    git("-C", checkout, "symbolic-ref", "HEAD", "refs/heads/master")
    await bench.one(server.url("plugin.git"))
    assert git("-C", checkout, "symbolic-ref", "HEAD") == "refs/heads/master\n"
    assert rev(checkout, "master") == commit


async def test_interrupted_update_that_the_user_took_over(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """HEAD is at neither commit: what is there is the user's, and stays."""
    checkout, _ = await interrupted(bench, server, repository)
    (checkout / ".git" / "index.lock").unlink()
    git("-C", checkout, "checkout", "-q", "--force", "--detach", "HEAD~1")
    mine = make_commit(checkout) and rev(checkout)
    assert (await bench.one(server.url("plugin.git"))).commit == mine
    assert not (checkout / ".git" / MARKER).exists()
    updated = await bench.one(server.url("plugin.git"), update=True)
    assert updated.failure is FailureClass.LOCAL_CHANGES
    assert rev(checkout) == mine


async def test_update_that_was_killed_before_it_began(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """A marker that is cut is no reason to fail: nothing had been written."""
    checkout = await checkout_of(bench, server)
    commit = commit_files(repository, {"new": "1"})
    (checkout / ".git" / MARKER).write_text("")
    result = await bench.one(server.url("plugin.git"), update=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)
    assert not (checkout / ".git" / MARKER).exists()


async def test_interrupted_update_of_a_locked_plugin(
    repository: Path, server: SmartHttp, bench: Bench
) -> None:
    """OFFLINE and locked: finished, then brought to the locked commit."""
    checkout, commit = await interrupted(bench, server, repository)
    locked = rev(repository, "master~2")
    request = bench.request(server.url("plugin.git"), commit=locked)
    (result,) = await bench.fetch(request, offline=True, update=True)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, locked, "")
    assert rev(checkout) == locked != commit
