"""Which members of a server's archive are enough for a private server with some tables of one database.

Needed are, beside the tables' own files: all that is no database's (system tablespace, undo, redo, Aria's log, the
notes of mariadb-backup), the server's own databases, and of the database itself all small files and all that is not
InnoDB's, which may depend on each other. `mariadb-backup --prepare` passes over the redo log of a tablespace that is
not there, and a server on the rest has that table simply not (tried, 10.11.19).
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from tasks.mariadb.host import tables
from tasks.mariadb.host.align import DDL
from tasks.mariadb.host.members import FOLDER, NOTES, SMALL

SYSTEM = ("mysql", "sys", "performance_schema")
AUXILIARY = "FTS_"  # InnoDB's files of full-text indexes, named by the number of their table
PIECE = re.compile(r"\d{14}")
MOST = 500  # paths on borg's command line
STREAM, SMALL_FILES, DDL_NOTES = FOLDER.decode(), SMALL.decode(), NOTES.decode()
DDL_ENDS = tuple(end.decode() for end in DDL)


@dataclass(frozen=True)
class Part:
    """A database, or some of its tables; names as in SQL. `own`: only if each of the tables has members of its own."""

    database: str
    tables: Collection[str] = ()
    own: bool = False


@dataclass
class _File:
    """A file or folder of small files in an archive: its path below the stream, and the offset of its first piece."""

    path: str
    first: int = 0
    folder: str = field(init=False)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.folder, _, self.name = self.path.rpartition("/")

    @property
    def table(self) -> str:
        """The name of its table, as in SQL."""
        return decoded(tables.table(self.name))


def needed(paths: Iterable[str], part: Part) -> tuple[str, ...] | None:
    """Return the paths in the archive, given those of all its members, that are enough for a part.

    None if it must be read whole: it was made before there were members, tables were renamed, removed or rebuilt during
    the backup, or the names are not such as mariadb-backup gives.
    """
    files = _files(paths)
    if files is None:
        return None
    named = {each.casefold() for each in part.tables}
    owners = {each.table.casefold() for each in files if _is_in(each, part) and each.name != SMALL_FILES}
    if not any(_is_in(each, part) for each in files) or (part.own and not named <= owners):
        return None
    found = tuple(f"{STREAM}/{each.path}" for each in files if _is_needed(each, part, named))
    return found if len(found) <= MOST else None


def _files(paths: Iterable[str]) -> list[_File] | None:
    """Return the files in an archive; None if it has anything else."""
    found: dict[str, _File] = {}
    for each in _split(paths):
        if each is None:
            return None
        known = found.setdefault(each.path, each)
        known.first = min(known.first, each.first)
    return list(found.values())


def _split(paths: Iterable[str]) -> Iterator[_File | None]:
    for path in paths:
        folder, _, name = path.removeprefix(f"{STREAM}/").rpartition("/")
        parts = folder.split("/")
        small = parts[-1] == SMALL_FILES
        piece = PIECE.fullmatch(name) and not folder.endswith(DDL_ENDS)
        known = path.startswith(f"{STREAM}/") and folder and parts[0] != DDL_NOTES and "%" not in path
        yield _File(folder, 0 if small else int(name)) if known and (small or piece) else None


def _is_in(file: _File, part: Part) -> bool:
    return decoded(file.folder).casefold() == part.database.casefold()


def _is_needed(file: _File, part: Part, named: Collection[str]) -> bool:
    if not _is_in(file, part):
        return not file.folder or file.folder.startswith("#") or file.folder in SYSTEM
    if not named or not file.name.endswith(".ibd") or file.first:
        return True  # what does not begin at 0 has its beginning among the small files
    return file.name.startswith(AUXILIARY) or file.table.casefold() in named


def decoded(name: str) -> str:
    """Return a name as in SQL for one on disk: `café` for caf@00e9."""
    return re.sub("@([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), name)
