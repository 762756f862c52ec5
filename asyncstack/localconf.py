"""local.conf: its sections, and the localrc that a node's driver is to evaluate.

The localrc section is a bash script and only bash can say what it means; here it is cut out, with
every line kept at its number, so that what bash says about line 12 is about line 12 of local.conf.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import msgspec
from msgspec import Struct

from asyncstack.errors import LocalConfError
from asyncstack.model import Suspicion

__all__ = [
    "LocalConf",
    "Section",
    "is_secret",
    "literal_secrets",
    "parse_sections",
    "read_local_conf",
    "secret_names",
    "suspicions",
]

# What some editors put before the first line.
_BOM = b"\xef\xbb\xbf"
# DevStack's rule: at the beginning of a line, `[[`, something, `|`, perhaps something, `]]`; the
# first word of that line, without its brackets, is split at `|`.
_HEADER = re.compile(r"\[\[.+\|.*\]\]")
_ASSIGNMENT = re.compile(
    r"^\s*(?:(?:export|declare|typeset|local)\s+(?:-\S+\s+)*)?(\w+)=", re.MULTILINE
)
_LITERAL = re.compile(
    r"""^\s*(?:export\s+)?(\w+)=(?:('[^'\n]+'|"[^"$`\\\n]+")|([^\s'"$`\\;&|()#]+))""", re.MULTILINE
)
# KEY as a word of the name: KEYSTONE_REGION_NAME is none.
_SECRET = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|(?:^|_)(?:API|PRIVATE|ACCESS)?KEYS?(?:$|_)")


class Section(Struct, frozen=True):
    """One `[[group|file]]` section. `line` is its header's number, 1-based."""

    group: str
    file: str
    line: int
    content: tuple[str, ...]

    @property
    def proper(self) -> bool:
        """False for what merely looks like a header, such as `[[ a || b ]]` in a script."""
        return bool(re.fullmatch(r"[\w-]+", self.group)) and bool(self.file)


class LocalConf(Struct, frozen=True):
    """A local.conf with what lies beside it. `localrc_path` is where `localrc` comes from.

    `localrc` is None where there is neither a section nor a file of that name.
    """

    path: Path
    text: str
    sections: tuple[Section, ...]
    localrc: str | None
    localrc_path: Path
    extra_files: dict[str, tuple[bytes, int]]
    preset: str = ""

    def groups(self) -> frozenset[str]:
        """The groups that have a section (`post-config`, `extra`, …), `local` apart."""
        return frozenset(s.group for s in self.sections if s.proper) - {"local"}

    def node_files(self, *, dest: str = "") -> dict[str, tuple[bytes, int]]:
        """What a driver's TOP_DIR gets: path → (content, mode).

        `dest` goes before the first line, so that localrc may use it.
        """
        assert self.localrc is not None
        preset = self.preset
        if dest:
            preset += f"DEST={_quoted(dest)}\nDATA_DIR=$DEST/data\nSERVICE_DIR=$DEST/status\n"
        # `eval`, for a value may have lines of its own, and those of localrc keep their numbers.
        before = f"eval {_quoted_line(preset)}; " if preset else ""
        localrc = before + self.localrc
        name = "localrc" if self.localrc_path.name == "localrc" else ".localrc.auto"
        return {
            "local.conf": (_bytes(self.text), 0o600),
            name: (_bytes(localrc), 0o600),
            **self.extra_files,
        }

    def with_localrc(self, lines: str) -> LocalConf:
        """The same with `lines` (bash assignments) after the end of its localrc, where they win.

        They stand before its first line as well, so that it can use them (`enable_plugin` takes
        its directory from the DEST of the moment); on that line, so that no number changes.
        """
        if not lines or self.localrc is None:
            return self
        return msgspec.structs.replace(
            self, localrc=f"{self.localrc}\n{lines}", preset=self.preset + lines
        )

    @property
    def has_local_sh(self) -> bool:
        """True if there is an executable local.sh to run after `extra`."""
        return "local.sh" in self.extra_files


def read_local_conf(path: Path) -> LocalConf:
    """Read a local.conf and the files beside it that DevStack reads.

    Raises LocalConfError if it can't be read, or if there is no localrc in any form.
    """
    text = _read(path) if path.exists() else ""
    beside = path.parent / "localrc"
    sections = tuple(parse_sections(text))
    if beside.is_file():
        localrc: str | None = _read(beside)
    elif not path.exists():
        raise LocalConfError(
            "no such file",
            path=str(path),
            hint="put it there, or name another one behind the command (or try: asyncstack demo)",
        )
    else:
        beside = path
        localrc = _localrc_section(text, sections)
    if localrc is None:
        raise LocalConfError(
            "has no [[local|localrc]] section",
            path=str(path),
            hint="plugins are enabled there: [[local|localrc]], then enable_plugin NAME URL",
        )
    return LocalConf(path, text, sections, localrc, beside, _extra_files(path.parent))


def parse_sections(text: str) -> list[Section]:
    """All sections, in order; what stands before the first header belongs to none."""
    sections: list[Section] = []
    lines = text.split("\n")
    headers = [n for n, line in enumerate(lines) if _HEADER.match(line)]
    for number, end in zip(headers, [*headers[1:], len(lines)], strict=False):
        word = lines[number].split()[0].replace("[", "").replace("]", "")
        group, _, rest = word.partition("|")
        content = tuple(lines[number + 1 : end])
        sections.append(Section(group, rest.split("|")[0], number + 1, content))
    return sections


def suspicions(local_conf: LocalConf) -> list[Suspicion]:
    """What in local.conf is probably not meant."""
    found: list[Suspicion] = []
    path = str(local_conf.path)
    known = {"local", "post-config", "extra", "post-extra", "test-config"}
    for section in local_conf.sections:
        if not section.proper:
            message = (
                "this line looks like a section header to DevStack, which cuts localrc off here; "
                "put a space before it"
            )
            found.append(Suspicion("section-by-accident", message, "", path, section.line))
        elif section.group not in known:
            message = f"nothing merges the group {section.group!r}"
            found.append(Suspicion("unknown-group", message, "", path, section.line))
    if local_conf.localrc_path != local_conf.path:
        message = f"{local_conf.localrc_path} wins over this section, which is not used"
        found.extend(
            Suspicion("localrc-file-wins", message, "", path, section.line)
            for section in local_conf.sections
            if (section.group, section.file) == ("local", "localrc")
        )
    return found


def secret_names(localrc: str) -> tuple[str, ...]:
    """The variables that a localrc assigns and whose values nobody should read."""
    names = dict.fromkeys(_ASSIGNMENT.findall(localrc))
    return tuple(name for name in names if is_secret(name))


def literal_secrets(localrc: str) -> list[str]:
    """The secrets that stand in a localrc as they are: known before bash has read it."""
    return [
        (quoted or plain).strip("'\"")
        for name, quoted, plain in _LITERAL.findall(localrc)
        if is_secret(name)
    ]


def is_secret(name: str) -> bool:
    """True if a variable of this name holds a password, a token or a key."""
    return bool(_SECRET.search(name.upper()))


def _localrc_section(text: str, sections: tuple[Section, ...]) -> str | None:
    # Several such sections are one, for DevStack.
    found = [s for s in sections if (s.group, s.file) == ("local", "localrc")]
    if not found:
        return None
    lines = [""] * len(text.split("\n"))
    for section in found:
        lines[section.line : section.line + len(section.content)] = section.content
    return "\n".join(lines)


def _extra_files(directory: Path) -> dict[str, tuple[bytes, int]]:
    files: dict[str, tuple[bytes, int]] = {}
    script, passwords = directory / "local.sh", directory / ".localrc.password"
    if script.is_file() and script.stat().st_mode & 0o111:
        files["local.sh"] = (script.read_bytes(), 0o755)
    if passwords.is_file():
        files[".localrc.password"] = (passwords.read_bytes(), 0o600)
    return files


def _read(path: Path) -> str:
    try:
        text = path.read_bytes().removeprefix(_BOM).decode("utf-8", "surrogateescape")
    except IsADirectoryError as error:
        hint = f"name the file in it: {path / 'local.conf'}"
        raise LocalConfError("is a directory", path=str(path), hint=hint) from error
    except OSError as error:
        raise LocalConfError(f"can't be read: {error.strerror}", path=str(path)) from error
    if "\r\n" in text:
        raise LocalConfError(
            "has line ends of Windows, of which bash takes one half for a part of each value",
            path=str(path),
            line=text[: text.index("\r\n")].count("\n") + 1,
            hint=f"convert it: sed -i 's/\\r$//' {shlex.quote(str(path))}",
        )
    return text


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _quoted_line(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"$'{escaped}'"
