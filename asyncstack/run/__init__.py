"""The composition root: what a user asks for, put together from the parts.

The only place that names concrete transports, the journal and a display together.
"""

from __future__ import annotations

from asyncstack.run.engine import RunResult, execute
from asyncstack.run.planning import Plan, PlannedPlugin, make_plan

__all__ = ["Plan", "PlannedPlugin", "RunResult", "execute", "make_plan"]
