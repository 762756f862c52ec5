"""What is wrong with an inventory, collected, so that a user sees all of it at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from asyncstack.errors import InventoryError
from asyncstack.model import Suspicion

__all__ = ["FLATTEN", "Problems"]

#: The way out of everything that only Ansible itself can read.
FLATTEN = "let Ansible read it: ansible-inventory -i FILE --list > nodes.json, then -i nodes.json"


@dataclass(slots=True)
class Problems:
    """The errors and warnings about one file."""

    path: str
    warnings: list[Suspicion] = field(default_factory=list)
    _errors: dict[tuple[int, str], str] = field(default_factory=dict)

    def add(self, line: int, problem: str, hint: str = "") -> None:
        """Note an error; one that many hosts inherit is noted once."""
        self._errors.setdefault((line, problem), hint)

    def warn(self, line: int, code: str, message: str) -> None:
        """Note something that is probably not meant."""
        warning = Suspicion(code, message, path=self.path, line=line)
        if warning not in self.warnings:
            self.warnings.append(warning)

    def check(self) -> None:
        """Raise an InventoryError that names everything found, if anything was."""
        if not self._errors:
            return
        hint = "\n  ".join(dict.fromkeys(filter(None, self._errors.values())))
        if len(self._errors) == 1:
            ((line, problem),) = self._errors
            raise InventoryError(problem, path=self.path, line=line, hint=hint)
        found = [
            f"line {line}: {problem}" if line else problem for line, problem in sorted(self._errors)
        ]
        summary = f"{len(found)} problems:\n    " + "\n    ".join(found)
        raise InventoryError(summary, path=self.path, hint=hint)
