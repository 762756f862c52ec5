"""The logger that the journal is written with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


IMPORT_BESIDE = """
import sys
from asyncstack.journal import logger

hidden = logger._unseen("rich")

class Ending:
    # Somewhere in the middle of another thread's search the block ends.
    @staticmethod
    def find_spec(name, path, target=None):
        if name == "this_one":
            hidden.__exit__(None, None, None)

sys.meta_path.insert(len(sys.meta_path) - 1, Ending)
hidden.__enter__()
import this_one
assert len([one for one in sys.meta_path if one.__module__ == logger.__name__]) == 0
print("well")
"""


def test_what_other_threads_import_meanwhile_is_found(tmp_path: Path) -> None:
    (tmp_path / "this_one.py").write_text("")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_BESIDE],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert (done.stdout, done.stderr) == ("well\n", "")
