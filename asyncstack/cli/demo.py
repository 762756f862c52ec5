"""`asyncstack demo`."""

from __future__ import annotations


def demo() -> None:
    """A complete try-out that needs nothing but this machine."""
