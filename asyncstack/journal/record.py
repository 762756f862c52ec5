"""run.json: what a run was, for people and programs that don't want to read its journal."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import msgspec
from msgspec import Struct, field

from asyncstack.errors import RunDirectoryError
from asyncstack.events import FORMAT_VERSION
from asyncstack.model import Status
from asyncstack.plan import PlannedPhase
from asyncstack.settings import RunSettings

__all__ = ["RecordedNode", "RecordedPlugin", "RunRecord"]


class RecordedPlugin(Struct, frozen=True, kw_only=True):
    """A plugin as it ran: `ref` is what was asked for, `commit` what it resolved to."""

    name: str
    url: str
    ref: str
    commit: str = ""


class RecordedNode(Struct, frozen=True, kw_only=True):
    """A node as it was found; `facts` are strings (bash, kernel, os, cpus, memory).

    `local_conf` may be another file on each node; its digest is that of the file.
    """

    name: str
    host: str = ""
    dest: str = ""
    local_conf: str = ""
    local_conf_digest: str = ""
    status: Status = Status.PENDING
    facts: dict[str, str] = field(default_factory=dict)


class RunRecord(Struct, frozen=True, kw_only=True):
    """The content of run.json.

    Written when the run starts, with status `running`, and again when it ends. `versions` maps a
    program to its version, `local_conf` is the first node's, `local_conf_digest` is `sha256:<hex>`,
    points in time are UTC. From `settings` and `plan` another controller can take the run up.
    """

    run_id: str
    command: str
    started: dt.datetime
    finished: dt.datetime | None = None
    status: Status = Status.RUNNING
    exit_code: int | None = None
    format_version: int = FORMAT_VERSION
    versions: dict[str, str] = field(default_factory=dict)
    local_conf: str = ""
    local_conf_digest: str = ""
    phases: tuple[str, ...] = ()
    nodes: tuple[RecordedNode, ...] = ()
    plugins: tuple[RecordedPlugin, ...] = ()
    controller_pid: int = 0
    settings: RunSettings | None = None
    plan: tuple[PlannedPhase, ...] = ()

    def write(self, path: Path) -> None:
        """Replace the file at `path` by this record, all or nothing.

        Raises RunDirectoryError if it can't be written.
        """
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            partial.write_bytes(
                msgspec.json.format(msgspec.json.encode(self, enc_hook=_encode_path), indent=2)
                + b"\n"
            )
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise RunDirectoryError(
                f"can't be written: {error.strerror}",
                path=str(path),
                hint="free some space, or choose another directory with --run-dir DIR",
            ) from error

    @property
    def local_confs(self) -> tuple[str, ...]:
        """The files that the nodes were configured by, each once."""
        files = [node.local_conf for node in self.nodes if node.local_conf]
        return tuple(dict.fromkeys(files or [self.local_conf]))

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """The record at `path`. Raises RunDirectoryError if it is missing or broken."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls, dec_hook=_decode_path)
        except OSError as error:
            raise RunDirectoryError(f"can't be read: {error.strerror}", path=str(path)) from error
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise RunDirectoryError(f"is no run record: {error}", path=str(path)) from error


def _encode_path(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} in a run record")


def _decode_path(kind: type, value: object) -> object:
    if issubclass(kind, Path):
        return kind(str(value))
    raise NotImplementedError(f"{kind.__name__} in a run record")
