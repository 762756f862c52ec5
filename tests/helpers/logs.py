"""Logs for tests that look at nothing that is printed."""

from __future__ import annotations

__all__ = ["NoLogs"]


class NoLogs:
    """Takes output and keeps none (`asyncstack.executor.Logs`)."""

    pending_bytes = 0

    async def flush(self) -> None:
        """Nothing is kept."""
