"""How many nodes may fail before the others stop. Pure."""

from __future__ import annotations

import re

from msgspec import Struct

from asyncstack.errors import SettingsError

__all__ = ["Policy"]

_ALL = 100  # per cent


class Policy(Struct, frozen=True):
    """`keep_going`: any number. `max_fail`: so many, or such a percentage of the nodes."""

    keep_going: bool = False
    max_fail: str = ""

    def __post_init__(self) -> None:
        if self.max_fail and not re.fullmatch(r"\d+%?", self.max_fail):
            raise SettingsError(
                f"--max-fail {self.max_fail}: is neither a number nor a percentage",
                hint="write --max-fail 2 or --max-fail 25%",
            )
        if self.max_fail.endswith("%") and int(self.max_fail[:-1]) > _ALL:
            raise SettingsError(f"--max-fail {self.max_fail}: is more than all nodes")

    def allows(self, failed: int, total: int) -> bool:
        """True if the nodes that are left may go on although `failed` of `total` have failed."""
        if failed >= total:
            return False
        if self.keep_going or not failed:
            return True
        if self.max_fail.endswith("%"):
            return failed * 100 <= int(self.max_fail[:-1]) * total
        return failed <= int(self.max_fail or 0)
