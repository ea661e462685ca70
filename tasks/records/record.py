"""Records: small immutable JSON files, each about one run of one action on one app."""

import getpass
import json
import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tasks.answers import (
    FIRST_YEAR,
    LAST_YEAR,
    Answer,
    Count,
    Name,
    Number,
    Seconds,
    Text,
    read,
    typed,
)
from tasks.encodable import encodable_in
from tasks.sources.kinds import SOURCE_NAME

VERSION = 1
LONGEST = 32 << 20  # bytes of one record: one that lists 100,000 archives has about 7 MB
NEWEST = 30  # default number of records read of each kind
HISTORY = 130  # of each kind, for history views: daily backups of about four months
UNCHANGED = "unchanged"  # the action of a run that found nothing new to save; only the newest of a day is kept
_NAME = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)-(?P<kind>.+)-[0-9a-f]{4}\.json")
_SAVING = re.compile(rf"(?P<action>backup|{UNCHANGED})-(?P<source>{SOURCE_NAME})(?P<failed>-failed)?")
_DAY = len("2026-11-22")
Outcome = Literal["ok", "warning", "suspect", "incomplete", "failed"]  # best first; see verdict.py


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("not a time")  # noqa: TRY004  # pydantic takes a ValueError alone
    time = datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise ValueError("a year out of range")
    return time


class _File(Answer):
    """A record's file; `Record` explains the fields."""

    app: Name
    action: Name
    time: Annotated[datetime, BeforeValidator(_time)]
    microsecond: Annotated[int, Field(strict=True, ge=0, lt=1_000_000)] = 0
    outcome: Outcome
    source: Name | None = None
    duration_seconds: Seconds | None = None
    error: Text | None = None
    archive: Name | None = None
    archive_id: Name | None = None
    size: Count | None = None
    stored: Count | None = None
    archive_ids: list[Text] | None = None
    config_sha256: Name | None = None
    transaction: Count | None = None
    objects: Number | None = None
    operator: Text | None = None
    tool: Text | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class _Details(Answer):
    """The types of the known `details`; code that needs more than the type validates the value itself."""

    removing_ids: list[Text] | None = None
    removed_ids: list[Text] | None = None
    known_ids: list[Text] | None = None
    proven_ids: list[Text] | None = None
    adopted_ids: list[Text] | None = None
    series: list[Text] | None = None
    series_withdrawn: list[Text] | None = None
    ignored_records: list[Text] | None = None
    unfinished: list[dict[str, Any]] | None = None
    forced: list[Text] | None = None
    doubts: list[Text] | None = None
    suspect: list[Text] | None = None
    recount: bool | None = None
    chunk_size: Count | None = None
    left_out: dict[str, Any] | None = None
    position: dict[str, Any] | Text | None = None
    binlog: dict[str, Any] | None = None


_REPOSITORY = ("archive_ids", "config_sha256", "transaction", "objects")  # fields that any action may give as details


@dataclass(frozen=True)
class Record:
    """What one action on one app did: start time (UTC), duration, amount of data, outcome.

    In a file, `time` has whole seconds and `microsecond` the rest, so that two drills in one second have an order.
    `action` is the verb, such as `backup`, `restore` or `verify`. Sizes are in bytes: `size` is that of the archive's
    content, `stored` what it added to the repository. `error` is the first line of the error shown. `archive_ids` are
    the ids of all archives listed afterwards, None if listing failed; `config_sha256`, `transaction` and `objects` are
    the repository's state at that time (see `state.py`). `tool` is the version that wrote it. `details` holds data of a
    single action, such as the chunk size of a database's archive.
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
    tool: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def with_details(self, details: Mapping[str, Any]) -> "Record":
        """Return the record with these details of its action; those that a record has a field for go there."""
        rest = {name: value for name, value in details.items() if name not in _REPOSITORY}
        own = {name: details[name] for name in _REPOSITORY if name in details}
        return replace(self, details=rest, **own)

    def to_json(self) -> str:
        """Return the record as the text of a file, with only characters that every encoding can write."""
        values = {key: value for key, value in asdict(self).items() if value not in (None, {})}
        values["time"] = f"{self.time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        fraction = {"microsecond": self.time.microsecond} if self.time.microsecond else {}
        return json.dumps(encodable_in({"version": VERSION, **values, **fraction}), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Record":
        """Return the record parsed from a file's text. Unknown fields, from a later version, are ignored.

        Raises AnswerError, a ValueError, if it is not a record: anyone with write access to the storage can write
        anything.
        """
        said = read(_File, text, LONGEST)
        typed(_Details, said.details)
        values = {name.name: getattr(said, name.name) for name in fields(cls)}
        values["time"] = said.time.replace(microsecond=said.microsecond)
        ids = None if said.archive_ids is None else tuple(said.archive_ids)
        return cls(**{**values, "archive_ids": ids})

    @classmethod
    def from_name(cls, app: str, name: str) -> "Record | None":
        """Return what a file name alone shows of a backup or an `unchanged` run; None for any other record.

        The name does not distinguish between ok and warning: ok is assumed.
        """
        found = _NAME.fullmatch(name)
        saving = _SAVING.fullmatch(found["kind"]) if found else None
        if not found or not saving:
            return None
        try:
            time = datetime.strptime(found["time"], "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
        except ValueError:
            return None
        return cls(app, saving["action"], time, "failed" if saving["failed"] else "ok", saving["source"])


@dataclass(frozen=True)
class Records:
    """An app's records, oldest first, and the names of files that could not be parsed as one."""

    all: tuple[Record, ...] = ()
    broken: tuple[str, ...] = ()

    @classmethod
    def parse(cls, files: Mapping[str, bytes]) -> "Records":
        """Return the records in `files`, by name; broken ones are listed by name, none raises."""
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
    """Return the kind in a record's file name, such as `backup-binlog` or, of a failure, `backup-binlog-failed`.

    Old names contain only the action.
    """
    found = _NAME.fullmatch(name)
    return found["kind"] if found else ""


def newest_names(names: Iterable[str], newest: int = NEWEST) -> list[str]:
    """Return the file names of the newest records of each kind, sorted.

    They are counted per kind, so that frequent records (binary logs, every five minutes) do not crowd out the only
    evidence of a backup.
    """
    kinds: dict[str, list[str]] = {}
    for name in sorted(names):
        if name.endswith(".json"):
            kinds.setdefault(kind(name), []).append(name)
    return sorted(name for each in kinds.values() for name in each[-newest:])


def daily_names(names: Iterable[str], days: int = HISTORY) -> list[str]:
    """Return, per kind, the first and the last name of each of the newest `days` days (UTC) that have any.

    A day in any time zone that has records then has at least one of these.
    """
    ends: dict[str, dict[str, tuple[str, str]]] = {}
    for name in sorted(names):
        if name.endswith(".json"):
            of_kind = ends.setdefault(kind(name), {})
            first, _ = of_kind.get(name[:_DAY], (name, name))
            of_kind[name[:_DAY]] = (first, name)
    return sorted({name for of_kind in ends.values() for both in list(of_kind.values())[-days:] for name in both})


def superseded(names: Iterable[str], written: str) -> list[str]:
    """Return the names of `unchanged` records that a new one replaces: all but the last of each of `HISTORY` days."""
    of_kind = sorted({written, *(name for name in names if kind(name) == kind(written))})
    last = list({name[:_DAY]: name for name in of_kind}.values())[-HISTORY:]
    return [name for name in of_kind if name < written and name not in last]


def operator_name() -> str:
    """Return who runs this: a person at a machine, a CI job or a pod, by the names that they report."""
    if job := os.environ.get("GITHUB_RUN_ID"):
        return f"GitHub run {job}"
    if job := os.environ.get("CI_JOB_URL"):
        return f"GitLab job {job}"
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
