"""Archive names: `<app>-<source>-<UTC time>`, such as `shop-files-2026-11-22T03-00-00`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from tasks.sources.kinds import SOURCE_NAME

TIME_FORMAT = "%Y-%m-%dT%H-%M-%S"
_NAME = re.compile(
    rf"(?P<app>[a-z0-9][a-z0-9_.-]*)-(?P<source>{SOURCE_NAME})-(?P<time>\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\d)", re.ASCII
)
_CHECKPOINT = re.compile(r"\.checkpoint(\.\d+)?$")  # borg 1.2 and 1.4, `is_checkpoint`


@dataclass(frozen=True)
class ArchiveName:
    """The parts of an archive's name; `time` is aware, in UTC, in whole seconds."""

    app: str
    source: str
    time: datetime

    def __str__(self) -> str:
        return f"{self.app}-{self.source}-{self.time.astimezone(UTC).strftime(TIME_FORMAT)}"


@lru_cache(8192)
def parse(name: str) -> ArchiveName | None:
    """Return the parts of `name`; None if it is not one of ours: a checkpoint, or a name given by a person."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    try:
        time = datetime.strptime(found["time"], TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return ArchiveName(found["app"], found["source"], time)


def names_source(name: str | None, source: str) -> bool:
    """Return whether an archive's name is of a source, or unknown: a drill of another one proves nothing of it."""
    named = parse(name) if name else None
    return not name or (named is not None and named.source == source)


def glob(app: str, source: str) -> str:
    """Return borg's glob for one source's archives of one app and their checkpoints, and no others.

    The time is spelled out, so that `shop-files-before-upgrade`, made by a person, never matches.
    """
    day, time = "[0-9]" * 4 + ("-" + "[0-9]" * 2) * 2, "-".join(["[0-9]" * 2] * 3)
    return f"{app}-{source}-{day}T{time}*"


def is_checkpoint(name: str) -> bool:
    """Return whether an archive is a checkpoint, left by an unfinished `borg create`."""
    return _CHECKPOINT.search(name) is not None
