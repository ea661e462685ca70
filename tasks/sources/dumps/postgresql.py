"""A dump of a PostgreSQL database, or of a whole server, by PostgreSQL's own pg_dump and pg_dumpall."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, WithJsonSchema, model_validator

from tasks.inventory.secrets import SecretReference
from tasks.inventory.values import Line, Words, matching
from tasks.remote.program import Program
from tasks.remote.script import quote
from tasks.sources.dumps.host import judgement, postgresql_judge
from tasks.sources.dumps.product import NOTE, Judge, Product

JUDGE = Program(postgresql_judge, (judgement,))
ALL = Path(__file__).parent / "host" / "postgresql_dump.sh"
LOAD = Path(__file__).parent / "host" / "postgresql_load.sh"
PART = Path(__file__).parent / "host" / "postgresql_part.sh"
TABLE = Path(__file__).parent / "host" / "postgresql_table.awk"
REMAINS = (
    "SELECT 'the database ' || datname || ' was left by a restore that was cut off' FROM pg_database"
    " WHERE shobj_description(oid, 'pg_database') = 'cloudbackup: a restore fills it'"
)
# What libpq takes for the name of a database alone: with a `=` or `://` in it, it would be a connection string.
DATABASE = r"[A-Za-z_][A-Za-z0-9_$.-]{0,62}"
DatabaseName = Annotated[
    str, matching(DATABASE, "the name of a database: a-z, 0-9, `_`, `$`, `.`, `-`"), WithJsonSchema({"type": "string"})
]
# How pg_dumpall ends what it writes (PostgreSQL 12 to 17); since 15.14 and 17.6 a line `\unrestrict KEY` may follow.
END = r"-- PostgreSQL database cluster dump complete\n--\n\s*(\\unrestrict \w+\s*)?\Z"


class PostgreSQL(Product):
    """A database of a PostgreSQL server, or without `database` all of them, with their roles."""

    title = "PostgreSQL"
    tells = True
    asides = (
        r"(?:\w+: )?(?:detail|hint|DETAIL|HINT|CONTEXT|LINE \d+):"
        r"|pg_dumpall: error: pg_dump failed|\s*Is the server running"
    )
    # pg_dump never leaves out what its role may not read: it fails (tried, PostgreSQL 15).
    remedies: ClassVar[Mapping[str, str]] = {
        "row-level security": "rows are hidden from the role: ALTER ROLE ... BYPASSRLS, or let a superuser dump",
        "permission denied for large object": "let a superuser dump: large objects have rights of their own",
        "permission denied": "GRANT pg_read_all_data TO the role (PostgreSQL 14 and later), or let a superuser dump",
    }

    database: DatabaseName | None = Field(None, description="the database; all of them, with roles, unless given")
    user: Line | None = Field(None, description="the role that reads it; that of the login unless given")
    host: Line | None = Field(None, description="the server's address, or the folder of its socket")
    port: int | None = Field(None, ge=1, le=65535, description="the server's port")
    password: SecretReference | None = Field(None, description="where the role's password is")
    verify: tuple[Line, ...] = Field((), description="queries that must each answer 1 or true on a restored copy")

    @model_validator(mode="after")
    def _queries_of_one(self) -> Self:
        if self.verify and self.database is None:
            raise ValueError("`verify` asks one database: name it under `database`")
        return self

    @property
    def ends(self) -> str:
        """Return how pg_dumpall ends its text; a dump of one database is an archive."""
        return "" if self.database else END

    @property
    def archive(self) -> bool:
        """Return whether it is an archive, which lists what data it has."""
        return self.database is not None

    @property
    def secrets(self) -> Mapping[str, SecretReference]:
        """Return the password under the name by which libpq takes it."""
        return {} if self.password is None else {"PGPASSWORD": self.password}

    def tools(self) -> Sequence[str]:
        """Return PostgreSQL's client programs."""
        return ("pg_dump", "pg_restore", "psql") if self.database else ("pg_dumpall", "psql")

    def dump(self) -> Words:
        """Return pg_dump's command, or a script that runs pg_dumpall. borg compresses, so pg_dump does not."""
        if self.database is None:
            return ("sh", "-c", ALL.read_text("utf-8"), "sh", *self._connection())
        return ("pg_dump", "--format=custom", "--compress=0", *self._connection(), f"--dbname={self.database}")

    def by_hand(self) -> str:
        """Return PostgreSQL's own command."""
        return super().by_hand() if self.database else quote((*self.exec, "pg_dumpall", *self._connection()))

    def left_out(self, said: Sequence[str]) -> Sequence[str]:
        """Return the databases that pg_dumpall left out."""
        shut = [line.removeprefix(f"{NOTE}shut ") for line in said if line.startswith(f"{NOTE}shut ")]
        return tuple(f"{each}: takes no connections, so pg_dumpall leaves it out (ALLOW_CONNECTIONS)" for each in shut)

    def _connection(self) -> Words:
        given = (("username", self.user), ("host", self.host), ("port", self.port))
        return ("--no-password", *(f"--{name}={value}" for name, value in given if value is not None))

    def load(self) -> Words:
        """Return the script that restores a database and exchanges it for the live one; empty for a whole server."""
        if self.database is None:
            return ()
        return ("sh", "-c", LOAD.read_text("utf-8"), "sh", self.database, *self._connection())

    def beside(self, into: str, schema: str, table: str) -> Words:
        """Return the script that restores into the new database `into`: all, or one table if it is not empty.

        For a table it reads the dump twice.
        """
        assert self.database is not None
        finds = TABLE.read_text("utf-8") if table else ""
        return (
            "sh",
            "-c",
            PART.read_text("utf-8"),
            "sh",
            self.database,
            into,
            schema,
            table,
            finds,
            *self._connection(),
        )

    def remains(self) -> Words:
        """Return the query for databases that a restore which was cut off has left."""
        words = ("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname=postgres")
        return (*words, *self._connection(), f"--command={REMAINS}") if self.database else ()

    def judge(self) -> Judge:
        """Return the program that restores a dump into a private server."""
        return Judge(JUDGE, {"whole": self.database is None, "verify": list(self.verify)})
