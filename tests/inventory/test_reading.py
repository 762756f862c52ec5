"""Inventories as labs write them: what they come to, and what is said about wrong ones."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.errors import InventoryError
from asyncstack.inventory import Copy, Inventory, InventoryHost, read_inventory, render_localrc
from asyncstack.model import Node, SshArguments

LAB = """\
all:
  vars:
    ansible_user: stack
    localrc: {ADMIN_PASSWORD: secret, LOGFILE: }
    asyncstack_copy:
      - after: install
        from: controller
        to: compute
        paths:
          - /etc/ceph
          - ~/.ssh/known_hosts
        owner: stack:stack
        mode: 0640
  children:
    controller:
      hosts:
        ctl:
          ansible_host: 2001:db8::1
          ansible_port: 2222
          asyncstack_inner_address: 10.0.0.1
          ansible_ssh_private_key_file: keys/id
          local_conf: ctl.conf
    compute:
      vars:
        localrc: {ENABLED_SERVICES: "n-cpu,q-agt", LOGFILE: $DEST/it's here}
      hosts:
        compute[08:10]:
        compute3: {ansible_connection: local, localrc: {DEBUG: no, ADMIN_PASSWORD: 0123}}
"""


def read(folder: Path, text: str, name: str = "lab.yaml") -> Inventory:
    path = folder / name
    path.write_text(text)
    return read_inventory(path)


def error(folder: Path, text: str) -> str:
    with pytest.raises(InventoryError) as caught:
        read(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


def by_name(inventory: Inventory) -> dict[str, InventoryHost]:
    return {host.node.name: host for host in inventory.hosts}


def test_a_lab(tmp_path: Path) -> None:
    """Hosts in the file's order, with everything that makes them differ."""
    (tmp_path / "ctl.conf").touch()
    inventory = read(tmp_path, LAB)
    assert inventory.names == ("ctl", "compute08", "compute09", "compute10", "compute3")
    assert inventory.hosts[0] == InventoryHost(
        node=Node("ctl", "2001:db8::1", "stack", 2222, "10.0.0.1"),
        key_file=tmp_path / "keys/id",
        local_conf=tmp_path / "ctl.conf",
        localrc={"ADMIN_PASSWORD": "secret", "LOGFILE": ""},
        groups=("controller",),
    )
    assert inventory.hosts[1].node == Node("compute08", "compute08", "stack")
    assert inventory.hosts[4].connection == "local"
    assert inventory.hosts[4].node == Node("compute3")
    assert inventory.groups["all"] == inventory.names
    assert inventory.groups["compute"] == inventory.names[1:]
    assert inventory.groups["ungrouped"] == ()
    assert inventory.warnings == ()


def test_localrc_adds_up_and_bash_reads_it_back(tmp_path: Path) -> None:
    """Groups and host each add theirs; booleans as DevStack spells them, numbers as written."""
    (tmp_path / "ctl.conf").touch()
    localrc = by_name(read(tmp_path, LAB))["compute3"].localrc
    assert localrc == {
        "ADMIN_PASSWORD": "0123",
        "LOGFILE": "$DEST/it's here",
        "ENABLED_SERVICES": "n-cpu,q-agt",
        "DEBUG": "False",
    }
    assert from_bash(localrc) == localrc


def from_bash(variables: dict[str, str]) -> dict[str, str]:
    script = render_localrc(variables) + "".join(
        f'printf "%s\\0" "${name}"\n' for name in variables
    )
    output = subprocess.run(
        ["bash"], input=script.encode(), stdout=subprocess.PIPE, check=True
    ).stdout
    return dict(zip(variables, output.decode().split("\0"), strict=False))


@given(
    st.dictionaries(
        st.from_regex(r"\AX_[A-Za-z0-9_]{0,8}\Z"),
        st.text(st.characters(codec="utf-8", exclude_characters="\0")),
        max_size=4,
    )
)
def test_any_value_survives_bash(variables: dict[str, str]) -> None:
    """Nothing in a value means anything to bash."""
    assert from_bash(variables) == variables


def test_copies(tmp_path: Path) -> None:
    """The list is resolved to hosts; its mode is what was written, not what YAML makes of it."""
    (tmp_path / "ctl.conf").touch()
    assert read(tmp_path, LAB).copies == (
        Copy(
            after="install",
            sources=("ctl",),
            targets=("compute08", "compute09", "compute10", "compute3"),
            paths=("/etc/ceph", "~/.ssh/known_hosts"),
            owner="stack:stack",
            mode="0640",
            line=6,
        ),
    )


PRECEDENCE = """\
all:
  vars: {ansible_user: all}
  children:
    parent:
      vars: {ansible_user: parent}
      children: {child: {vars: {ansible_user: child}, hosts: {both: , own: {ansible_user: host}}}}
    top: {vars: {ansible_user: top}, hosts: {both: , plain: , pair: , strong: }}
    b: {vars: {ansible_user: b}, hosts: {pair: }}
    c: {vars: {ansible_user: c}, hosts: {strong: }}
    a: {vars: {ansible_user: a, ansible_group_priority: 9}, hosts: {strong: }}
    none: {hosts: {bare: }}
"""


def test_precedence(tmp_path: Path) -> None:
    """all < parent < child < host; among siblings the last name, unless a priority says other."""
    users = {host.node.name: host.node.user for host in read(tmp_path, PRECEDENCE).hosts}
    assert users == {
        "both": "child",
        "own": "host",
        "plain": "top",
        "pair": "top",
        "strong": "a",
        "bare": "all",
    }


def test_groups_of_a_host_in_several(tmp_path: Path) -> None:
    """From the general to the special, parents included."""
    assert by_name(read(tmp_path, PRECEDENCE))["both"].groups == ("parent", "top", "child")


LISTING = {
    "_meta": {
        "hostvars": {
            "ctl": {"ansible_host": "10.0.0.1", "asyncstack_copy": [], "ansible_port": 22},
            "n1": {"localrc": {"DEBUG": True}, "asyncstack_copy": []},
            "lone": {"ansible_user": {"__ansible_unsafe": "{"}},
        }
    },
    "all": {"children": ["ungrouped", "lab"]},
    "compute": {"hosts": ["n1", "n2"]},
    "controller": {"hosts": ["ctl"]},
    "lab": {"children": ["controller", "compute"]},
    "ungrouped": {"hosts": ["lone"]},
}


def test_listing(tmp_path: Path) -> None:
    """What `ansible-inventory --list` prints; hosts in the order of its groups."""
    listing = json.loads(json.dumps(LISTING))
    listing["_meta"]["hostvars"]["lone"]["ansible_user"] = {"__ansible_unsafe": "root"}
    copy = [{"after": "extra", "from": "ctl", "to": "lab:!n2", "paths": "/etc/x", "mode": "600"}]
    for name in ("ctl", "n1"):
        listing["_meta"]["hostvars"][name]["asyncstack_copy"] = copy
    inventory = read(tmp_path, json.dumps(listing), "nodes.json")
    assert inventory.names == ("lone", "ctl", "n1", "n2")
    hosts = by_name(inventory)
    assert hosts["lone"].node.user == "root"
    assert hosts["ctl"].node == Node("ctl", "10.0.0.1", "", 22)
    assert hosts["n1"].localrc == {"DEBUG": "True"}
    assert hosts["n1"].groups == ("lab", "compute")
    assert inventory.groups["lab"] == ("ctl", "n1", "n2")
    assert [(copy.sources, copy.targets) for copy in inventory.copies] == [(("ctl",), ("n1",))]


def test_yaml_as_ansible_reads_it(tmp_path: Path) -> None:
    """Anchors, merge keys, top-level groups, a name as a text, ports in names, duplicates."""
    inventory = read(
        tmp_path,
        "x: {vars: &v {ansible_user: u, ansible_port: 1}}\n"
        "g: {vars: {<<: *v, ansible_port: 2}, hosts: a}\n"
        "h: {hosts: {'b[1:2]:2222': , '[2001:db8::1]:23': {ansible_host: '2001:db8::1'}}}\n"
        "g: {vars: {ansible_user: w}, hosts: {c: }}\n",
    )
    assert inventory.names == ("c", "b1", "b2", "2001:db8::1")
    assert [host.node.port for host in inventory.hosts] == [0, 2222, 2222, 23]
    assert [warning.line for warning in inventory.warnings] == [4]


def test_merge_keys(tmp_path: Path) -> None:
    """`<<` takes what isn't there yet; the first of several mappings wins."""
    inventory = read(
        tmp_path,
        "all: {hosts: {a: &a {ansible_user: x, ansible_port: 1}, b: &b {ansible_user: y},\n"
        "  c: {<<: [*b, *a], ansible_port: 3}}}\n",
    )
    assert inventory.hosts[2].node == Node("c", "c", "y", 3)


def test_what_is_not_used_is_said(tmp_path: Path) -> None:
    """ssh arguments, a misplaced group, a name used twice: warnings."""
    inventory = read(
        tmp_path,
        "all:\n  vars: {ansible_ssh_common_args: -o ProxyJump=x -4}\n  hosts: {a: , b: , db: }\n"
        "db:\n  compute: {hosts: {c: }}\n",
    )
    assert [(warning.code, warning.line) for warning in inventory.warnings] == [
        ("inventory-unknown-key", 5),
        ("inventory-ambiguous-name", 3),
        ("inventory-ignored-variable", 2),
    ]
    assert "below children" in inventory.warnings[0].message


@pytest.mark.parametrize(
    ("variables", "ssh", "unused"),
    [
        ("ansible_ssh_common_args: -J a,b:22", SshArguments(proxy_jump="a,b:22"), []),
        ("ansible_ssh_common_args: -Ja -oProxyJump=b", SshArguments(proxy_jump="a"), []),
        (
            "ansible_ssh_args: -C -oControlMaster=auto -o 'UserKnownHostsFile /x \"/y z\"'",
            SshArguments("", '/x "/y z"'),
            [],
        ),
        ("ansible_host_key_checking: false", SshArguments("no"), []),
        (
            "ansible_host_key_checking: 'no'\n  ansible_ssh_extra_args: -oStrictHostKeyChecking=ask",
            SshArguments("no"),
            [],
        ),
        ("ansible_ssh_host_key_checking: true", SshArguments(), []),
        (
            "ansible_ssh_common_args: -4 -F x -o RemoteCommand='ssh -W %h:%p j' -J a",
            SshArguments(proxy_jump="a"),
            ["-4 -F -o RemoteCommand"],
        ),
        (
            "ansible_ssh_common_args: -o ProxyCommand='ssh -o A=b -W %h:%p j' -J a",
            SshArguments(proxy_command="ssh -o A=b -W %h:%p j"),
            [],
        ),
        (
            "ansible_ssh_common_args: -o 'ProxyCommand ssh -oA=b -W %h:%p j' -C",
            SshArguments(proxy_command="ssh -oA=b -W %h:%p j"),
            [],
        ),
        ("ansible_ssh_common_args: '-J {{ a }}'", SshArguments(), ["what it says"]),
        ("ansible_ssh_common_args:", SshArguments(), []),
    ],
)
def test_arguments_for_ssh(
    tmp_path: Path, variables: str, ssh: SshArguments, unused: list[str]
) -> None:
    """As Ansible hands them to ssh, of which the first counts; what can't be honoured is named."""
    inventory = read(tmp_path, f"all:\n vars:\n  {variables}\n hosts: {{a: , b: }}\n")
    assert [host.node.ssh for host in inventory.hosts] == [ssh, ssh]
    told = [warning.message.partition(": ")[2] for warning in inventory.warnings]
    assert told == [f"{each} is not used; it belongs into ~/.ssh/config" for each in unused]


def test_arguments_for_ssh_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"lab.yaml:3: ansible_ssh_args can't be read"):
        read(tmp_path, 'all:\n hosts: {a: }\n vars: {ansible_ssh_args: "-o \'x"}\n')


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lab.yaml: is empty"),
        ("all:\n", "names no host"),
        ("- a\n", "lab.yaml:1: must be a mapping of groups, not a list"),
        ("all:\n  hosts:\n\ta:\n", "lab.yaml:3: is no YAML"),
        ("all: {hosts: {a: \x01}}", "is no YAML: unacceptable character"),
        ("all:\n  hosts:\n    - a\n", "lab.yaml:2: the hosts of group 'all' must be a mapping"),
        ("all:\n  hosts: {'a[1-3]': }\n", "lab.yaml:2: 'a[1-3]' is no host range"),
        ("all:\n  children: {a: {children: {b: {children: {a: }}}}}\n", "a → b → a"),
        ("a: &a\n  children: {b: *a}\n", "an alias here holds itself"),
        ("plugin: aws_ec2\n", "lab.yaml:1: is the set-up of inventory plugin 'aws_ec2'"),
        ("[compute]\na ansible_user=x\n", "is an inventory in INI form"),
        ("# ours\nctl a=1\n\n[compute:vars]\na=x\n", "is an inventory in INI form"),
        ("ctl ansible_user=x\ncompute1\n", "let Ansible read it"),
        ("#!/bin/sh\n", "is a program"),
        ("all: {hosts: {a: {ansible_port: 65536}}}", "lab.yaml:1: host 'a': '65536' is no port"),
        ("all: {hosts: {a: {ansible_port: x}}}", "'x' is no port"),
        ("all: {hosts: {a: {ansible_user: yes}}}", "ansible_user is true or false"),
        ("all: {hosts: {a: {ansible_user: -oProxyCommand=x}}}", "is no user name"),
        ("all: {hosts: {a: {ansible_host: -oProxyCommand=x}}}", "is no address"),
        ("all: {hosts: {a: {asyncstack_inner_address: --listen}}}", "is no address"),
        ("all: {hosts: {../a: }}", "'../a' can't be a node's name"),
        ("all: {hosts: {a: {ansible_connection: docker}}}", "by connection 'docker'"),
        ("all: {hosts: {a: {ansible_host: '{{ ip }}'}}}", "ansible a -i FILE -m debug -a var=ans"),
        ("all: {hosts: {a: {ansible_user: !vault x}}}", "is encrypted with Ansible Vault"),
        ("all: {hosts: {a: {ansible_user: !env x}}}", "of a tag that only Ansible knows"),
        ("all: {hosts: {a: {ansible_user: !!python/name:os.system x}}}", "a tag that only"),
        ("all: {hosts: {a: {local_conf: none.conf}}}", "there is no local.conf"),
        ("all: {hosts: {a: {local_conf: ~nobody-here/x}}}", "there is no home"),
        ("all: {hosts: {a: {localrc: [X=1]}}}", "localrc must be a mapping"),
        ("all: {hosts: {a: {localrc: {X-Y: 1}}}}", "'X-Y' is no name of a bash variable"),
        ("all: {hosts: {a: {localrc: {X: [1]}}}}", "localrc.X is a list"),
        ("all: {hosts: {a: {localrc: {X: '{{ y }}'}}}}", "localrc.X is a template"),
        ('all: {hosts: {a: {localrc: {X: "\\0"}}}}', "localrc.X holds what bash can't"),
        ("g: {vars: {ansible_group_priority: high}, hosts: {a: }}", "must be a whole number"),
        ("g: {vars: {asyncstack_copy: []}, hosts: {a: }}", "it belongs into all: vars:"),
        ("g: {hosts: {a: {asyncstack_copy: []}}}", "it belongs into all: vars:"),
        ('{"_meta": {}, "g": {"hosts": "a"}}', "hosts must be a list of names"),
    ],
)
def test_bad_inventories(tmp_path: Path, text: str, says: str) -> None:
    """Each is one error: where, what, and the way out."""
    assert says in error(tmp_path, text)


def test_deep_nesting_is_an_error(tmp_path: Path) -> None:
    assert "lab.yaml" in error(tmp_path, "{a: " * 5000)


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    """A user mends the file once; what many hosts inherit is said once."""
    message = error(
        tmp_path,
        "all:\n  vars:\n    ansible_port: x\n  hosts:\n    b/c:\n    b:\n      ansible_user: '{{u}}'\n",
    )
    assert [line.strip().split(": ")[0] for line in message.splitlines()[1:4]] == [
        "line 3",
        "line 3",
        "line 5",
    ]
    assert "line 7" in message


COPY = {"after": "install", "from": "a", "to": "b", "paths": ["/x"]}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"after": "instal"}, "there is no phase 'instal'"),
        ({"after": 3}, "'after' must be a text, not a number"),
        ({"from": "nobody"}, "no node or group 'nobody'"),
        ({"to": "a"}, "'to' names no node besides a"),
        ({"to": None}, "'to' must be a text, not nothing"),
        ({"paths": []}, "'paths' is empty"),
        ({"paths": ["x"]}, "must be absolute"),
        ({"paths": ["/x/../../etc"]}, "without .."),
        ({"paths": "/"}, "must be absolute"),
        ({"paths": ["/etc/*"]}, "holds a pattern"),
        ({"paths": ["/{{ x }}"]}, "'paths' is a template"),
        ({"owner": "a b"}, "owner must be owner or owner:group"),
        ({"owner": "-R"}, "owner must be"),
        ({"mode": "u+x"}, "mode must be octal digits"),
        ({"mode": 416}, "in quotes"),
        ({"group": "x"}, "there is no key 'group'"),
    ],
)
def test_bad_copies(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    """Each field is checked before anything runs."""
    top = {"all": {"vars": {"asyncstack_copy": [COPY | changes]}, "hosts": {"a": None, "b": None}}}
    assert says in error(tmp_path, json.dumps(top))


@pytest.mark.parametrize(
    ("value", "says"),
    [("{}", "must be a list"), ("[x]", "must be a mapping"), ("[{}]", "'after' and 'from' and")],
)
def test_bad_copy_lists(tmp_path: Path, value: str, says: str) -> None:
    assert says in error(tmp_path, f"all: {{vars: {{asyncstack_copy: {value}}}, hosts: {{a: }}}}")


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"all: {hosts: {\xff: }}")
    for path, says in [
        (tmp_path / "none", "there is no such inventory"),
        (tmp_path, "is a directory"),
        (tmp_path / "latin", "can't be read"),
        (Path(os.devnull), "is empty"),
    ]:
        with pytest.raises(InventoryError, match=says):
            read_inventory(path)
