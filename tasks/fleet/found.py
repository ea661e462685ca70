"""What `find` found, as a table and as JSON."""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tasks.borg.client.list import Archive
from tasks.borg.versions import Version, path_of
from tasks.encodable import encodable_in
from tasks.inventory.models import App
from tasks.terminal import one_line
from tasks.times import day, moment, utc
from tasks.units import many, size

SHOWN = 100  # files in a table


@dataclass(frozen=True)
class Looked:
    """The answer for one app and storage: its archives, newest first, the versions by path, and what went wrong.

    `known` are the ids of archives that have a record.
    """

    app: App
    archives: Sequence[Archive] = ()
    known: frozenset[str] = frozenset()
    files: dict[bytes, list[Version]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def table(looked: Sequence[Looked], pattern: str) -> str:
    """Return what was found for people: each file with its versions, the newest first, and a line for each app."""
    return "\n".join(line for each in looked for line in _lines(each, pattern))


def _lines(one: Looked, pattern: str) -> Iterator[str]:
    now, label = datetime.now(UTC), one.app.label
    for path, found in list(one.files.items())[:SHOWN]:
        gone = "" if any(0 in each.archives for each in found) else "  (not in the newest archive)"
        yield f"{path_of(path)}{gone}"
        yield from (_version_line(one, each, now) for each in found)
    if len(one.files) > SHOWN:
        yield f"{label}: and {len(one.files) - SHOWN:,} more: give a longer pattern, or --format json"
    unknown = sum(each.id not in one.known for each in one.archives)
    if unknown:
        yield f"{label}: {many(unknown, 'archive')} among them no record knows: what they hold proves nothing"
    yield from (f"{label}: not looked through: {one_line(fault)}" for fault in one.faults)
    since = f" since {day(one.archives[-1].start, now)}" if one.archives else ""
    what = many(len(one.files), "path") if one.files else f"nothing by the name {one_line(pattern)}"
    yield f"{label}: {what} in {many(len(one.archives), 'archive')}{since}"
    yield from _command(one)


def _version_line(one: Looked, version: Version, now: datetime) -> str:
    changed = moment(version.changed, now) if version.changed else "?"
    digest = f"  {version.sha256[:12]}" if version.sha256 else ""
    newest = one.archives[version.archives[0]].name
    among = f"in {many(len(version.archives), 'archive')}, newest {newest}"
    return f"  {size(version.size):>7}  {changed:>16}{digest}  {among}"


def _command(one: Looked) -> Iterator[str]:
    """Yield the command that puts the first file back; none for a name that cannot be typed."""
    for path, found in list(one.files.items())[:1]:
        archive = one.archives[found[0].archives[0]].name
        if path_of(path).encode() == b"/" + path:
            words = ("restore", "--app", one.app.name, "--path", path_of(path), "--archive", archive)
            yield f"  back in its place: inv {shlex.join(words)}"


def as_json(looked: Sequence[Looked]) -> str:
    """Return what was found as JSON: sizes in bytes, times in UTC, the newest version and archive first."""
    values = [
        {
            "app": one.app.name,
            "storage": one.app.storage,
            "archives": [
                {"name": each.name, "start": utc(each.start), "known": each.id in one.known} for each in one.archives
            ],
            "faults": list(one.faults),
            "files": [
                {
                    "path": path_of(path),
                    "in_newest": any(0 in each.archives for each in found),
                    "versions": [_version(one, each) for each in found],
                }
                for path, found in one.files.items()
            ],
        }
        for one in looked
    ]
    return json.dumps(encodable_in(values), indent=1, ensure_ascii=False)


def _version(one: Looked, version: Version) -> dict[str, Any]:
    return {
        "type": version.kind,
        "size": version.size,
        "changed": utc(version.changed) if version.changed else None,
        "sha256": version.sha256,
        "archives": [one.archives[number].name for number in version.archives],
    }
