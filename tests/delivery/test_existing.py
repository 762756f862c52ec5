"""A checkout that is there: kept, or updated when asked, and nobody's work is lost."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest

from asyncstack.events import Warned
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus
from tests.helpers.delivering import Lab, tree_of
from tests.helpers.gitserver import commit_files, git, rev

pytestmark = pytest.mark.anyio
MARKER = "asyncstack-update"


async def delivered(lab: Lab, ref: str = "master") -> Path:
    await lab.one(ref)
    lab.events.clear()
    return lab.dest / "plugin"


def codes(lab: Lab) -> list[str]:
    return [warning.code for warning in lab.of(Warned)]


async def test_an_older_one_is_left_as_it_is(lab: Lab, origin: Path) -> None:
    """Without update nothing changes, and nothing is sent."""
    checkout = await delivered(lab)
    before = rev(checkout)
    commit_files(origin, {"new": "1"})
    lab.mirror(origin)
    result = await lab.one()
    assert (result.status, result.commit, result.received_bytes) == (FetchStatus.PRESENT, before, 0)
    assert codes(lab) == []


async def test_update_sends_the_difference(lab: Lab, origin: Path) -> None:
    """A thin bundle brings history, branches and new tags; what lies about untracked stays."""
    for number in range(30):
        commit_files(origin, {f"data/{number}": f"{number}\n" * 2000})
    lab.mirror(origin)
    checkout = await delivered(lab)
    size = (await lab.one()).received_bytes
    (checkout / "untracked").write_text("mine")
    commit = commit_files(origin, {"data/7": "7\n" * 2001})
    git("-C", origin, "tag", "2.0.0", commit)
    commit_files(origin, {"b": "1"}, branch="new/branch", parent="refs/heads/master^0")
    lab.mirror(origin)
    result = await lab.one(update=True)
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)
    assert size < result.received_bytes < 8 * 1024
    assert rev(checkout) == rev(checkout, "origin/master") == rev(checkout, "2.0.0") == commit
    assert rev(checkout, "origin/new/branch") == rev(origin, "new/branch")
    assert git("-C", checkout, "status", "--porcelain") == "?? untracked\n"
    assert git("-C", checkout, "fsck", "--no-dangling") == ""
    assert not (checkout / ".git" / MARKER).exists()
    assert tree_of(lab.dest) == ["plugin"]


async def test_a_commit_that_is_there_is_not_sent(lab: Lab, origin: Path) -> None:
    """Another branch of what the node has: refs and files move, no object travels."""
    checkout = await delivered(lab)
    result = await lab.one("stable/2025.1", update=True)
    assert result.status is FetchStatus.UPDATED
    assert result.received_bytes <= 4 * 1024
    assert rev(checkout) == rev(origin, "stable/2025.1")


async def test_follows_a_force_push_and_a_moved_tag(lab: Lab, origin: Path) -> None:
    """What was fetched is nobody's local work, even if the server dropped it."""
    checkout = await delivered(lab, "1.0.0")
    commit = commit_files(origin, {"rewritten": "1"}, parent=None)
    git("-C", origin, "tag", "-f", "-a", "-m", "again", "1.0.0", commit)
    lab.mirror(origin)
    assert (await lab.one("1.0.0", update=True)).status is FetchStatus.UPDATED
    assert rev(checkout) == rev(checkout, "1.0.0") == rev(checkout, "origin/master") == commit


async def test_a_branch_that_became_a_folder(lab: Lab, origin: Path) -> None:
    """origin's old branch goes if a new one needs its place; tags of the user's own stay."""
    checkout = await delivered(lab)
    git("-C", checkout, "tag", "mine")
    git("-C", checkout, "tag", "3.0")
    git("-C", origin, "branch", "-m", "stable/2025.1", "stable")
    git("-C", origin, "tag", "3.0", "stable")
    commit = commit_files(origin, {"x": "1"})
    own = rev(checkout, "3.0")
    lab.mirror(origin)
    assert (await lab.one(update=True)).commit == commit
    assert rev(checkout, "origin/stable") == rev(origin, "stable")
    assert (rev(checkout, "3.0"), rev(checkout, "mine")) == (own, own)


async def test_a_branch_of_the_refs_name_moves_along(lab: Lab, origin: Path) -> None:
    checkout = await delivered(lab)
    git("-C", checkout, "checkout", "-q", "-b", "master")
    commit = commit_files(origin, {"x": "1"})
    lab.mirror(origin)
    await lab.one(update=True)
    assert git("-C", checkout, "symbolic-ref", "HEAD") == "refs/heads/master\n"
    assert rev(checkout, "master") == commit


async def test_a_shallow_clone_gets_whole_history(lab: Lab, origin: Path) -> None:
    """What a shallow clone lacks can't be told from its refs; it ends complete."""
    git("clone", "-q", "--depth=1", f"file://{origin}", lab.dest / "plugin")
    commit = commit_files(origin, {"x": "1"})
    lab.mirror(origin)
    assert (await lab.one(update=True)).status is FetchStatus.UPDATED
    assert rev(lab.dest / "plugin") == commit
    assert git("-C", lab.dest / "plugin", "status", "--porcelain") == ""


async def test_origin_is_set_on_update_only(lab: Lab) -> None:
    """Another URL is a warning; with update it is set."""
    checkout = await delivered(lab)
    other = lab.parcel(url="https://user:pw@example.net/fork.git")
    await lab.deliver(other)
    assert codes(lab) == ["url-mismatch"]
    (result,) = await lab.deliver(other, update=True)
    assert (result.status, result.message) == (FetchStatus.PRESENT, "")
    assert git("-C", checkout, "remote", "get-url", "origin") == "https://example.net/fork.git\n"


@pytest.mark.parametrize(
    ("ref", "pinned", "prepare", "warned"),
    [
        ("master", False, [], []),
        ("stable/2025.1", False, [], ["ref-mismatch"]),
        ("1.0.0", False, [], ["ref-mismatch"]),
        ("master", False, ["checkout", "-q", "-b", "feature"], ["ref-mismatch"]),
        ("master", False, ["checkout", "-q", "-b", "feature", "HEAD~1"], ["ref-mismatch"]),
        ("master", False, ["checkout", "-q", "-b", "master", "HEAD~1"], []),
        ("stable/2025.1", True, [], ["ref-mismatch"]),
        ("master", False, ["rm", "-rq", "devstack"], ["no-devstack-folder"]),
    ],
)
async def test_warnings_of_what_is_kept(
    ref: str, pinned: bool, prepare: list[str], warned: list[str], lab: Lab
) -> None:
    """The same codes for the same reasons as on the controller."""
    checkout = await delivered(lab)
    if prepare:
        git("-C", checkout, *prepare)
    parcel = lab.parcel(ref)
    pin = parcel.target if pinned else ""
    (result,) = await lab.deliver(msgspec.structs.replace(parcel, commit=pin))
    commit_there = rev(checkout)
    assert (result.status, result.commit) == (FetchStatus.PRESENT, commit_there)
    assert codes(lab) == warned


@pytest.mark.parametrize("what", ["changed", "staged", "committed", "merging", "mode"])
async def test_local_work_is_never_lost(what: str, lab: Lab, origin: Path) -> None:
    """An update stops before it writes anything, and says what it found."""
    checkout = await delivered(lab)
    git("-C", checkout, "config", "user.email", "me@example.org")
    git("-C", checkout, "config", "user.name", "me")
    if what == "mode":
        (checkout / "README").chmod(0o755)
    elif what == "merging":
        (checkout / ".git" / "MERGE_HEAD").write_text(rev(checkout, "HEAD~1") + "\n")
    else:
        (checkout / "README").write_text("mine\n")
    if what == "staged":
        git("-C", checkout, "add", "README")
    if what == "committed":
        git("-C", checkout, "commit", "-q", "-a", "-m", "my work")
    before = (rev(checkout), git("-C", checkout, "status", "--porcelain"), refs(checkout))
    commit_files(origin, {"README": "theirs\n"})
    lab.mirror(origin)
    result = await lab.one(update=True)
    assert (result.status, result.failure) == (FetchStatus.FAILED, FailureClass.LOCAL_CHANGES)
    words = {"committed": "1 local commit: ", "merging": "a merge is unfinished"}
    assert words.get(what, "1 file changed: README") in result.message
    assert result.commit == before[0]
    assert (rev(checkout), git("-C", checkout, "status", "--porcelain"), refs(checkout)) == before


def refs(checkout: Path) -> str:
    return git("-C", checkout, "for-each-ref")


async def test_an_untracked_file_in_the_way(lab: Lab, origin: Path) -> None:
    """git refuses, and the checkout is as good as before."""
    checkout = await delivered(lab)
    (checkout / "new").write_text("mine")
    commit_files(origin, {"new": "theirs"})
    lab.mirror(origin)
    result = await lab.one(update=True)
    assert (result.status, result.failure) == (FetchStatus.FAILED, FailureClass.LOCAL_CHANGES)
    assert (checkout / "new").read_text() == "mine"
    assert not (checkout / ".git" / MARKER).exists()


@pytest.mark.parametrize("dirty", [False, True], ids=["", "dirty"])
async def test_an_ignored_file_in_the_way(dirty: bool, lab: Lab, origin: Path) -> None:
    """git would overwrite it without a word; here it is an error, and saved under force."""
    commit_files(origin, {".gitignore": "*.local\n"})
    lab.mirror(origin)
    checkout = await delivered(lab)
    (checkout / "x.local").write_text("mine")
    (checkout / "y.local").write_text("in nobody's way")
    commit = commit_files(origin, {"x.local": "theirs"})
    lab.mirror(origin)
    result = await lab.one(update=True)
    assert (result.status, result.failure) == (FetchStatus.FAILED, FailureClass.LOCAL_CHANGES)
    assert (checkout / "x.local").read_text() == "mine"
    if dirty:
        (checkout / "README").write_text("mine, too")
    result = await lab.one(update=True, force=True)
    assert (result.commit, result.message) == (commit, "")
    saved = lab.of(Warned)[-1].message.rpartition(" ")[2]
    assert git("-C", checkout, "show", f"{saved}:x.local") == "mine"
    assert "y.local" not in git("-C", checkout, "ls-tree", "-r", saved)


async def test_an_untracked_folder_in_the_way(lab: Lab, origin: Path) -> None:
    """Where a file is to be: it stays, also in the next run; force saves it first."""
    checkout = await delivered(lab)
    (checkout / "new").mkdir()
    (checkout / "new" / "file").write_text("mine")
    commit = commit_files(origin, {"new": "theirs"})
    lab.mirror(origin)
    result = await lab.one(update=True)
    assert (result.status, result.failure) == (FetchStatus.FAILED, FailureClass.LOCAL_CHANGES)
    assert not (checkout / ".git" / MARKER).exists()
    assert (await lab.one(update=True, force=True)).commit == commit
    saved = lab.of(Warned)[-1].message.rpartition(" ")[2]
    assert git("-C", checkout, "show", f"{saved}:new/file") == "mine"


async def test_a_file_that_can_not_be_written(lab: Lab, origin: Path) -> None:
    """git says so and succeeds; the update fails, and the next run completes it."""
    checkout = await delivered(lab)
    commit = commit_files(origin, {"new": "1"})
    lab.mirror(origin)
    path = lab.program(
        "git",
        '"$real" "$@" || exit\n'
        'case "$*" in *" checkout "*) rm "$PWD/new"; echo "error: unable to create file new" >&2 ;; esac',
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", path)
        patched.chdir(checkout)
        result = await lab.one(update=True)
    assert (result.status, "unable to create" in result.message) == (FetchStatus.FAILED, True)
    result = await lab.one()
    assert (result.status, result.commit) == (FetchStatus.UPDATED, commit)
    assert (checkout / "new").read_text() == "1"


async def test_another_git_at_work(lab: Lab, origin: Path) -> None:
    """Its lock is respected, also by the next run."""
    checkout = await delivered(lab)
    before = rev(checkout)
    lock = checkout / ".git" / "index.lock"
    lock.touch()
    commit_files(origin, {"new": "1"})
    lab.mirror(origin)
    assert (await lab.one(update=True)).failure is FailureClass.BUSY
    assert not (checkout / ".git" / MARKER).exists()
    assert (await lab.one()).commit == before
    assert lock.exists()


async def test_what_was_saved_before_a_failure_is_told(lab: Lab, origin: Path) -> None:
    """Whoever forced it has to find it."""
    checkout = await delivered(lab)
    (checkout / "README").write_text("mine")
    (checkout / ".git" / "index.lock").touch()
    commit_files(origin, {"new": "1"})
    lab.mirror(origin)
    result = await lab.one(update=True, force=True)
    assert result.failure is FailureClass.BUSY
    saved = result.message.rpartition(" ")[2]
    assert git("-C", checkout, "show", f"{saved}:README") == "mine"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_text(""), "is not a directory"),
        (lambda path: path.symlink_to("nowhere"), "is not a directory"),
        (lambda path: path.mkdir(), "is an empty directory"),
        (lambda path: (path / "x").mkdir(parents=True), "no git checkout"),
        (lambda path: git("init", "-q", path), "without a commit"),
    ],
)
async def test_what_is_no_checkout(make: object, says: str, lab: Lab) -> None:
    """Each is an error that says what is there, and it stays."""
    lab.dest.mkdir()
    assert callable(make)
    make(lab.dest / "plugin")
    result = await lab.one(update=True)
    assert result.status is FetchStatus.FAILED
    assert says in result.message
    assert "remove it" in result.hint


async def test_a_head_without_a_commit_is_no_cut_clone(lab: Lab, origin: Path) -> None:
    """Other branches would be lost with it: nobody is told to remove it."""
    git("clone", "-q", origin, lab.dest / "plugin")
    git("-C", lab.dest / "plugin", "checkout", "-q", "--orphan", "new")
    result = await lab.one(update=True)
    assert "HEAD has no commit" in result.message
    assert "move it away" in result.hint
    assert len(lab.transport.commands) == 1


async def test_a_clone_without_files(lab: Lab, origin: Path) -> None:
    git("clone", "-q", "--no-checkout", origin, lab.dest / "plugin")
    assert "files were never written" in (await lab.one()).message


async def test_a_linked_work_tree(lab: Lab, origin: Path) -> None:
    """Where .git is a file git is asked, and it can be updated, too."""
    git("clone", "-q", origin, lab.root / "main")
    git("-C", lab.root / "main", "worktree", "add", "-q", "--detach", lab.dest / "plugin")
    assert (await lab.one()).status is FetchStatus.PRESENT
    commit = commit_files(origin, {"x": "1"})
    lab.mirror(origin)
    assert (await lab.one(update=True)).commit == commit
    assert rev(lab.dest / "plugin") == commit


async def test_unfinished_in_a_linked_work_tree(lab: Lab, origin: Path) -> None:
    """What git keeps of it is elsewhere, and an error as well."""
    git("clone", "-q", origin, lab.root / "main")
    checkout = lab.dest / "plugin"
    git("-C", lab.root / "main", "worktree", "add", "-q", "--detach", checkout)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GIT_SEQUENCE_EDITOR", "sed -i 's/^pick/edit/'")
        git("-C", checkout, "rebase", "-q", "-i", "HEAD~2")
    before = rev(checkout)
    commit_files(origin, {"new": "1"})
    lab.mirror(origin)
    result = await lab.one(update=True)
    assert result.failure is FailureClass.LOCAL_CHANGES
    assert "rebase is unfinished" in result.message
    assert rev(checkout) == before


async def test_error_on_clone(lab: Lab) -> None:
    """The gate prepares all checkouts: a missing one is an error there."""
    result = await lab.one(error_on_clone=True)
    assert (result.status, result.failure) == (FetchStatus.FAILED, FailureClass.REFUSED_BY_US)
    assert not lab.dest.exists()


def interrupted(checkout: Path, old: str, new: str) -> None:
    (checkout / ".git" / MARKER).write_text(f"{old} {new}\n")


@pytest.mark.parametrize("update", [False, True])
@pytest.mark.parametrize("written", list(itertools.product([False, True], repeat=3)), ids=str)
async def test_an_interrupted_update_is_finished(
    written: tuple[bool, bool, bool], update: bool, lab: Lab, origin: Path
) -> None:
    """Wherever it was killed: each file may be old, new or gone, index and locks may be there."""
    old = commit_files(origin, {"a": "old", "gone": "1", "c": "same"})
    lab.mirror(origin)
    checkout = await delivered(lab)
    new = commit_files(origin, {"a": "new", "d/b": "1"})
    git("-C", origin, "update-ref", "refs/heads/base", new)
    lab.mirror(origin)
    git("-C", checkout, "fetch", "-q", origin, "+refs/heads/*:refs/remotes/origin/*")
    interrupted(checkout, old, new)
    (checkout / "c").write_text("work of mine that the update doesn't touch")
    (checkout / ".git" / "index.lock").touch()
    if written[0]:
        (checkout / "a").write_text("new")
    if written[1]:
        (checkout / "d").mkdir()
        (checkout / "d" / "b").write_text("1")
    if written[2]:
        (checkout / "a").unlink()
    parcel = msgspec.structs.replace(lab.parcel(), target=new)
    (result,) = await lab.deliver(parcel, update=update)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, new, "")
    assert codes(lab) == ["update-resumed"]
    assert rev(checkout) == new
    assert (checkout / "a").read_text() == "new"
    assert git("-C", checkout, "status", "--porcelain") == " M c\n"
    assert not (checkout / ".git" / MARKER).exists()


async def test_work_done_after_an_interruption_is_named(lab: Lab, origin: Path) -> None:
    """A file that holds neither version is the user's."""
    old = rev(origin, "master")
    checkout = await delivered(lab)
    new = commit_files(origin, {"README": "new"})
    git("-C", checkout, "fetch", "-q", origin, "+refs/heads/*:refs/remotes/origin/*")
    interrupted(checkout, old, new)
    (checkout / "README").write_text("mine")
    lab.mirror(origin)
    result = await lab.one(update=True)
    assert result.failure is FailureClass.LOCAL_CHANGES
    assert "README" in result.message
    assert (checkout / "README").read_text() == "mine"


async def test_a_folder_made_after_an_interruption_is_named(lab: Lab, origin: Path) -> None:
    """Where a file is to be; its content stays."""
    old = rev(origin, "master")
    checkout = await delivered(lab)
    new = commit_files(origin, {"new": "theirs"})
    git("-C", checkout, "fetch", "-q", origin, "+refs/heads/*:refs/remotes/origin/*")
    interrupted(checkout, old, new)
    (checkout / "new").mkdir()
    (checkout / "new" / "file").write_text("mine")
    lab.mirror(origin)
    result = await lab.one(update=True)
    assert result.failure is FailureClass.LOCAL_CHANGES
    assert "new/file" in result.message
    assert (checkout / "new" / "file").read_text() == "mine"


async def test_a_submodule_that_an_interrupted_update_takes_away(lab: Lab, origin: Path) -> None:
    """Its folder is no file to remove; what the user has put there stays."""
    work = lab.root / "work"
    git("clone", "-q", origin, work)
    git("-C", work, "update-index", "--add", "--cacheinfo", f"160000,{rev(work)},sub")
    git("-C", work, "commit", "-q", "-m", "sub")
    git("-C", work, "push", "-q", "origin", "master")
    lab.mirror(origin)
    old, checkout = rev(work), await delivered(lab)
    git("-C", work, "rm", "-q", "--cached", "sub")
    git("-C", work, "commit", "-q", "-m", "no sub")
    git("-C", work, "push", "-q", "origin", "master")
    git("-C", checkout, "fetch", "-q", origin, "+refs/heads/*:refs/remotes/origin/*")
    interrupted(checkout, old, rev(work))
    (checkout / "sub" / "file").write_text("mine")
    lab.mirror(origin)
    result = await lab.one(update=True)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, rev(work), "")
    assert (checkout / "sub" / "file").read_text() == "mine"


async def test_force_saves_work_done_after_an_interruption(lab: Lab, origin: Path) -> None:
    """The update is finished, and what it goes over is kept."""
    old = rev(origin, "master")
    checkout = await delivered(lab)
    new = commit_files(origin, {"README": "new"})
    git("-C", checkout, "fetch", "-q", origin, "+refs/heads/*:refs/remotes/origin/*")
    interrupted(checkout, old, new)
    (checkout / "README").write_text("mine")
    lab.mirror(origin)
    result = await lab.one(update=True, force=True)
    assert (result.status, result.commit, result.message) == (FetchStatus.UPDATED, new, "")
    assert codes(lab) == ["update-resumed", "local-work-saved"]
    saved = lab.of(Warned)[1].message.rpartition(" ")[2]
    assert git("-C", checkout, "show", f"{saved}:README") == "mine"
    assert (checkout / "README").read_text() == "new"


@pytest.mark.parametrize("marker", ["cut", "elsewhere"])
async def test_a_marker_of_no_meaning(marker: str, lab: Lab, origin: Path) -> None:
    """Cut off, or about commits that HEAD has left since: it goes, and nothing else is done."""
    checkout = await delivered(lab)
    old, new = rev(origin, "master~1"), rev(origin, "master~2")
    interrupted(checkout, old, new if marker == "elsewhere" else new[:17])
    (checkout / "README").write_text("mine")
    result = await lab.one()
    assert (result.status, result.commit) == (FetchStatus.PRESENT, rev(origin, "master"))
    assert codes(lab) == []
    assert (checkout / "README").read_text() == "mine"
    assert not (checkout / ".git" / MARKER).exists()
