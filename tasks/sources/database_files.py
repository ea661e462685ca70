"""What `app.check` says of a database's own files among an app's.

Read while a program writes to them, a copy of them may be no database. Silent about what a source of the app saves
rightly, and about what the app's patterns leave out.
"""

import posixpath
import re
from collections.abc import Iterator

from tasks.borg.paths import SHOWN, Walked, some
from tasks.inventory.models import App
from tasks.sources.base import Finding
from tasks.sources.dumps.config import PRODUCTS
from tasks.sources.kinds import RESERVED, SOURCE_NAME

BEGINS = "files of a database of"
SQLITE, MARIADB, POSTGRESQL = "SQLite", "MariaDB", "PostgreSQL"
DUMP_KEYS = {POSTGRESQL: "postgresql", "MySQL": "mysql", "Redis": "redis", "MongoDB": "mongodb"}
OWN = {  # what writes a dump to standard output, where no ready-made product does it
    "MySQL": "mysqldump, --single-transaction, --all-databases",
    "Redis": "redis-cli, --rdb, /dev/stdout",
    "MongoDB": "mongodump, --archive",
    "LMDB": "slapcat",
}


def findings(app: App, found: Walked) -> Iterator[Finding]:
    """Yield a warning for each product of which files were found, with the lines of YAML that save it rightly."""
    for product in dict.fromkeys(product for product, _ in found.databases):
        places = [place for each, place in found.databases if each == product]
        places = [place for place in places if not _covered(app, product, place, found)]
        if places:
            yield "warning", f"{BEGINS} {product}: {some(places)}", _remedy(app, product, places)
    if found.databases_count > len(found.databases):
        yield "warning", f"{found.databases_count - len(found.databases):,} more files of databases", ""


def _covered(app: App, product: str, place: str, found: Walked) -> bool:
    if product == SQLITE:
        return place in {_real(dump.sqlite.path, found) for dump in app.dumps.values() if dump.sqlite is not None}
    if product == MARIADB and app.mariadb is not None:
        return True
    keys = [DUMP_KEYS[product]] if product in DUMP_KEYS else []
    keys += ["mysql", "mariadb"] if product in ("MySQL", MARIADB) else []
    programs = {word.strip() for word in OWN.get(product, "").split(",")[:1]}
    return any(
        any(getattr(dump, key, None) is not None for key in keys)
        or (dump.command is not None and bool(programs & {posixpath.basename(word) for word in dump.command}))
        for dump in app.dumps.values()
    )


def _real(path: str, found: Walked) -> str:
    """Return the location of a path without the links among the app's paths."""
    linked = (place + path[len(link) :] for link, place in found.links if (path + "/").startswith(link + "/"))
    return next(linked, path)


def _remedy(app: App, product: str, places: list[str]) -> str:
    left_out = ", ".join(f'"{pattern}"' for place in places[:SHOWN] for pattern in _patterns(product, place))
    more = " and so for the others" if len(places) > SHOWN else ""
    return (
        "a copy of files that a program writes to may be no database: save it by a source of its own,"
        f" `{_source(app, product, places[:SHOWN])}`, and leave its files out, `exclude: [{left_out}]`{more}"
    )


def _patterns(product: str, place: str) -> Iterator[str]:
    if product == SQLITE:
        yield from (f"pf:{place}{end}" for end in ("", "-wal", "-shm", "-journal"))
    else:
        yield f"pf:{place}" if product == "Redis" else f"pp:{place}"


def _source(app: App, product: str, places: list[str]) -> str:
    """Return the YAML of a source that saves a database rightly."""
    if product == MARIADB:
        return "mariadb: {}"
    taken: list[str] = [*app.sources, *RESERVED]
    if product == SQLITE:
        lines = [f'{_name(place, taken)}: {{sqlite: {{path: "{place}"}}}}' for place in places]
        return f"dumps: {{{', '.join(lines)}}}"
    key = DUMP_KEYS.get(product, "")
    how = f"{key}: {{}}" if key in PRODUCTS else f"command: [{OWN[product]}]"
    return f"dumps: {{{_name(key or product, taken)}: {{{how}}}}}"


def _name(place: str, taken: list[str]) -> str:
    """Return a name for a dump, made from a file's, and add it to those that are taken."""
    plain = re.sub(r"[^a-z0-9_]+", "_", posixpath.splitext(posixpath.basename(place))[0].lower()).strip("_")[:28]
    plain = plain if re.fullmatch(SOURCE_NAME, plain) else f"db_{plain}".rstrip("_")
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}{number}", number + 1
    taken.append(name)
    return name
