"""Recognises a database's own files. Part of `paths.py`: standard library only, Python 3.8 or later.

A program that writes to them changes several places of several files in turn, so a copy that was read meanwhile is not
what any moment was. They are recognised by name and by their first bytes.
"""

from __future__ import annotations

import os
import re

SQLITE = re.compile(r"(?i)\.(?:db|db3|s3db|sl3|sqlite[0-9]?|sqlitedb)$")
WAL = "-wal"
MAGIC = {  # file formats as documented by each project
    "SQLite": (0, b"SQLite format 3\0"),
    "Redis": (0, b"REDIS"),
    "MongoDB": (0, b"WiredTiger\n"),
    "LMDB": (16, b"\xde\xc0\xef\xbe"),
}
MARIADB = ("aria_log_control", "aria_log.00000001", "mariadb_upgrade_info")  # beside ibdata1, and never MySQL's


def database(path: str) -> tuple[str, str] | None:
    """Return the product and the place of the database that a file belongs to: the file itself, or its folder."""
    folder, name = os.path.split(path)
    if name == "ibdata1":
        ours = any(os.path.exists(os.path.join(folder, each)) for each in MARIADB)
        return ("MariaDB" if ours else "MySQL"), folder
    if name == "PG_VERSION":
        return ("PostgreSQL", folder) if os.path.exists(os.path.join(folder, "global", "pg_control")) else None
    path = path[: -len(WAL)] if name.endswith(WAL) else path  # which lies beside a database that is in use
    product = by_name(name)
    if not product or not begins(path, *MAGIC[product]):
        return None
    return product, path if product in ("SQLite", "Redis") else folder


def by_name(name: str) -> str:
    """Return the product that a file may belong to; empty for most."""
    if name.endswith(".rdb"):
        return "Redis"
    if name == "WiredTiger":
        return "MongoDB"
    if name == "data.mdb":
        return "LMDB"
    return "SQLite" if SQLITE.search(name) or name.endswith(WAL) else ""


def begins(path: str, at: int, magic: bytes) -> bool:
    """Return whether a file has these bytes at a position."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return os.pread(file, len(magic), at) == magic
    except OSError:
        return False
    finally:
        os.close(file)
