"""The golden run, added up."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncstack.journal import read_events
from asyncstack.reports.summary import Summary, summarise

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def data() -> Path:
    return DATA


@pytest.fixture
def golden() -> Summary:
    return summarise(read_events(DATA / "events-v1.jsonl"))
