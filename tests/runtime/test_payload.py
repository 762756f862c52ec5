"""What a node gets, unpacked by the tar that unpacks it there."""

from __future__ import annotations

import subprocess
from pathlib import Path

from asyncstack.runtime import payload

TREE = Path(payload.__file__).with_name("tree")


def unpacked(folder: Path) -> Path:
    files = {"local.conf": (b"same\n", 0o600), "localrc": (b"same\n", 0o600)}
    archive = payload.build_payload(payload.DriverSettings(nonce="n"), files)
    subprocess.run(["tar", "-xzf", "-"], cwd=folder, input=archive, check=True)
    return folder / "devstack"


def test_the_tree_arrives_as_it_is(tmp_path: Path) -> None:
    top_dir = unpacked(tmp_path)
    expected = {path.relative_to(TREE): path for path in TREE.rglob("*") if path.is_file()}
    assert expected
    for path, original in expected.items():
        assert (top_dir / path).read_bytes() == original.read_bytes()
        script = original.read_bytes().startswith(b"#!")
        assert (top_dir / path).stat().st_mode & 0o777 == (0o755 if script else 0o644)


def test_files_alike_are_one_but_for_the_users_own(tmp_path: Path) -> None:
    """The placeholders of libraries are linked; what the user may edit there never is."""
    top_dir = unpacked(tmp_path)
    assert (top_dir / "lib/nova").samefile(top_dir / "lib/keystone")
    assert not (top_dir / "local.conf").samefile(top_dir / "localrc")
