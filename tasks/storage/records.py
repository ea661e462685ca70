"""Records: small immutable JSON files, each about one run of one action on one app."""

import getpass
import json
import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

VERSION = 1
NEWEST = 30  # records of each kind that are read unless told otherwise
HISTORY = 130  # of each kind for what shows history: daily backups of some four months
UNCHANGED = "unchanged"  # the action of a look that found nothing new to save: the newest such record stands for all
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-(?P<kind>.+)-[0-9a-f]{4}\.json")
Outcome = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Record:
    """What one action on one app did: when it began (UTC), how long it took, how much it moved, how it ended.

    `action` is the verb, such as `backup`, `restore` or `verify`. Sizes are bytes: `size` what the archive holds,
    `stored` what it added to the repository. `error` is the first line that a person was shown. `archive_ids` are the
    ids of all archives that were listed afterwards, None when they could not be; `config_sha256`, `transaction` and
    `objects` are the repository's state then (see `state.py`). `details` holds what only one action
    knows, such as the chunk size of a database's archive.
    """

    app: str
    action: str
    time: datetime
    outcome: Outcome
    source: str | None = None
    duration_seconds: float | None = None
    error: str | None = None
    archive: str | None = None
    archive_id: str | None = None
    size: int | None = None
    stored: int | None = None
    archive_ids: tuple[str, ...] | None = None
    config_sha256: str | None = None
    transaction: int | None = None
    objects: int | None = None
    operator: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the record as a file's text."""
        values = {key: value for key, value in asdict(self).items() if value not in (None, {})}
        values["time"] = f"{self.time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return json.dumps({"version": VERSION, **values}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Record":
        """Return the record in a file's text. Fields that a later version added are left out.

        Raises ValueError when it is no record.
        """
        try:
            values = json.loads(text)
            known = {name.name for name in fields(cls)}
            values = {key: value for key, value in values.items() if key in known}
            values["time"] = datetime.strptime(values["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            if values.get("archive_ids") is not None:
                values["archive_ids"] = tuple(values["archive_ids"])
            return cls(**values)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"no record: {error}") from error


@dataclass(frozen=True)
class Records:
    """An app's records, oldest first, and the names of files that could not be read as one."""

    all: tuple[Record, ...] = ()
    broken: tuple[str, ...] = ()

    @classmethod
    def parse(cls, files: Mapping[str, bytes]) -> "Records":
        """Return the records in `files`, by name; a broken one is named, never raised."""
        records, broken = [], []
        for name, text in sorted(files.items()):
            try:
                records.append(Record.from_json(text))
            except ValueError:
                broken.append(name)
        return cls(tuple(sorted(records, key=lambda record: record.time)), tuple(broken))

    def newest(self, action: str, source: str | None) -> Record | None:
        """Return the newest record of an action on a source, whatever its outcome."""
        found = [record for record in self.all if (record.action, record.source) == (action, source)]
        return found[-1] if found else None


def kind(name: str) -> str:
    """Return what a record's file name says of it, such as `backup-binlog` or, of a failure, `backup-binlog-failed`.

    Old names say the action alone.
    """
    found = _NAME.fullmatch(name)
    return found["kind"] if found else ""


def newest_names(names: Iterable[str], newest: int = NEWEST) -> list[str]:
    """Return the file names of the newest records of each kind, sorted.

    Of each kind, because frequent ones (binary logs, every five minutes) must not push the only proof of a backup out.
    """
    kinds: dict[str, list[str]] = {}
    for name in sorted(names):
        if name.endswith(".json"):
            kinds.setdefault(kind(name), []).append(name)
    return sorted(name for each in kinds.values() for name in each[-newest:])


def operator_name() -> str:
    """Return who runs this: a person at a machine, a CI job or a pod, by the names that those give themselves."""
    if job := os.environ.get("GITHUB_RUN_ID"):
        return f"GitHub run {job}"
    if job := os.environ.get("CI_JOB_URL"):
        return f"GitLab job {job}"
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
