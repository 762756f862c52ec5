"""From a command line to an exit code, whatever happens in between."""

from __future__ import annotations

import errno
import gc
import sys
import tempfile
import traceback
from collections.abc import Callable

from asyncstack.cli.streams import BROKEN_PIPE, give_stdout_up, secure_streams
from asyncstack.errors import AsyncstackError

__all__ = ["main"]

#: New objects after which the collector has a look; Python's own default is 700.
_GC_THRESHOLD = 10_000
_WRONG, _BUG, _INTERRUPTED = 2, 70, 130
_UNWRITABLE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG))


def main(before: Callable[[], None] | None = None) -> None:
    """Run the command line of this process, and end it with the exit code that belongs to it.

    `before` is done first; what it raises is told like anything else that goes wrong.
    """
    secure_streams()
    # Most of what a run makes it keeps, or lets go without a cycle: fewer looks for those.
    gc.set_threshold(_GC_THRESHOLD)
    code = _flushed(_run(before))
    # All goes with the process. To look through it once more for cycles took 70 ms.
    gc.freeze()
    sys.exit(code)


def _flushed(code: int) -> int:
    """Write out what is still kept; what the program has to say by its code comes first."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        give_stdout_up()
        return code or BROKEN_PIPE
    except OSError as error:
        return code or _report_output(error)
    return code


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
        give_stdout_up()  # who reads us has had enough (`| head`)
        return BROKEN_PIPE
    except OSError as error:
        # Files of ours are told by their errors; what has no name is what we print to.
        unwritable = error.errno in _UNWRITABLE and error.filename is None
        return _report_output(error) if unwritable else _report(error)
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


def _report_output(error: OSError) -> int:
    give_stdout_up()
    print(  # noqa: T201
        f"asyncstack: standard output: can't be written: {error.strerror}\n"
        "  write it elsewhere; what a run has recorded is not affected: asyncstack report",
        file=sys.stderr,
    )
    return _WRONG


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
