"""What is delivered to a node: the driver, the tree, the user's files, as one tar archive."""

from __future__ import annotations

import functools
import io
import shlex
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

__all__ = ["DriverSettings", "build_payload", "unpack_texts"]

_HERE = Path(__file__).parent


class DriverSettings(Struct, frozen=True, kw_only=True):
    """What a driver is told before it starts. `secrets` are names of variables of localrc."""

    nonce: str
    errexit: bool = True
    trace: bool = False
    dest: str = ""
    secrets: tuple[str, ...] = ()

    def render(self) -> str:
        """The settings as bash, for the driver to source."""
        values = {
            "errexit": str(int(self.errexit)),
            "trace": str(int(self.trace)),
            "dest": self.dest,
            "secrets": " ".join(self.secrets),
        }
        return "".join(
            f"declare -r _asyncstack_{name}={shlex.quote(value)}\n"
            for name, value in values.items()
        )


def build_payload(settings: DriverSettings, files: dict[str, tuple[bytes, int]]) -> bytes:
    """The archive: `files` maps a path below TOP_DIR to its content and its mode."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, "nonce", f"{settings.nonce}\n".encode(), 0o600)
        _add(archive, "settings", settings.render().encode(), 0o600)
        _add(archive, "driver.bash", (_HERE / "driver.bash").read_bytes(), 0o600)
        for path, content, mode in _tree():
            _add(archive, f"devstack/{path}", content, mode)
        for path, (content, mode) in files.items():
            _add(archive, f"devstack/{path}", content, mode)
    return buffer.getvalue()


def unpack_texts(archive: bytes) -> dict[str, str]:
    """The files of an archive as text, by absolute path; what is not UTF-8 is left out.

    A cut archive gives what was whole of it.
    """
    texts: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r|") as opened:
            for entry in opened:
                stream = opened.extractfile(entry) if entry.isfile() else None
                if stream is not None:
                    with suppress(UnicodeDecodeError):
                        texts[f"/{entry.name}"] = stream.read().decode()
    except tarfile.TarError:
        return texts
    return texts


@functools.cache
def _tree() -> tuple[tuple[str, bytes, int], ...]:
    # Read once, however many nodes there are.
    return tuple(_read_tree(_HERE / "tree"))


def _read_tree(root: Path) -> Iterator[tuple[str, bytes, int]]:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            # An installed wheel may have lost the mode, so a script is known by its first bytes.
            content = path.read_bytes()
            mode = 0o755 if content.startswith(b"#!") else 0o644
            yield path.relative_to(root).as_posix(), content, mode


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = mode
    archive.addfile(entry, io.BytesIO(content))
