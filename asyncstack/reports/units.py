"""Numbers as people read them: durations, sizes, shares, bars."""

from __future__ import annotations

__all__ = ["bar", "clock", "count", "duration", "share", "size", "unit_aligned"]

_EIGHTHS = " ▏▎▍▌▋▊▉"


def duration(seconds: float) -> str:
    """`0.4 ms`, `12 ms`, `1.24 s`, `12.4 s`, `3:05`, `1:02:03`: three digits are enough."""
    if seconds < 0.9995:  # noqa: PLR2004 – what would round to 1000 ms
        return _milliseconds(seconds * 1000)
    if seconds < 9.995:  # noqa: PLR2004
        return f"{seconds:.2f} s"
    if seconds < 59.95:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    return clock(seconds)


def _milliseconds(value: float) -> str:
    if value < 0.05:  # noqa: PLR2004 – what would round to 0.0
        return "0 ms"
    return f"{value:.1f} ms" if value < 9.95 else f"{value:.0f} ms"  # noqa: PLR2004


def clock(seconds: float) -> str:
    """`0:07`, `3:05`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def unit_aligned(seconds: float) -> str:
    """Like `duration`, padded so that in a right-aligned column the digits end in one line."""
    number, _, unit = duration(seconds).partition(" ")
    return f"{number} {unit:<2}"


def size(count: int) -> str:
    """`812 B`, `4.2 kB`, `203 MB`: decimal, as git and df -H count."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5 or unit == "GB":  # noqa: PLR2004
            break
        value /= 1000
    digits = 1 if unit != "B" and value < 9.95 else 0  # noqa: PLR2004
    return f"{value:.{digits}f} {unit}"


def count(number: int, noun: str) -> str:
    """`1 step`, `2 steps`, `3 repositories`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"


def share(part: float, whole: float) -> str:
    """`12 %`; `<1 %` for what is something but rounds to nothing; empty for nothing."""
    if part <= 0 or whole <= 0:
        return ""
    percent = 100 * part / whole
    return "<1 %" if percent < 0.5 else f"{percent:.0f} %"  # noqa: PLR2004


def bar(fraction: float, width: int) -> str:
    """A bar of at most `width` characters, to an eighth of one; anything above 0 is visible."""
    fraction = min(max(fraction, 0.0), 1.0)
    full, eighths = divmod(round(fraction * width * 8), 8)
    if fraction > 0 and not full and not eighths:
        eighths = 1
    return "█" * full + (_EIGHTHS[eighths] if eighths else "")
