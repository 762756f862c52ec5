"""What is delivered to a node: the driver, the tree, the user's files, as one tar archive."""

from __future__ import annotations

import functools
import gzip
import io
import shlex
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

__all__ = ["DriverSettings", "build_payload", "unpack_texts"]

_HERE = Path(__file__).parent
#: Of compression: it saves four fifths of the bytes, and more effort hardly any more.
_LEVEL = 6
#: How often it looks, in its patience, whether somebody is there.
_LOOKS = 10
#: The driver's pipes. They come with the rest, so that nobody has to make them there.
_FIFOS = ("commands", "loop")


class DriverSettings(Struct, frozen=True, kw_only=True):
    """What a driver is told before it starts. `secrets` are names of variables of localrc.

    One that runs no phase has nothing to go on with by itself: after `patience_s` seconds in which
    nobody has followed it, it ends and leaves nothing behind. 0: it waits for ever.
    """

    nonce: str
    errexit: bool = True
    trace: bool = False
    dest: str = ""
    patience_s: float = 0
    secrets: tuple[str, ...] = ()

    def render(self) -> str:
        """The settings as bash, for the driver to source."""
        values = {
            "errexit": str(int(self.errexit)),
            "trace": str(int(self.trace)),
            "dest": self.dest,
            "pause": f"{self.patience_s / _LOOKS:.3f}" if self.patience_s else "",
            "looks": str(_LOOKS),
            "secrets": " ".join(self.secrets),
        }
        return "".join(
            f"declare -r _asyncstack_{name}={shlex.quote(value)}\n"
            for name, value in values.items()
        )


def build_payload(settings: DriverSettings, files: dict[str, tuple[bytes, int]]) -> bytes:
    """The archive, compressed: `files` maps a path below TOP_DIR to its content and its mode."""
    own = [
        ("nonce", f"{settings.nonce}\n".encode(), 0o600),
        ("settings", settings.render().encode(), 0o600),
        *((f"devstack/{path}", content, mode) for path, (content, mode) in files.items()),
    ]
    if settings.patience_s:  # who follows it shows that only where it is looked for
        own.append(("patience", b"", 0o600))
    return _common() + gzip.compress(_packed(own, _FIFOS, last=True), _LEVEL, mtime=0)


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
def _common() -> bytes:
    """What all nodes get: the beginning of an archive, read and compressed once for all of them.

    Compressed pieces one after the other are the compressed whole.
    """
    driver = ("driver.bash", (_HERE / "driver.bash").read_bytes(), 0o600)
    tree = ((f"devstack/{path}", content, mode) for path, content, mode in _read_tree())
    return gzip.compress(_packed([driver, *tree], last=False), _LEVEL, mtime=0)


def _read_tree() -> Iterator[tuple[str, bytes, int]]:
    root = _HERE / "tree"
    for path in sorted(root.rglob("*")):
        if path.is_file():
            # An installed wheel may have lost the mode, so a script is known by its first bytes.
            content = path.read_bytes()
            mode = 0o755 if content.startswith(b"#!") else 0o644
            yield path.relative_to(root).as_posix(), content, mode


def _packed(
    files: Iterable[tuple[str, bytes, int]], fifos: Iterable[str] = (), *, last: bool
) -> bytes:
    """An archive of (path, content, mode), with its end if it is the `last` part of the whole.

    In the others, which are ours, files alike are links to the first of them: two of three in the
    tree are the same placeholder, and to make files is most of what unpacking costs a node.
    """
    buffer = io.BytesIO()
    first: dict[tuple[bytes, int], str] = {}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content, mode in files:
            entry = tarfile.TarInfo(path)
            entry.mode = mode
            like = path if last else first.setdefault((content, mode), path)
            if like == path:
                entry.size = len(content)
            else:
                entry.type, entry.linkname = tarfile.LNKTYPE, like
            archive.addfile(entry, io.BytesIO(content))
        for path in fifos:
            entry = tarfile.TarInfo(path)
            entry.type, entry.mode = tarfile.FIFOTYPE, 0o600
            archive.addfile(entry)
        end = archive.offset
    return buffer.getvalue() if last else buffer.getvalue()[:end]
