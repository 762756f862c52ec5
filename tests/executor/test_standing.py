"""What a driver says of the checkouts that are there when it boots, against git itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from asyncstack.events import Event
from asyncstack.executor import Launch, open_node
from asyncstack.localconf import read_local_conf
from asyncstack.model import Node
from asyncstack.runtime.messages import Standing
from asyncstack.runtime.payload import DriverSettings
from asyncstack.runtime.session import new_nonce
from asyncstack.transports.local import LocalTransport
from tests.helpers.gitserver import git
from tests.helpers.lab import Lab
from tests.helpers.logs import NoLogs

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def _ignore(_: Event) -> None:
    """Nobody listens."""


async def _standing(lab: Lab, localrc: str) -> dict[str, Standing]:
    """What the driver says after a boot with this localrc, asked before that was over."""
    path = lab.write_conf(localrc)
    launch = Launch(DriverSettings(nonce=new_nonce()), read_local_conf(path).node_files(dest=""))
    transport = LocalTransport(Node("here"))
    opened = open_node(transport, "standing", launch, _ignore, NoLogs(), keep_top_dir=False)
    async with opened as node:
        await node.ask_ahead()
        await node.boot(path, lambda _: None)
        return await node.standing()


def _says(*arguments: str | Path) -> str:
    return git(*arguments).strip()


def _clone(lab: Lab, name: str, *how: str) -> Path:
    git("clone", "-q", *how, lab.repositories / "origin", lab.dest / name)
    return lab.dest / name


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    lab = Lab(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(lab.state))
    origin = lab.plugin("origin", ":\n")
    git("-C", origin, "tag", "light")
    git("-C", origin, "tag", "-m", "annotated", "heavy")
    git("-C", origin, "commit", "-q", "--allow-empty", "-m", "two")
    return lab


async def test_what_is_in_order_is_named_as_git_sees_it(lab: Lab) -> None:
    """Detached at a branch, a tag or a commit, packed or loose; on a branch; by any URL."""
    origin = lab.repositories / "origin"
    wanted = {
        "on-branch": "master",
        "on-packed-branch": "master",
        "at-branch": "master",
        "at-loose-tag": "light",
        "at-packed-tag": "light",
        "at-commit": _says("-C", origin, "rev-parse", "HEAD"),
        "at-abbreviated": _says("-C", origin, "rev-parse", "--short=8", "HEAD"),
        "no-plugin": "master",
        "quoted-url": "master",
    }
    for name, ref in wanted.items():
        clone = _clone(lab, name)
        if name.startswith("at-"):
            target = f"origin/{ref}" if ref == "master" else ref
            git("-C", clone, "checkout", "-q", "--detach", target)
        if "packed" in name:
            git("-C", clone, "pack-refs", "--all")
    shutil.rmtree(lab.dest / "no-plugin/devstack")
    config = lab.dest / "quoted-url/.git/config"
    config.write_text(config.read_text().replace(f"url = {origin}", f'url = "{origin}"'))
    lines = [f"enable_plugin {name} {origin} {ref}\n" for name, ref in wanted.items()]
    standing = await _standing(lab, "".join(lines))
    assert list(standing) == list(wanted)
    for name, said in standing.items():
        clone = lab.dest / name
        assert said == Standing(
            name,
            _says("-C", clone, "rev-parse", "HEAD"),
            _says("-C", clone, "branch", "--show-current"),
            _says("-C", clone, "remote", "get-url", "origin"),
            contents=name != "no-plugin",
        )


async def test_what_is_unusual_is_left_to_git(lab: Lab) -> None:
    """None of these is named: absent, half made, half updated, elsewhere, in another layout."""
    origin = lab.repositories / "origin"
    (lab.dest / "no-checkout").mkdir(parents=True)
    (_clone(lab, "no-files") / ".git/index").unlink()
    (_clone(lab, "interrupted") / ".git/asyncstack-update").mkdir()
    git("-C", _clone(lab, "elsewhere"), "checkout", "-q", "--detach", "light")
    git("-C", _clone(lab, "at-annotated"), "checkout", "-q", "--detach", "heavy")
    (_clone(lab, "no-commit") / ".git/HEAD").write_text("ref: refs/heads/none\n")
    _clone(lab, "separate", f"--separate-git-dir={lab.root}/elsewhere.git")
    escaped = _clone(lab, "escaped") / ".git/config"
    escaped.write_text(escaped.read_text().replace(f"url = {origin}", f'url = "{origin}\\""'))
    refs = {"at-annotated": "heavy"}
    names = ["absent", *(path.name for path in lab.dest.iterdir())]
    lines = [f"enable_plugin {name} {origin} {refs.get(name, '')}\n" for name in names]
    assert await _standing(lab, "".join(lines)) == {}
