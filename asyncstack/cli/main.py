"""From a command line to an exit code, whatever happens in between."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable

from asyncstack.errors import AsyncstackError

__all__ = ["main"]

_BUG, _INTERRUPTED, _BROKEN_PIPE = 70, 130, 141


def main(before: Callable[[], None] | None = None) -> None:
    """Run the command line of this process, and end it with the exit code that belongs to it.

    `before` is done first; what it raises is told like anything else that goes wrong.
    """
    sys.exit(_run(before))


def _run(before: Callable[[], None] | None = None) -> int:
    try:
        if before is not None:
            before()
        from asyncstack.cli.app import app  # noqa: PLC0415 – imports count as part of the run

        app(prog_name="asyncstack")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Who reads us has had enough (`| head`); Python must not try to flush once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 – the last resort of the whole program
        return _report(error)
    return 0


def _report(error: Exception) -> int:
    expected = _expected(error)
    if expected is None:
        return _report_bug(error)
    for one in expected:
        print(f"asyncstack: {one}", file=sys.stderr)  # noqa: T201
    return expected[0].exit_code


def _expected(error: BaseException) -> list[AsyncstackError] | None:
    """The errors that we raise on purpose, out of the groups that task groups make of them."""
    if isinstance(error, AsyncstackError):
        return [error]
    if not isinstance(error, BaseExceptionGroup):
        return None
    found: list[AsyncstackError] = []
    for part in error.exceptions:
        inner = _expected(part)
        if inner is None:
            return None
        found += inner
    return found


def _report_bug(error: Exception) -> int:
    with tempfile.NamedTemporaryFile(
        "w", prefix="asyncstack-bug-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        traceback.print_exception(error, file=file)
    print(  # noqa: T201
        f"asyncstack: a bug of ours: {type(error).__name__}: {error}\n"
        f"  the details are in {file.name}; please report them",
        file=sys.stderr,
    )
    return _BUG
