"""Fetch DevStack plugins all at once, run their phases in order, time every step."""

from __future__ import annotations

__version__ = "0.1.0"
