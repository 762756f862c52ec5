"""A module that is hidden from one import."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from asyncstack.hiding import hidden

IMPORT_BESIDE = """
import sys
from asyncstack import hiding

hidden = hiding.hidden("no_such")

class Ending:
    # Somewhere in the middle of another thread's search the block ends.
    @staticmethod
    def find_spec(name, path, target=None):
        if name == "this_one":
            hidden.__exit__(None, None, None)

sys.meta_path.insert(len(sys.meta_path) - 1, Ending)
hidden.__enter__()
import this_one
assert len([one for one in sys.meta_path if one.__module__ == hiding.__name__]) == 0
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


def test_it_is_hidden_from_one_thread_for_a_while() -> None:
    found: list[object] = []

    def other() -> None:
        import tabnanny

        found.append(tabnanny)

    sys.modules.pop("tabnanny", None)
    with hidden("tabnanny"):
        with pytest.raises(ModuleNotFoundError):
            import tabnanny
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert found
    sys.modules.pop("tabnanny")
    import tabnanny

    assert tabnanny.__name__ == "tabnanny"
