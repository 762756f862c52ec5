"""The run directory: where a run keeps what it did, and how it is found again."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
from pathlib import Path

from msgspec import Struct

from asyncstack.errors import RunDirectoryError
from asyncstack.journal.record import RunRecord
from asyncstack.model import PhaseKey

__all__ = ["PastRun", "RunDirectory", "list_runs", "new_run_id", "runs_home"]


def new_run_id() -> str:
    """An id that sorts by time and is still readable: `20261121-213005-4f1c` (UTC).

    The last part is the fraction of the second, in 65536ths: of two runs in one second, the later
    one is the newest.
    """
    now = dt.datetime.now(dt.UTC)
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond * 65536 // 1_000_000:04x}"


def runs_home() -> Path:
    """Where runs are kept unless the user says otherwise."""
    state = os.environ.get("XDG_STATE_HOME", "")
    # A relative path there is to be ignored, says the XDG base directory specification.
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "asyncstack" / "runs"


class RunDirectory(Struct, frozen=True):
    """One run's directory. `path` is absolute; `run_id` its id, usually the path's last part."""

    path: Path
    run_id: str

    @property
    def events(self) -> Path:
        """The journal: one event a line."""
        return self.path / "events.jsonl"

    @property
    def run_json(self) -> Path:
        """What ran, and how it ended."""
        return self.path / "run.json"

    def log(self, node: str, index: int, key: PhaseKey, plugin: str) -> str:
        """Where a step's output goes, relative to the run directory.

        `index` is the phase's place in the run and keeps the folders in the order they ran in.
        """
        return f"logs/{_flat(node)}/{index:02d}-{key.slug}/{_flat(plugin)}.log"

    def in_progress(self) -> bool:
        """True while some process has this run's journal open for writing."""
        try:
            with self.events.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    @classmethod
    def create(
        cls, parent: Path | None = None, run_id: str | None = None, explicit: Path | None = None
    ) -> RunDirectory:
        """Make a new directory, mode 0700: `explicit` itself, or `<parent>/<run_id>`.

        Raises RunDirectoryError if it can't be made or written, or holds a run already.
        """
        run_id = run_id or new_run_id()
        path = (explicit or (parent or runs_home()) / run_id).absolute()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=explicit is not None)
            _refuse_used(path)
            path.chmod(0o700)
            (path / "logs").mkdir()
        except FileExistsError as error:
            raise _unusable(path, "exists already") from error
        except OSError as error:
            raise _unusable(path, f"can't be made or written: {error.strerror}") from error
        return cls(path, run_id)

    @classmethod
    def find(cls, run: str | None = None) -> RunDirectory:
        """The run that `run` means: an id, the unique beginning of one, a path; None: the newest.

        Raises RunDirectoryError if there is none, or if a beginning fits several.
        """
        if run and (os.sep in run or run in (".", "..")):
            return _at(Path(run))
        home = runs_home()
        ids = _ids(home)
        if not run:
            return _newest(home, ids)
        matches = [run] if run in ids else [name for name in ids if name.startswith(run)]
        if len(matches) == 1:
            return cls(home / matches[0], matches[0])
        if not matches and _is_run(Path(run)):
            return _at(Path(run))
        raise _not_one(run, home, matches)


class PastRun(Struct, frozen=True):
    """A run as `list_runs` finds it; `record` is None, and `problem` says why, if it is broken."""

    directory: RunDirectory
    record: RunRecord | None
    problem: str = ""


def list_runs(home: Path | None = None, *, after: str = "") -> list[PastRun]:
    """All runs under `home` (by default `runs_home()`), newest first. Reads run.json only.

    `after`: only those that began after the run of that id.
    """
    home = home or runs_home()
    return [_past_run(RunDirectory(home / name, name)) for name in _ids(home) if name > after]


def _past_run(directory: RunDirectory) -> PastRun:
    try:
        return PastRun(directory, RunRecord.read(directory.run_json))
    except RunDirectoryError as error:
        return PastRun(directory, None, error.problem)


def _flat(name: str) -> str:
    # `@extras.d/80-tempest.sh` is one step, not a folder; and no name may lead elsewhere.
    flat = name.replace("/", "-")
    return flat if flat.strip(".") else f"_{flat}"


def _is_run(path: Path) -> bool:
    return (path / "events.jsonl").is_file() or (path / "run.json").is_file()


def _ids(home: Path) -> list[str]:
    try:
        names = os.listdir(home)  # noqa: PTH208 – a Path an entry is most of the cost
    except OSError:
        return []
    return sorted((name for name in names if _is_run(home / name)), reverse=True)


def _refuse_used(path: Path) -> None:
    if any(path.iterdir()):
        raise _unusable(path, "is not empty; a run never writes into another one's directory")


def _at(path: Path) -> RunDirectory:
    if not _is_run(path):
        raise RunDirectoryError(
            "is no run directory", path=str(path), hint="see `asyncstack runs` for the known ones"
        )
    try:
        run_id = RunRecord.read(path / "run.json").run_id
    except RunDirectoryError:
        run_id = path.absolute().name
    return RunDirectory(path.absolute(), run_id)


def _newest(home: Path, ids: list[str]) -> RunDirectory:
    if not ids:
        raise RunDirectoryError(
            "no run yet", path=str(home), hint="start one: asyncstack stack local.conf"
        )
    return RunDirectory(home / ids[0], ids[0])


def _not_one(run: str, home: Path, matches: list[str]) -> RunDirectoryError:
    if not matches:
        return RunDirectoryError(
            f"no run {run!r}", path=str(home), hint="see `asyncstack runs` for the known ones"
        )
    return RunDirectoryError(
        f"{run!r} is the beginning of {len(matches)} runs: {', '.join(matches[:5])}",
        path=str(home),
        hint="type more of the id",
    )


def _unusable(path: Path, problem: str) -> RunDirectoryError:
    return RunDirectoryError(
        problem, path=str(path), hint="choose another directory with --run-dir DIR"
    )
