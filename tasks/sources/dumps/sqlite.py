"""A dump of an SQLite database: a copy made by SQLite's online backup while programs write to it."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from tasks.inventory.values import HostPath, Line, Words
from tasks.remote.program import INTERPRETER, Program
from tasks.remote.script import quote
from tasks.sources.dumps.host import sqlite_dump, sqlite_judge, sqlite_load
from tasks.sources.dumps.product import Judge, Product

JUDGE = Program(sqlite_judge)


class SQLite(Product):
    """A database in one file."""

    title = "SQLite"
    tells = True

    path: HostPath = Field(description="the database's file on the host")
    verify: tuple[Line, ...] = Field((), description="queries that must each answer 1 on a restored copy")

    def tools(self) -> Sequence[str]:
        """Return python3, whose own SQLite makes the copy."""
        return ("python3",)

    def dump(self) -> Words:
        """Return the program that copies the database."""
        return (*INTERPRETER, Path(sqlite_dump.__file__).read_text("utf-8"), self.path)

    def by_hand(self) -> str:
        """Return SQLite's own check."""
        return quote((*self.exec, "sqlite3", self.path, "PRAGMA quick_check"))

    def load(self) -> Words:
        """Return the program that puts a database in its place, the old one kept."""
        return (*INTERPRETER, Path(sqlite_load.__file__).read_text("utf-8"), self.path)

    def judge(self) -> Judge:
        """Return the program that has SQLite check a dump."""
        return Judge(JUDGE, {"verify": list(self.verify)})
