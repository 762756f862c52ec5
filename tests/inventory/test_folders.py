"""group_vars and host_vars: what Ansible reads there, and whose value wins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asyncstack.errors import InventoryError
from asyncstack.inventory import Inventory, read_inventory

_LAB = """
all:
  vars: {ansible_user: inline-all, localrc: {A: all, B: all}}
  children:
    compute:
      vars: {ansible_user: inline-compute, localrc: {B: compute, C: compute}}
      hosts: {c1: , c2: {ansible_port: 22}}
    edge: {hosts: {c1: }}
"""


def read(folder: Path, files: dict[str, str], lab: str = _LAB) -> Inventory:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "lab.yaml").write_text(lab)
    return read_inventory(folder / "lab.yaml")


def users(inventory: Inventory) -> list[str]:
    return [host.node.user for host in inventory.hosts]


def test_whose_value_wins(tmp_path: Path) -> None:
    """Of all groups the inventory's, then the files, then the host: as `ansible-inventory` says."""
    files = {"group_vars/all.yml": "ansible_user: file-all\nlocalrc: {D: file}\n"}
    assert users(read(tmp_path, files)) == ["file-all", "file-all"]
    files["group_vars/compute.yaml"] = "ansible_user: file-compute\nlocalrc: {C: file}\n"
    assert users(read(tmp_path, files)) == ["file-compute", "file-compute"]
    files["group_vars/edge"] = '{"ansible_user": "file-edge"}'
    assert users(read(tmp_path, files)) == ["file-edge", "file-compute"]
    files["host_vars/c2.json"] = '{"ansible_user": "file-c2", "ansible_port": 23}'
    inventory = read(tmp_path, files)
    assert users(inventory) == ["file-edge", "file-c2"]
    assert inventory.hosts[1].node.port == 23
    assert inventory.hosts[1].localrc == {"A": "all", "B": "compute", "C": "file", "D": "file"}


def test_which_files_count(tmp_path: Path) -> None:
    """A folder as a whole, in order; no backups, nothing hidden, no other kind of file."""
    inventory = read(
        tmp_path,
        {
            "group_vars/all/10-first.yml": "ansible_user: first\nansible_port: 1\n",
            "group_vars/all/20-second/inner.yml": "ansible_user: second\n",
            "group_vars/all/30.yml~": "ansible_user: backup\n",
            "group_vars/all/.40.yml": "ansible_user: hidden\n",
            "group_vars/all/50.txt": "not: [closed\n",
            "group_vars/all/60": "",
            "group_vars/all.yml": "ansible_user: beside\n",
            "group_vars/nobody.yml": "not: [closed\n",
        },
    )
    assert users(inventory) == ["second", "second"]
    assert {host.node.port for host in inventory.hosts} == {1, 22}


def test_what_is_wrong_is_told_where_it_is(tmp_path: Path) -> None:
    """One problem, and several at once."""
    wrong = {"group_vars/all.yml": "# a comment\nansible_port: none\n"}
    with pytest.raises(InventoryError) as raised:
        read(tmp_path, wrong)
    assert (raised.value.path, raised.value.line) == (str(tmp_path / "group_vars/all.yml"), 2)
    wrong["host_vars/c2.yml"] = "- a\n"
    wrong["group_vars/edge.yml"] = "a: [\n"
    with pytest.raises(InventoryError) as raised:
        read(tmp_path, wrong, _LAB.replace("22", "x"))
    assert f"{tmp_path}/group_vars/all.yml:2: host 'c1': 'none' is no port" in str(raised.value)
    assert f"{tmp_path}/host_vars/c2.yml:1: must be a mapping of variables" in str(raised.value)
    assert f"{tmp_path}/group_vars/edge.yml:2: is no YAML" in str(raised.value)
    assert "    line 7: host 'c2': 'x' is no port" in str(raised.value)


def test_a_vault_is_left_alone(tmp_path: Path) -> None:
    """It mostly holds passwords that are no business of ours."""
    files = {"group_vars/all/vault.yml": "$ANSIBLE_VAULT;1.1;AES256\n3031\n"}
    (warning,) = read(tmp_path, files).warnings
    assert (warning.code, warning.path) == (
        "inventory-vault",
        str(tmp_path / "group_vars/all/vault.yml"),
    )


def test_what_is_to_be_copied_may_stand_there(tmp_path: Path) -> None:
    copy = "asyncstack_copy: [{after: install, from: c1, to: c2, paths: [/x]}]\n"
    (wanted,) = read(tmp_path, {"group_vars/all.yml": copy}).copies
    assert wanted.paths == ("/x",)


def test_names_lead_nowhere_else(tmp_path: Path) -> None:
    """Nor is a folder that can't be read a bug of ours."""
    with pytest.raises(InventoryError, match="can't be a node's name"):
        read(tmp_path, {"x.yml": "- a\n"}, "all: {hosts: {../x: }}")
    with pytest.raises(InventoryError, match=r"host_vars of 'xx.*can't be read"):
        read(tmp_path, {"host_vars/x": ""}, f"all: {{hosts: {{{'x' * 300}: }}}}")
    if os.getuid():
        (tmp_path / "host_vars").chmod(0)
        with pytest.raises(InventoryError, match="host_vars of 'c1' can't be read"):
            read(tmp_path, {})
