"""The live server's tables, by their files, and which of them an archive or a restored copy lacks.

mariadb-backup says `completed OK!` about whatever it was made to copy. So the data directory is listed when the backup
begins and again at its end: what is in both lists must be in the stream, and later in each restored copy. A table
created or dropped meanwhile is in only one list; an altered or renamed one has another definition (the inode number of
its `.frm`): these are not checked.

Files cover all engines and need no privilege; a definition without other files is a view, a MEMORY table, or an InnoDB
table without its tablespace (DISCARD). Names are as on disk: `shop/caf@00e9`.

Part of the stream filter and of drills, which run alone on a host: standard library only, Python 3.8 and later, except
`damage` and, with the filter, `engines`, which are sent along.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.mariadb.damage import parse as damage_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    Files = dict[str, int]  # each file's path below the data directory, and its inode number

TOLD = "cloudbackup tables "
NAMED = 2000  # names of tables in a record; beyond that only the count per database
SCHEMAS = 2000
# What mariadb-backup copies from a database's folder (its own list of extensions, MariaDB 10.11). An .isl points to the
# file of an InnoDB table elsewhere.
KINDS = ("frm", "ibd", "par", "MYD", "MYI", "MAD", "MAI", "MRG", "ARZ", "ARM", "CSV", "CSM", "TRG", "TRN", "opt", "isl")
ALONE = ("opt", "TRN")  # files that belong to no table
DEFINING = ("frm", "ARZ")  # a table of ARCHIVE has its definition in its data
# POSIX shell: runs where the database tools are. $1 is the data directory; a folder's files follow its name.
LISTING = """\
cd -- "$1" || exit 1
for folder in */; do
  [ -d "$folder" ] && printf '=%s\\n' "$folder" && ls -1i -- "$folder"
done
exit 0
"""
_FILE = re.compile(r"\s*(\d+) (.+)\.([A-Za-z]{3})")
_PARTITION = re.compile(r"#p#", re.IGNORECASE)


class Known(NamedTuple):
    """What an archive should hold: the number of tables and views of each database, and the first names.

    `discarded` are InnoDB tables without tablespace on the live server, `damaged` its damaged pages, by tablespace
    name, and `elsewhere` the tables of which only the definition is in the archive, with their engines.
    """

    schemas: Mapping[str, int]
    names: Sequence[str]
    discarded: Sequence[str] = ()
    damaged: Mapping[str, Sequence[int]] = MappingProxyType({})
    elsewhere: Mapping[str, str] = MappingProxyType({})

    def details(self) -> dict[str, Any]:
        """Return it as details of a record."""
        found = {"count": sum(self.schemas.values()), "schemas": dict(self.schemas), "names": list(self.names)}
        more: dict[str, Any] = {
            "discarded": list(self.discarded),
            "damaged": {name: list(each) for name, each in self.damaged.items()},
            "elsewhere": dict(self.elsewhere),
        }
        return {**found, **{name: values for name, values in more.items() if values}}


class Compared(NamedTuple):
    """The filter's report: what the archive holds, how many tables it lacks, and the first of them.

    `bare` are tables and views whose only file is their definition.
    """

    known: Known
    missing: int
    first: Sequence[str]
    bare: Sequence[str] = ()


def listed(text: str) -> Files:
    """Parse LISTING's output to the files of tables, without temporary ones of an ALTER TABLE."""
    found: Files = {}
    folder = ""
    for line in text.splitlines():
        if line.startswith("="):
            folder = line[1:]
            continue
        match = _FILE.fullmatch(line)
        if match and match[3] in KINDS and not match[2].startswith("#sql"):
            found[f"{folder}{match[2]}.{match[3]}"] = int(match[1])
    return found


def stable(before: Files, after: Files) -> list[str]:
    """Return the files in both lists, of tables whose definition did not change."""
    return sorted(path for path in before if path in after and _same(_definition(path), before, after))


def _definition(path: str) -> str:
    return path if path.rpartition(".")[2] in (*ALONE, *DEFINING) else f"{table(path)}.frm"


def _same(definition: str, before: Files, after: Files) -> bool:
    return definition in before and before[definition] == after.get(definition)


def table(path: str) -> str:
    """Return the table of a file, without partitions and extension."""
    return _PARTITION.split(path.rpartition(".")[0])[0]


def tables(paths: Iterable[str]) -> list[str]:
    """Return the names of the tables and views whose definitions are among the files."""
    return sorted({table(path) for path in paths if path.rpartition(".")[2] in DEFINING})


def bare(paths: Iterable[str]) -> list[str]:
    """Return the tables and views whose only file is their definition."""
    kinds: dict[str, set[str]] = {}
    for path in paths:
        kinds.setdefault(table(path), set()).add(path.rpartition(".")[2])
    return sorted(name for name, found in kinds.items() if found == {"frm"})


def left_out(paths: Iterable[str], streamed: set[str]) -> list[str]:
    """Return the tables with a file that is not in a stream, given the stream's paths.

    A table that was created or rebuilt during the copy comes as `.new`, which `--prepare` renames.
    """
    return sorted({table(path) for path in paths if path not in streamed and not _comes_otherwise(path, streamed)})


def _comes_otherwise(path: str, streamed: set[str]) -> bool:
    """Return whether a file may come in a stream under another name."""
    return path.endswith(".isl") or (path.endswith(".ibd") and f"{path[:-4]}.new" in streamed)


def counted(names: Iterable[str]) -> dict[str, int]:
    """Return the number of tables of each database."""
    found: dict[str, int] = {}
    for name in names:
        schema = name.partition("/")[0]
        found[schema] = found.get(schema, 0) + 1
    return found


def known(names: Sequence[str]) -> Known:
    """Return what to record about tables."""
    return Known(dict(list(counted(names).items())[:SCHEMAS]), tuple(names[:NAMED]))


def lacking(expected: Known, names: Iterable[str]) -> list[str]:
    """Return, in words, what a restored copy with the tables `names` lacks; empty if nothing."""
    have = set(names)
    gone = [name for name in expected.names if name not in have]
    short = counted(gone)
    counts = counted(have)
    unnamed = [
        f"{readable(schema)}: {counts.get(schema, 0)} of {count} tables"
        for schema, count in expected.schemas.items()
        if counts.get(schema, 0) < count and schema not in short
    ]
    return [*map(readable, gone), *unnamed]


def absent(data: Path, expected: Known) -> list[str]:
    """Return, in words, what a restored data directory lacks."""
    return lacking(expected, tables(f"{path.parent.name}/{path.name}" for path in data.glob("*/*.*")))


def readable(name: str) -> str:
    """Return a table's readable name: `shop.café` for shop/caf@00e9."""
    text = re.sub("@([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), name.replace("/", ".", 1))
    return text if text.isprintable() else name


def parse(values: object) -> Known | None:
    """Parse the result of `Known.details`; None if invalid, as a record is not trusted."""
    if not isinstance(values, Mapping) or not isinstance(values.get("schemas"), Mapping):
        return None
    schemas = {
        name: count for name, count in values["schemas"].items() if isinstance(name, str) and isinstance(count, int)
    }
    harm = damage_in(values.get("damaged"))
    far = values.get("elsewhere")
    pairs = far.items() if isinstance(far, Mapping) else ()
    named = {name: engine for name, engine in pairs if isinstance(name, str) and isinstance(engine, str)}
    return Known(schemas, _texts(values.get("names")), _texts(values.get("discarded")), harm, named)


def _texts(values: object) -> tuple[str, ...]:
    return tuple(each for each in values if isinstance(each, str)) if isinstance(values, list) else ()


class Live:
    """The live server's tables, as listed by the filter. `words` run LISTING where the database is."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self.before = self.look()
        self.elsewhere: dict[str, str] = {}  # tables whose data the stream does not have, with their engines

    def look(self) -> Files | None:
        """Return the current files; None if they cannot be listed."""
        try:
            done = subprocess.run(
                self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
            )
        except OSError:
            return None
        files = listed(done.stdout.decode("utf-8", "surrogateescape"))
        return files if done.returncode == 0 and files else None

    def defined(self, path: bytes, definition: bytes) -> None:
        """Note a table's definition in the stream."""
        from tasks.mariadb.host.engines import elsewhere  # drills do without

        found = elsewhere(definition)
        if found:
            self.elsewhere[table(relative(path))] = found

    def told(self, streamed: set[bytes]) -> str:
        """Return the report line that compares a complete stream with these paths; empty if unknown."""
        before, after = self.before, self.look()
        if before is None or after is None:
            return ""
        files = stable(before, after)
        gone = left_out(files, set(map(relative, streamed)))
        lost = set(gone)
        there = [name for name in tables(files) if name not in lost]
        far = {name: self.elsewhere[name] for name in there if name in self.elsewhere}
        held = known(there)._replace(elsewhere=dict(list(far.items())[:NAMED]))
        values = {**held.details(), "missing": len(gone), "first": gone[:NAMED], "bare": bare(files)[:NAMED]}
        return f"{TOLD}{base64.b64encode(zlib.compress(json.dumps(values).encode())).decode()}\n"


def relative(path: bytes) -> str:
    """Return a path in a stream as below the data directory."""
    text = path.decode("utf-8", "surrogateescape")
    return text[2:] if text.startswith("./") else text


def compared(said: Sequence[str]) -> Compared | None:
    """Parse the filter's comparison; None if it could not list the live server's tables. Raises ValueError."""
    line = next((line for line in said if line.startswith(TOLD)), None)
    if line is None:
        return None
    values = json.loads(_unpacked(base64.b64decode(line[len(TOLD) :])))
    expected = parse(values)
    missing = values.get("missing") if isinstance(values, dict) else None
    if expected is None or not isinstance(missing, int):
        raise ValueError("no list of tables")
    return Compared(expected, missing, _texts(values.get("first")), _texts(values.get("bare")))


def held(found: Compared, unopened: Sequence[str]) -> Known:
    """Return what to record, including the tables that InnoDB knows without a tablespace (DISCARD).

    `unopened` are InnoDB tables whose tablespace is not open: discarded ones, and those not used yet.
    """
    return found.known._replace(discarded=tuple(sorted(set(unopened) & set(found.bare))))


def _unpacked(data: bytes) -> bytes:
    """Unpack compressed text, at most 16 MiB, since a host sent it."""
    try:
        return zlib.decompressobj().decompress(data, 1 << 24)
    except zlib.error as error:
        raise ValueError(str(error)) from None
