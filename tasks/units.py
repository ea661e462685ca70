"""Numbers formatted for people, and whether to use colours."""

import os
from collections.abc import Mapping
from typing import TextIO

UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def size(count: int | None) -> str:
    """Return bytes in powers of ten with a unit: `12.4 GB`, `212 MB`, `18 MB`. None gives an empty text.

    Gigabytes and more have one decimal below 100.
    """
    if count is None:
        return ""
    number, unit = float(count), 0
    while unit < len(UNITS) - 1 and abs(float(f"{number:.3g}")) >= 1000:
        number, unit = number / 1000, unit + 1
    whole = unit < UNITS.index("GB") or abs(float(f"{number:.3g}")) >= 100
    text = f"{number:.0f}" if whole else f"{number:.1f}"
    return f"{text} {UNITS[unit]}"


def many(count: int, thing: str) -> str:
    """Return a count with its noun: `1 file`, `20,000 files`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def entries(count: int) -> str:
    """Return a count of what stands in folders: `1 file or folder`, `20,000 files and folders`."""
    return "1 file or folder" if count == 1 else f"{count:,} files and folders"


def clock(seconds: float) -> str:
    """Return a duration as `0:41`, `12:05` or `1:02:03`."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def wants_colour(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether to colour output to `stream`: it is a terminal, and NO_COLOR (no-color.org) is not set."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def percent(part: float) -> str:
    """Return a fraction, from 0 to 1, as a percentage; more than nothing is never shown as zero."""
    return "100 %" if part >= 1 else f"{max(100 * part, 0.01):.2g} %" if part else "0 %"
