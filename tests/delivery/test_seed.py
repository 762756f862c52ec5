"""--fetch-from seed: one node gets it from here, the others get it from that node."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest

from asyncstack.checkouts.values import FetchOptions, FetchResult
from asyncstack.delivery import Depot, Parcel, open_depot, open_seed
from asyncstack.delivery.seed import Seed
from asyncstack.events import FetchFinished, FetchRetried, Warned
from asyncstack.git.failures import FailureClass
from asyncstack.model import FetchStatus, Node
from asyncstack.transports.base import Transport
from asyncstack.transports.local import LocalTransport
from asyncstack.transports.ssh import SshAccess, SshOptions, SshTransport
from tests.helpers.delivering import Lab, tree_of
from tests.helpers.gitserver import commit_files, git, make_repository, rev
from tests.helpers.sshd import available, start_sshd
from tests.helpers.uplink import Uplink

pytestmark = pytest.mark.anyio

HERE = "127.0.0.1"


def at(lab: Lab, node: str, *parcels: Parcel) -> list[Parcel]:
    """These parcels, in a node's own DEST."""
    return [
        msgspec.structs.replace(parcel, directory=str(lab.root / node / parcel.plugin))
        for parcel in parcels
    ]


class Seeded:
    """A depot, a seed that has what it was given, and what the others are given from it."""

    def __init__(self, lab: Lab, depot: Depot, seed: Seed | None) -> None:
        self.lab = lab
        self.depot = depot
        self.seed = seed

    async def deliver(
        self, node: str, *parcels: Parcel, transport: Transport | None = None, **options: object
    ) -> list[FetchResult]:
        settings = FetchOptions(**options)  # type: ignore[arg-type]
        return await self.depot.deliver(
            transport or LocalTransport(Node(node)),
            at(self.lab, node, *parcels),
            settings,
            self.lab.events.append,
            seed=self.seed,
        )


@asynccontextmanager
async def seeded(
    lab: Lab,
    own: Sequence[Parcel],
    wanted: Sequence[Parcel],
    *,
    address: str = HERE,
    transport: Transport | None = None,
    **options: object,
) -> AsyncIterator[Seeded]:
    """Deliver to the seed, and let it serve."""
    seed = transport or LocalTransport(Node("seed"))
    with open_depot() as depot:
        mine = at(lab, "seed", *own)
        await depot.deliver(seed, mine, FetchOptions(**options), lab.events.append)  # type: ignore[arg-type]
        async with open_seed(
            depot,
            seed,
            at(lab, "elsewhere", *wanted),
            own=mine,
            others=2,
            address=address,
            emit=lab.events.append,
        ) as opened:
            yield Seeded(lab, depot, opened)


def relatives(lab: Lab) -> list[str]:
    """The processes whose command line has to do with this test's folders."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if "daemon" in words and str(lab.root) in words:
            found.append(words.replace("\0", " "))
    return found


def codes(lab: Lab) -> list[str]:
    return [warning.code for warning in lab.of(Warned)]


def check_clone(checkout: Path, parcel: Parcel, origin: Path) -> None:
    """An ordinary clone of the origin, at the commit, with history and tags."""
    assert rev(checkout) == parcel.target
    assert git("-C", checkout, "status", "--porcelain", "--branch") == "## HEAD (no branch)\n"
    assert git("-C", checkout, "remote", "get-url", "origin") == f"{parcel.url}\n"
    assert rev(checkout, "origin/master") == rev(checkout, "origin/HEAD") == rev(origin, "master")
    assert rev(checkout, "1.0.0") == rev(origin, "1.0.0")
    assert git("-C", checkout, "fsck", "--strict", "--no-dangling") == ""
    assert not (checkout / ".git/objects/info/alternates").exists()
    assert git("-C", checkout, "for-each-ref", "refs/heads") == ""


@pytest.mark.slow
async def test_over_ssh_it_crosses_the_uplink_once(lab: Lab, origin: Path) -> None:
    """Three sshd, each behind the uplink: the seed's share is the repositories, the others' is talk."""
    if not available():
        pytest.skip("sshd is not installed")
    big = make_repository(lab.root / "served" / "big.git", payload=1_500_000)
    size = sum(path.stat().st_size for path in (lab.mirror(big) / "objects/pack").iterdir())
    plugin, other = lab.parcel(), lab.parcel(name="big")
    names = ["seed", "one", "two"]
    with ExitStack() as stack:
        uplinks: dict[str, Uplink] = {}
        async with AsyncExitStack() as connections:
            transports: dict[str, SshTransport] = {}
            for name in names:
                daemon = start_sshd(lab.root / f"sshd-{name}", trusted=False)
                stack.callback(daemon.stop)
                uplinks[name] = stack.enter_context(Uplink(daemon.port))
                known = lab.root / f"known-{name}"
                line = daemon.host_key_line().replace(f":{daemon.port}", f":{uplinks[name].port}")
                known.write_text(line)
                options = SshOptions(key_file=str(daemon.key), known_hosts=str(known))
                node = Node(name, HERE, daemon.user, uplinks[name].port)
                transport = SshTransport(node, options, SshAccess())
                transports[name] = await connections.enter_async_context(transport)
            # The seed itself wants one of them; the other one it holds for the others.
            async with seeded(
                lab, [plugin], [plugin, other], address="", transport=transports["seed"]
            ) as lent:
                assert relatives(lab)
                for name in names[1:]:
                    results = await lent.deliver(name, plugin, other, transport=transports[name])
                    assert [r.status for r in results] == [FetchStatus.CLONED] * 2
                    assert [r.received_bytes for r in results] == [0, 0]
            assert relatives(lab) == []
            sent = {name: uplink.sent for name, uplink in uplinks.items()}
    assert (codes(lab), lab.of(FetchRetried)) == ([], [])
    for name in names[1:]:
        check_clone(lab.root / name / "plugin", plugin, origin)
        check_clone(lab.root / name / "big", other, big)
    assert tree_of(lab.root / "seed") == ["plugin"]
    assert size < sent["seed"] < 1.2 * size
    assert max(sent["one"], sent["two"]) < size / 20


@pytest.mark.parametrize("ref", ["stable/2025.1", "1.0.0", "refs/changes/12/3412/5", "SHA"])
async def test_every_kind_of_ref(ref: str, lab: Lab, origin: Path) -> None:
    ref = rev(origin, "master~2") if ref == "SHA" else ref
    lab.mirror(origin, ref)
    parcel = lab.parcel(ref)
    async with seeded(lab, [parcel], [parcel]) as lent:
        (result,) = await lent.deliver("other", parcel)
    assert (result.status, result.message, lab.of(FetchRetried)) == (FetchStatus.CLONED, "", [])
    check_clone(lab.root / "other" / "plugin", parcel, origin)


async def test_an_update_comes_from_the_seed_too(lab: Lab, origin: Path) -> None:
    """A moved tag, a branch, and local work that is refused, or saved by --force."""
    for node in ("seed", "one", "two"):
        with open_depot() as depot:
            old = at(lab, node, lab.parcel("1.0.0"))
            transport = LocalTransport(Node(node))
            await depot.deliver(transport, old, FetchOptions(), lab.events.append)
    commit = commit_files(origin, {"README": "new"})
    git("-C", origin, "tag", "-f", "-a", "-m", "again", "1.0.0", commit)
    lab.mirror(origin)
    parcel = lab.parcel("1.0.0")
    (lab.root / "two" / "plugin" / "README").write_text("mine")
    lab.events.clear()
    async with seeded(lab, [parcel], [parcel], update=True) as lent:
        (one,) = await lent.deliver("one", parcel, update=True)
        (two,) = await lent.deliver("two", parcel, update=True)
        (forced,) = await lent.deliver("two", parcel, update=True, force=True)
    assert (one.status, one.commit, one.message) == (FetchStatus.UPDATED, commit, "")
    assert (two.status, two.failure) == (FetchStatus.FAILED, FailureClass.LOCAL_CHANGES)
    assert (forced.status, codes(lab)) == (FetchStatus.UPDATED, ["local-work-saved"])
    assert lab.of(FetchRetried) == []
    checkout = lab.root / "one" / "plugin"
    assert rev(checkout, "1.0.0") == rev(origin, "1.0.0")
    assert rev(checkout, "origin/master") == commit
    assert git("-C", checkout, "remote", "get-url", "origin") == f"{parcel.url}\n"


async def test_a_seed_that_keeps_an_older_checkout(lab: Lab, origin: Path) -> None:
    """What the others want is held for them elsewhere, and goes with the seed's service."""
    async with seeded(lab, [lab.parcel()], [lab.parcel()]):
        pass
    old = rev(lab.root / "seed" / "plugin")
    commit_files(origin, {"README": "new"})
    lab.mirror(origin)
    parcel = lab.parcel()
    async with seeded(lab, [parcel], [parcel]) as lent:
        (result,) = await lent.deliver("other", parcel)
        assert len(tree_of(lab.root / "seed")) == 2
    assert (result.status, lab.of(FetchRetried)) == (FetchStatus.CLONED, [])
    check_clone(lab.root / "other" / "plugin", parcel, origin)
    assert rev(lab.root / "seed" / "plugin") == old
    assert tree_of(lab.root / "seed") == ["plugin"]


async def test_a_node_that_does_not_reach_the_seed(lab: Lab, origin: Path) -> None:
    """It is told, once for each repository, and everything comes from here: one end each."""
    second = make_repository(lab.root / "served" / "second.git")
    lab.mirror(second)
    parcels = [lab.parcel(), lab.parcel(name="second")]
    words = "fatal: unable to connect to 127.0.0.1: Connection refused"
    path = lab.program(
        "git", f'case "$*" in *git://*) echo "{words}" >&2; exit 128 ;; esac\nexec "$real" "$@"'
    )
    async with seeded(lab, parcels, parcels) as lent:
        lab.events.clear()
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("PATH", path)
            results = await lent.deliver("other", *parcels)
    assert [(r.status, r.message) for r in results] == [(FetchStatus.CLONED, "")] * 2
    retried = lab.of(FetchRetried)
    assert [event.plugin for event in retried] == ["plugin", "second"]
    assert all("not from the seed seed" in e.message and "refused" in e.message for e in retried)
    assert len(lab.of(FetchFinished)) == 2
    check_clone(lab.root / "other" / "plugin", parcels[0], origin)


async def test_a_seed_that_dies(lab: Lab, origin: Path) -> None:
    """Its daemon is killed after it was opened: the next node gets everything from here."""
    parcel = lab.parcel()
    async with seeded(lab, [parcel], [parcel]) as lent:
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            if "daemon\0" in words and f"--base-path={lab.root}" in words:
                os.kill(int(path.name), signal.SIGKILL)
        (result,) = await lent.deliver("other", parcel)
    assert (result.status, len(lab.of(FetchRetried))) == (FetchStatus.CLONED, 1)
    check_clone(lab.root / "other" / "plugin", parcel, origin)
    assert tree_of(lab.root / "seed") == ["plugin"]


@pytest.mark.parametrize(
    ("address", "script", "says"),
    [
        ("192.0.2.1", "", "bind"),
        (
            HERE,
            'case "$*" in *" daemon "*) echo "git: \'daemon\' is not a git command." >&2; exit 1 ;; esac',
            "is not a git command",
        ),
    ],
    ids=["foreign address", "no git daemon"],
)
async def test_a_node_that_can_not_be_the_seed(
    address: str, script: str, says: str, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One warning says why, and everything comes from here."""
    parcel = lab.parcel()
    if script:
        monkeypatch.setenv("PATH", lab.program("git", f'{script}\nexec "$real" "$@"'))
    async with seeded(lab, [parcel], [parcel], address=address) as lent:
        assert lent.seed is None
        (result,) = await lent.deliver("other", parcel)
    assert result.status is FetchStatus.CLONED
    (warning,) = lab.of(Warned)
    assert warning.code == "no-seed"
    assert says in warning.message
    assert tree_of(lab.root / "seed") == ["plugin"]


async def test_nothing_is_left_when_it_is_cancelled(lab: Lab) -> None:
    parcel = lab.parcel()
    with anyio.CancelScope() as scope:
        async with seeded(lab, [parcel], [parcel]):
            assert relatives(lab)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert relatives(lab) == []
    assert tree_of(lab.root / "seed") == ["plugin"]


async def test_it_is_read_only_and_needs_the_path(lab: Lab) -> None:
    """Nobody can push, list, or guess."""
    parcel = lab.parcel()
    async with seeded(lab, [parcel], [parcel]) as lent:
        assert lent.seed is not None
        url = lent.seed.url
        checkout = lab.root / "seed" / "plugin"
        assert git("ls-remote", f"{url}/0", "refs/heads/master").startswith(parcel.target)
        with pytest.raises(Exception, match="push"):
            git("-C", checkout, "push", f"{url}/0", "HEAD:refs/heads/mine")
        with pytest.raises(Exception, match="ls-remote"):
            git("ls-remote", url.rpartition("/")[0] + "/0")
        (root,) = (p for p in (lab.root / "seed").iterdir() if p.name.startswith(".asyncstack"))
        assert root.stat().st_mode & 0o077 == 0
