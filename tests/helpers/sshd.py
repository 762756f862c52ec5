"""Real sshd processes on loopback, one a node, each with a home of its own.

MaxStartups and MaxSessions stay at their defaults: what we do has to fit them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MakeSshd", "Sshd", "available", "free_port", "make_key", "start_sshd"]

_PROGRAM = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@dataclass
class Sshd:
    """One running daemon; `home` is what its logins see as HOME."""

    port: int
    home: Path
    root: Path
    process: subprocess.Popen[bytes]

    @property
    def key(self) -> Path:
        return self.root / "user_key"

    @property
    def known_hosts(self) -> Path:
        return self.root / "known_hosts"

    @property
    def user(self) -> str:
        return pwd.getpwuid(os.getuid()).pw_name

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def start_again(self, wrapper: Sequence[str] = ()) -> None:
        """After `stop`: at the same port, with the same keys; by way of another program."""
        self.process = _launch(self.root, wrapper)
        _wait_until_it_listens(self)

    def host_key_line(self) -> str:
        public = (self.root / "host_key.pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {public[0]} {public[1]}\n"


def available() -> bool:
    """True if this machine has an sshd."""
    return _PROGRAM is not None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_key(path: Path, kind: str = "ed25519") -> None:
    """An ssh key without a passphrase."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "test", "-f", str(path)], check=True
    )


#: How a test asks for a daemon: its name, then lines of its configuration.
MakeSshd = Callable[..., Sshd]


def start_sshd(root: Path, *extra: str, trusted: bool = True) -> Sshd:
    """Start a daemon whose files lie below `root`; `extra` are lines of its configuration."""
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    home = root / "home"
    home.mkdir(exist_ok=True)
    for name in ("host_key", "user_key"):
        if not (root / name).exists():
            make_key(root / name)
    options = f'environment="HOME={home}",environment="XDG_STATE_HOME={home}/state" '
    (root / "authorized_keys").write_text(options + (root / "user_key.pub").read_text())
    port = free_port()
    config = [
        *extra,  # the first value counts
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {root}/host_key",
        f"AuthorizedKeysFile {root}/authorized_keys",
        "PermitUserEnvironment yes",
        "PermitRootLogin yes",
        "StrictModes no",
        "UsePAM no",
        "PidFile none",
        "LogLevel VERBOSE",
    ]
    (root / "sshd_config").write_text("\n".join(config) + "\n")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its privilege separation directory
    process = _launch(root)
    sshd = Sshd(port, home, root, process)
    _wait_until_it_listens(sshd)
    if trusted:
        sshd.known_hosts.write_text(sshd.host_key_line())
    return sshd


def _launch(root: Path, wrapper: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    assert _PROGRAM is not None
    with (root / "sshd.log").open("ab") as log:
        return subprocess.Popen(
            [*wrapper, _PROGRAM, "-D", "-e", "-f", str(root / "sshd_config")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _wait_until_it_listens(sshd: Sshd) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if sshd.process.poll() is not None:
            raise RuntimeError((sshd.root / "sshd.log").read_text())
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", sshd.port)) == 0:
                return
        time.sleep(0.01)
    raise TimeoutError("sshd does not listen")
