"""From a host's variables to a node: the few that concern us, each checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asyncstack.inventory.items import Item, Kind
from asyncstack.inventory.problems import Problems
from asyncstack.inventory.sshargs import read_ssh_arguments
from asyncstack.inventory.values import Connection, InventoryHost
from asyncstack.model import Node, SshArguments

__all__ = ["Reader", "check_address", "check_name", "check_user"]

_NAME = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:@+-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\+-]*\$?")
_PORTS = range(1, 65536)
_CONNECTIONS: Mapping[str, Connection] = {
    "": "ssh",
    "ssh": "ssh",
    "smart": "ssh",
    "paramiko": "ssh",
    "ansible.builtin.ssh": "ssh",
    "local": "local",
    "ansible.builtin.local": "local",
}
_IGNORED = {
    "ansible_password": "set up a key or an agent",
    "ansible_ssh_pass": "set up a key or an agent",
}


#: In the order in which Ansible puts them before ssh, of which the first counts.
_SSH_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
_HOST_KEY_CHECKING = ("ansible_ssh_host_key_checking", "ansible_host_key_checking")


def check_name(name: str) -> str:
    """Say why a node can't be called so (its name becomes a directory's); '' if it can."""
    if _NAME.fullmatch(name):
        return ""
    return f"{name!r} can't be a node's name: letters, digits and . _ - : @ + may be in it"


def check_address(address: str) -> str:
    """Say why ssh can't be given an address; '' if it can."""
    if not address or address.startswith("-") or re.search(r"[\s\x00-\x1f\x7f/]", address):
        return f"{address!r} is no address"
    return ""


def check_user(user: str) -> str:
    """Say why a login can't be called so; '' if it can."""
    return "" if not user or _USER.fullmatch(user) else f"{user!r} is no user name"


def _resolved_by_ansible(name: str, host: str) -> str:
    return f"write its value out; this prints it: ansible {host} -i FILE -m debug -a var={name}"


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads variables of one host; what is wrong with them goes to `problems`."""

    name: str
    line: int
    variables: Mapping[str, Item]
    folder: Path
    problems: Problems

    def host(self, groups: tuple[str, ...]) -> InventoryHost:
        """Return the host; if something is wrong, one that must not be used."""
        self._warn_of_ignored()
        connection = self._connection()
        return InventoryHost(
            node=self._node() if connection == "ssh" else Node(self._checked_name()),
            connection=connection,
            key_file=self._key_file(),
            local_conf=self._local_conf(),
            localrc=self._localrc(),
            groups=groups,
        )

    def _node(self) -> Node:
        address, line = self._first("ansible_ssh_host", "ansible_host")
        user, user_line = self._first("ansible_ssh_user", "ansible_user")
        self._complain(line, check_address(address or self.name))
        self._complain(user_line, check_user(user))
        inner, inner_line = self._first("asyncstack_inner_address")
        self._complain(inner_line, check_address(inner) if inner else "")
        name, port, ssh = self._checked_name(), self._port(), self._ssh_arguments()
        return Node(name, address or self.name, user, port, inner, ssh)

    def _ssh_arguments(self) -> SshArguments:
        texts: list[str] = []
        for name in _HOST_KEY_CHECKING:
            item = self.variables.get(name)
            if item is not None and item.text.lower() in ("false", "no", "off", "0"):
                texts.append("-o StrictHostKeyChecking=no")
        for name in _SSH_ARGUMENTS:
            item = self.variables.get(name)
            if item is None or item.kind is Kind.NULL:
                continue
            unused = ["what it says"]
            # A template, or what Ansible alone can read, was never an error: it may be of no use here.
            if item.kind is Kind.TEXT and "{{" not in item.text and "{%" not in item.text:
                try:
                    _, unused = read_ssh_arguments(item.text)
                except ValueError as error:
                    self._complain(item.line, f"{name} can't be read: {error}")
                else:
                    texts.append(item.text)
            if unused:
                message = f"{name}: {' '.join(unused)} is not used; it belongs into ~/.ssh/config"
                self.problems.warn(item.line, "inventory-ignored-variable", message)
        return read_ssh_arguments(" ".join(texts))[0]

    def _checked_name(self) -> str:
        self._complain(self.line, check_name(self.name))
        return self.name

    def _complain(self, line: int, problem: str, hint: str = "") -> None:
        if problem:
            where = problem if self.name in problem else f"host {self.name!r}: {problem}"
            self.problems.add(line or self.line, where, hint)

    def _first(self, *names: str) -> tuple[str, int]:
        """Return the first of these variables that is set, and its line."""
        for name in names:
            text = self._text(name)
            if text:
                return text, self.variables[name].line
        return "", self.line

    def _text(self, name: str) -> str:
        item = self.variables.get(name)
        return "" if item is None else self._scalar(name, item, {Kind.TEXT, Kind.NUMBER})

    def _scalar(self, name: str, item: Item, kinds: set[Kind]) -> str:
        """Return a value's text; '' if it is empty, or not one of these kinds."""
        if item.kind is Kind.NULL:
            return ""
        if item.kind not in kinds:
            unknown = item.kind in (Kind.VAULT, Kind.FOREIGN)
            hint = _resolved_by_ansible(name, self.name) if unknown else "put it in quotes"
            plain = item.kind in (Kind.LIST, Kind.MAPPING)
            self._complain(item.line, f"{name} is {item.kind.value}", "" if plain else hint)
            return ""
        if "{{" in item.text or "{%" in item.text:
            problem = f"{name} is a template, which neither we nor ansible-inventory evaluate"
            self._complain(item.line, problem, _resolved_by_ansible(name, self.name))
            return ""
        return item.text

    def _port(self) -> int:
        text, line = self._first("ansible_ssh_port", "ansible_port")
        if not text:
            return 0
        if text.isascii() and text.isdigit() and int(text) in _PORTS:
            return int(text)
        self._complain(line, f"{text!r} is no port")
        return 0

    def _connection(self) -> Connection:
        text, line = self._first("ansible_connection")
        if text in _CONNECTIONS:
            return _CONNECTIONS[text]
        hint = "asyncstack knows ansible_connection: ssh and local"
        self._complain(line, f"can't be reached by connection {text!r}", hint)
        return "ssh"

    def _key_file(self) -> Path | None:
        names = ("ansible_ssh_private_key_file", "ansible_private_key_file")
        return next(filter(None, map(self._path, names)), None)

    def _path(self, name: str) -> Path | None:
        text = self._text(name)
        if not text:
            return None
        try:
            return self.folder / Path(text).expanduser()
        except RuntimeError:  # ~somebody who doesn't exist
            self._complain(self.variables[name].line, f"{name}: there is no home {text!r}")
            return None

    def _local_conf(self) -> Path | None:
        path = self._path("local_conf")
        if path is not None and not path.is_file():
            line = self.variables["local_conf"].line
            self._complain(line, f"there is no local.conf {str(path)!r}")
        return path

    def _localrc(self) -> dict[str, str]:
        item = self.variables.get("localrc")
        if item is None or item.kind is Kind.NULL:
            return {}
        if item.kind is not Kind.MAPPING:
            problem = f"localrc must be a mapping of variables, not {item.kind.value}"
            self._complain(item.line, problem)
            return {}
        return {name: self._localrc_value(name, value) for name, value in item.entries.items()}

    def _localrc_value(self, name: str, item: Item) -> str:
        if not _VARIABLE.fullmatch(name):
            self._complain(item.line, f"{name!r} is no name of a bash variable")
        kinds = {Kind.TEXT, Kind.NUMBER, Kind.BOOL}
        value = self._scalar(f"localrc.{name}", item, kinds)
        if "\0" in value or not _encodable(value):
            self._complain(item.line, f"localrc.{name} holds what bash can't")
        return value

    def _warn_of_ignored(self) -> None:
        for name, advice in _IGNORED.items():
            if name in self.variables:
                message = f"{name} is not used; {advice}"
                line = self.variables[name].line
                self.problems.warn(line, "inventory-ignored-variable", message)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
