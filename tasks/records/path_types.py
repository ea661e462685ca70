"""Whether a path that the inventory names is still of the type that it was: a file, a folder.

A folder that was replaced by a file, or a file by a folder, has other content, however alike size and number of files
are. A container runtime makes such folders: where the file of a bind mount is missing, it creates a folder of its name.
"""

from collections.abc import Iterator, Mapping

from tasks.records.record import Record, Records
from tasks.records.verdict import SAVING, verdict_of, verdicts

TYPES = "types"  # in a record's details: what each path is, or leads to, such as {"/srv/shop": "folder"}


def changed(made: Record, records: Records) -> Iterator[str]:
    """Yield a sentence for each path that was of another type in the newest good backup that tells its type.

    Records of earlier versions tell none: nothing is compared with them.
    """
    before: dict[str, tuple[str, Record]] = {}
    known = verdicts(records)
    for record in records.all:
        if record.action not in SAVING or record.source != made.source or record.time >= made.time:
            continue
        if record.outcome != "failed" and known.get(record.archive_id or "", verdict_of(record)).good:
            before |= {path: (type_, record) for path, type_ in _types(record).items()}
    for path, type_ in _types(made).items():
        was, record = before.get(path, (type_, made))
        if was != type_:
            yield f"{path} is a {type_}, and was a {was} in {record.archive or 'the good backup before'}"


def _types(record: Record) -> dict[str, str]:
    values = record.details.get(TYPES)
    if not isinstance(values, Mapping):
        return {}
    return {path: type_ for path, type_ in values.items() if isinstance(type_, str) and type_}
