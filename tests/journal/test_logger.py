"""The logger that the journal is written with."""

from __future__ import annotations

import subprocess
import sys

LOG_ONE = """
import sys, threading
from asyncstack.events import RunStarted, stamped
from asyncstack.journal.logger import build_logger, log

lines = []
thread = threading.Thread(target=lambda: lines.append(build_logger("run-1", lines.append)))
thread.start()
thread.join()
assert "rich" not in sys.modules, "rich was imported"
event = RunStarted(command="stack", version="1", local_conf="", nodes=(), phases=())
log(lines.pop(), stamped(event))
assert lines[0].endswith(b"}\\n") and b'"run_id":"run-1"' in lines[0], lines
import rich.console
print("well")
"""


def test_a_line_needs_nothing_that_prints_in_colour_and_who_wants_that_has_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOG_ONE], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("well\n", "")
