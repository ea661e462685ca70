"""A dump of a MongoDB server: the archive that its own mongodump writes. Written from its manual, and not tried.

https://www.mongodb.com/docs/database-tools/mongodump/: `--archive` without a file writes to standard output, `--config`
names a YAML file with `uri` or `password`, which are not on the command line then.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, WithJsonSchema

from tasks.inventory.secrets import SecretReference
from tasks.inventory.values import Words, matching
from tasks.remote.script import quote
from tasks.sources.dumps.product import Judge, Product

CLIENT = Path(__file__).parent / "host" / "mongodb_client.sh"
RESTORE = ("mongorestore", "--archive", "--stopOnError")
DATABASE = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
DatabaseName = Annotated[
    str, matching(DATABASE, "the name of a database: a-z, 0-9, `_`, `-`"), WithJsonSchema({"type": "string"})
]


class MongoDB(Product):
    """A database of a MongoDB server, or without `database` all of them."""

    title = "MongoDB"

    uri: SecretReference | None = Field(
        None, description="where the server's address with user and password is: mongodb://backup:...@127.0.0.1/"
    )
    database: DatabaseName | None = Field(None, description="the database; all of them unless given")

    @property
    def secrets(self) -> Mapping[str, SecretReference]:
        """Return the address under the name by which the script takes it."""
        return {} if self.uri is None else {"MONGODB_URI": self.uri}

    def tools(self) -> Sequence[str]:
        """Return MongoDB's own tools."""
        return ("mongodump", "mongorestore")

    def dump(self) -> Words:
        """Return mongodump's command."""
        only = (f"--db={self.database}",) if self.database else ()
        return self._client("mongodump", "--archive", "--quiet", *only)

    def by_hand(self) -> str:
        """Return mongodump's command, without the address."""
        return quote((*self.exec, "mongodump", "--archive=/dev/null"))

    def load(self) -> Words:
        """Return mongorestore's command. What is there stays: it changes no document that has the same `_id`."""
        return self._client(*RESTORE)

    def loads(self) -> str:
        """Return mongorestore's command, without the address."""
        return quote(RESTORE)

    def judge(self) -> Judge:
        """Return nothing: a drill reads the dump."""
        return Judge()

    def _client(self, *words: str) -> Words:
        return ("sh", "-c", CLIENT.read_text("utf-8"), "sh", *words)
