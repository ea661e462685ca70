"""A dump of databases of a MariaDB or MySQL server, by their own mariadb-dump or mysqldump: no file of it is read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, WithJsonSchema, model_validator

from tasks.inventory.secrets import SecretReference
from tasks.inventory.values import HostName, HostPath, Line, Port, User, Words, matching
from tasks.mariadb.host import data_options, ordinary_user, private_server
from tasks.mariadb.table_swap import REMAINS, remains
from tasks.remote.program import Program
from tasks.sources.dumps import mysql_rights
from tasks.sources.dumps.host import mysql_judge
from tasks.sources.dumps.product import Judge, Product

JUDGE = Program(mysql_judge, (ordinary_user, data_options, private_server))
HOST = Path(__file__).parent / "host"
# What DUMP writes after the trailer of mariadb-dump (10.5 to 11.8) and mysqldump.
END = r"\n-- Dump completed[^\n]*\n-- cloudbackup changed:[^\n]*\n\Z"
SYSTEM = ("mysql", "sys", "information_schema", "performance_schema")
DATABASE = r"[^`/\\.\x00-\x1f]{1,64}"
DatabaseName = Annotated[str, matching(DATABASE, "the name of a database"), WithJsonSchema({"type": "string"})]


class MySQL(Product):
    """Databases of a MariaDB or MySQL server; without `databases` all but the server's own."""

    title = "MariaDB or MySQL"
    tells = True
    # A table that is created, altered or dropped while the dump runs: error 1412, or 1146 when it is its turn.
    passing = r"Table definition has changed|doesn't exist \(1146\)"

    remedies: ClassVar[Mapping[str, str]] = {
        "SHOW CREATE (FUNCTION|PROCEDURE)": "GRANT SELECT ON mysql.proc (MySQL 8: SHOW_ROUTINE ON *.*) to the account",
        "'show events'": "GRANT EVENT on the database to the account",
        "SHOW VIEW command denied": "GRANT SHOW VIEW on the database to the account",
    }

    databases: tuple[DatabaseName, ...] = Field((), description="which; all but the server's own unless given")
    defaults_file: HostPath | None = Field(None, description="option file, where the tools run, with user and password")
    socket: HostPath | None = Field(None, description="the server's socket")
    host: HostName | None = Field(None, description="the server's address, for TCP")
    port: Port | None = Field(None, description="the server's port, for TCP")
    user: User | None = Field(None, description="the database account")
    password: SecretReference | None = Field(None, description="the database account's password")
    verify: tuple[Line, ...] = Field((), description="queries that must each answer 1 on a restored copy")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.socket and (self.host or self.port):
            raise ValueError("has socket and host or port: give one way to the server")
        if own := [name for name in self.databases if name.lower() in SYSTEM]:
            raise ValueError(f"{own[0]} is the server's own database: it fits no other server")
        return self

    @property
    def ends(self) -> str:
        """Return how a whole dump ends."""
        return END

    @property
    def secrets(self) -> Mapping[str, SecretReference]:
        """Return the password under the name by which the tools take it."""
        return {} if self.password is None else {"MYSQL_PWD": self.password}

    def tools(self) -> Sequence[str]:
        """Return what runs the tools: which of them is there, only it can find out."""
        return ("sh",)

    def by_hand(self) -> str:
        """Return how to ask the server for its databases."""
        return f"{' '.join(self.exec)} mariadb {' '.join(self._connection())} --execute='SHOW DATABASES'".strip()

    def dump(self) -> Words:
        """Return the script that dumps the databases."""
        return self._script("mysql_dump.sh", "\n".join(self.databases), *self._connection())

    def load(self) -> Words:
        """Return the script that restores all databases of a dump that are not there."""
        return self._script("mysql_load.sh", *self._connection())

    def left_out(self, said: Sequence[str]) -> Sequence[str]:
        """Return what the account may not see, so that the tools leave it out."""
        return tuple(mysql_rights.left_out(said, named=bool(self.databases)))

    def remains(self) -> Words:
        """Return the query for tables that a swap which was cut off has left."""
        client = 'exec "$(command -v mariadb || command -v mysql)" "$@"'
        options = ("--batch", "--raw", "--skip-column-names", f"--execute={REMAINS}")
        return (*self._hide(), "sh", "-c", client, "sh", *self._connection(), *options)

    def remaining(self, line: str) -> tuple[str, str]:
        """Return a table that is left, and the statement that drops it."""
        return remains([line])[0]

    def judge(self) -> Judge:
        """Return the program that restores a dump into a private server."""
        return Judge(JUDGE, {"verify": list(self.verify)})

    def _script(self, name: str, *words: str) -> Words:
        return (*self._hide(), "sh", "-c", (HOST / name).read_text("utf-8"), "sh", *words)

    def _hide(self) -> Words:
        return ("env", "HOME=/nonexistent") if self.defaults_file or self.user or self.password else ()

    def _connection(self) -> Words:
        given = {name: getattr(self, name) for name in ("socket", "host", "port", "user")}
        first = (f"--defaults-extra-file={self.defaults_file}",) if self.defaults_file else ()
        tcp = ("--protocol=tcp",) if self.host or self.port else ()
        return (*first, *(f"--{name}={value}" for name, value in given.items() if value is not None), *tcp)
