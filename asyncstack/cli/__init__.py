"""The command line. `main` is the only place where an error becomes a message and an exit code."""

from __future__ import annotations

from asyncstack.cli.main import main

__all__ = ["main"]
