"""The key `dumps` of an app's file: a line for each ready-made product."""

import re
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from tasks.inventory.files import Size
from tasks.inventory.frozen import Frozen
from tasks.inventory.keep import KeepRules
from tasks.inventory.secrets import ENVIRONMENT_NAME, SecretReference, Strict
from tasks.inventory.values import Words, matching
from tasks.sources.dumps.ldap import LDAP
from tasks.sources.dumps.mongodb import MongoDB
from tasks.sources.dumps.mysql import MySQL
from tasks.sources.dumps.own_command import OwnCommand
from tasks.sources.dumps.postgresql import PostgreSQL
from tasks.sources.dumps.product import Product
from tasks.sources.dumps.redis import Redis
from tasks.sources.dumps.sqlite import SQLite
from tasks.sources.kinds import RESERVED, SOURCE_NAME

OWN = ("command", "restore", "verify", "exec", "secrets")  # keys of a command of the operator's own


def read_dump_name(value: object) -> str:
    """Return a dump's name. Raises ValueError with the rule that it breaks."""
    if not isinstance(value, str) or not re.fullmatch(SOURCE_NAME, value):
        raise ValueError(
            "a dump's name begins with a-z and has only a-z, 0-9 and `_` after that, at most 32 in all;"
            " no `-`, which separates the parts of an archive's name"
        )
    if value in RESERVED:
        raise ValueError(f"the name {value} has a meaning of its own: take another for the dump")
    return value


DumpName = Annotated[
    str,
    PlainValidator(read_dump_name),
    WithJsonSchema({"type": "string", "pattern": f"^{SOURCE_NAME}$", "not": {"enum": list(RESERVED)}}),
]
Variable = Annotated[
    str,
    matching(ENVIRONMENT_NAME, "an environment variable's name"),
    WithJsonSchema({"type": "string", "pattern": ENVIRONMENT_NAME}),
]


Secrets = Annotated[Mapping[Variable, SecretReference], AfterValidator(Frozen)]


class Expect(Strict):
    """What a dump must be like."""

    min_size: Size | None = Field(None, description="a dump that is smaller is suspect: 500MB, 1.5GB")


PRODUCTS: Mapping[str, type[Product]] = {
    "ldap": LDAP,
    "mariadb": MySQL,
    "mongodb": MongoDB,
    "mysql": MySQL,
    "postgresql": PostgreSQL,
    "redis": Redis,
    "sqlite": SQLite,
}
"""The ready-made products by their keys."""


class Dump(Strict):
    """One dump: a command of one's own, or a ready-made product."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in ("command", *PRODUCTS)]})

    command: Words | None = Field(None, description="writes the dump to standard output: [etcd-dump]")
    restore: Words | None = Field(None, description="reads a dump on standard input and puts it back")
    verify: Words | None = Field(
        None, description="reads a restored dump on standard input, in a drill; what it finds wrong, it ends not with 0"
    )
    exec: Words = Field((), description="what runs these commands where they live: docker exec -i shop-etcd")
    secrets: Secrets = Field(
        default_factory=lambda: Frozen({}),
        description="secrets that `command` and `restore` find in environment variables of these names",
    )
    ldap: LDAP | None = Field(None, description="a database of an OpenLDAP server, by slapcat")
    mariadb: MySQL | None = Field(None, description="databases of a MariaDB server, by mariadb-dump")
    mongodb: MongoDB | None = Field(None, description="a MongoDB database, or all of a server, by mongodump (untried)")
    mysql: MySQL | None = Field(None, description="databases of a MySQL server, by mysqldump")
    postgresql: PostgreSQL | None = Field(None, description="a PostgreSQL database, or all of a server, by pg_dump")
    redis: Redis | None = Field(None, description="all databases of a Redis server, as an RDB file")
    sqlite: SQLite | None = Field(None, description="an SQLite database, copied while it is in use")
    expect: Expect = Field(Expect(), description="what a dump must be like")
    keep: KeepRules | None = Field(None, description="what prune keeps of it, in place of the app's `keep`")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        named = [key for key in ("command", *PRODUCTS) if getattr(self, key) is not None]
        if len(named) != 1:
            raise ValueError(f"must have exactly one of {', '.join(('command', *PRODUCTS))}")
        alone = [key for key in OWN if key in self.model_fields_set and key not in named]
        if alone and named != ["command"]:
            raise ValueError(f"has `{alone[0]}` beside `{named[0]}`: it belongs to a `command`")
        return self

    @property
    def product(self) -> Product:
        """How it is made."""
        if self.command is not None:
            return OwnCommand.model_construct(  # of values that were validated here
                command=self.command,
                restore=self.restore or (),
                verify=self.verify or (),
                exec=self.exec,
                passwords=self.secrets,
            )
        made = [value for key in PRODUCTS if isinstance(value := getattr(self, key), Product)]
        return made[0]


Dumps = Annotated[Mapping[DumpName, Dump], AfterValidator(Frozen)]
"""The dumps of an app by name."""
