"""What is wrong with an inventory, collected, so that a user sees all of it at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from asyncstack.errors import InventoryError
from asyncstack.model import Suspicion

__all__ = ["FLATTEN", "Problems"]

_LINES = 10_000_000
#: The way out of everything that only Ansible itself can read.
FLATTEN = "let Ansible read it: ansible-inventory -i FILE --list > nodes.json, then -i nodes.json"


@dataclass(slots=True)
class Problems:
    """The errors and warnings about one inventory: a file, and those that belong to it.

    A line is one number, which tells the file as well: the lines of another than the first begin
    at what `begin_file` has returned for it.
    """

    path: str
    _others: list[str] = field(default_factory=list)
    warnings: list[Suspicion] = field(default_factory=list)
    _errors: dict[tuple[int, str], str] = field(default_factory=dict)

    def begin_file(self, path: str) -> int:
        """What to add to each line of one more file; by itself it is the file as a whole."""
        self._others.append(path)
        return len(self._others) * _LINES

    def _place(self, line: int) -> tuple[str, int]:
        number, line = divmod(line, _LINES)
        return self._others[number - 1] if number else self.path, line

    def add(self, line: int, problem: str, hint: str = "") -> None:
        """Note an error; one that many hosts inherit is noted once."""
        self._errors.setdefault((line, problem), hint)

    def warn(self, line: int, code: str, message: str) -> None:
        """Note something that is probably not meant."""
        path, line = self._place(line)
        warning = Suspicion(code, message, path=path, line=line)
        if warning not in self.warnings:
            self.warnings.append(warning)

    def check(self) -> None:
        """Raise an InventoryError that names everything found, if anything was."""
        if not self._errors:
            return
        hint = "\n  ".join(dict.fromkeys(filter(None, self._errors.values())))
        if len(self._errors) == 1:
            ((line, problem),) = self._errors
            path, line = self._place(line)
            raise InventoryError(problem, path=path, line=line, hint=hint)
        found = [self._located(line) + problem for line, problem in sorted(self._errors)]
        summary = f"{len(found)} problems:\n    " + "\n    ".join(found)
        raise InventoryError(summary, path=self.path, hint=hint)

    def _located(self, line: int) -> str:
        path, number = self._place(line)
        if path != self.path:
            return f"{path}:{number}: " if number else f"{path}: "
        return f"line {number}: " if number else ""
