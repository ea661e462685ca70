"""When `nightly` last asked an app's repository what could be pruned, kept in the cache of this machine.

A prune that drops nothing leaves no record. Without this file, or with a broken one, it is only asked once more.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import RootModel, ValidationError

from tasks.files import replace_whole

LARGEST = 1 << 20  # bytes of the file


class _Times(RootModel[dict[str, datetime]]):
    """The time of each app."""


def read(file: Path) -> Mapping[str, datetime]:
    """Return the time of each app; empty if there is no such file, or it holds anything else."""
    try:
        with file.open("rb") as opened:
            times = _Times.model_validate_json(opened.read(LARGEST)).root
        return {app: time.astimezone(UTC) for app, time in times.items()}
    except (OSError, ValidationError, ValueError, OverflowError):
        return {}


def write(file: Path, apps: Sequence[str], now: datetime) -> None:
    """Note that these apps were asked now. A file that cannot be written changes nothing."""
    times = {**read(file), **dict.fromkeys(apps, now)}
    try:
        replace_whole(file, _Times(times).model_dump_json().encode())
    except OSError:
        return
