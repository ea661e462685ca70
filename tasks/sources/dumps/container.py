"""Databases in containers that are saved by a dump: what the app's file says of them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.containers.container import Container
from tasks.errors import UsageError
from tasks.inventory.document import Data
from tasks.sources.dumps.postgresql import DATABASE
from tasks.sources.kinds import RESERVED

PROBE = (Path(__file__).parent / "host" / "container.sh").read_text(encoding="utf-8")
PASSWORDS = ("POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD")
MYSQL_PASSWORDS = ("MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD")
MYSQL_FOLDER = "/var/lib/mysql"
# Servers whose files, copied while they run, may be of no use; `redis-server` writes its snapshot in one step.
UNSAFE = ("mongod", "influxd", "clickhouse-serv", "etcd")


@dataclass(frozen=True)
class Found:
    """A dump of a database: its name, the values of its key, the folder that it saves, and that in words."""

    name: str
    values: dict[str, Data]
    folder: str
    said: str


def found(containers: Sequence[Container]) -> tuple[Found, ...]:
    """Return the dumps of the databases in these containers, which were probed. Raises UsageError."""
    taken: set[str] = set()
    dumps = []
    for container in containers:
        for values, inside, what in _databases(container):
            name = _name(container, taken)
            taken.add(name)
            place = container.mount_of(inside)
            said = f"{container.name} ({container.image}): {what}, saved as the dump `{name}`"
            dumps.append(Found(name, values, place[1] if place else "", said))
    return tuple(dumps)


def warnings(containers: Sequence[Container]) -> Iterator[str]:
    """Yield what is to be known of servers that are saved by their files alone."""
    for container in containers:
        for server in UNSAFE:
            if server in container.details("server"):
                yield (
                    f"{server} runs in {container.name}: its files, copied while it runs, may be of no use; give it"
                    " a dump by its own tool, under `dumps`"
                )


def _databases(container: Container) -> Iterator[tuple[dict[str, Data], str, str]]:
    """Yield for each database the values of a dump, its folder in the container, and its product."""
    details = container.details("postgresql")
    if details:
        if "login" not in details:
            raise UsageError(
                f"the tools in the container {container.name} cannot log in to its PostgreSQL server",
                "write the app's file by hand, with `dumps: {NAME: {postgresql: {user: ..., password: ..., ...}}}`",
            )
        words = container.exec if details["login"] == "own" else container.exec_with("PGPASSWORD", PASSWORDS)
        only = details.get("database", "")
        one: dict[str, Data] = {"database": only} if re.fullmatch(DATABASE, only) else {}
        user: dict[str, Data] = {"user": details["user"]} if details.get("user") else {}
        yield (
            {"postgresql": {**one, **user, "exec": [*words]}},
            details.get("folder", ""),
            f"PostgreSQL, {f'the database {only}' if one else 'all of the server'}",
        )
    if "mysqld" in container.details("server"):
        words = container.exec_with("MYSQL_PWD", MYSQL_PASSWORDS)
        yield {"mysql": {"user": "root", "exec": [*words]}}, MYSQL_FOLDER, "MySQL, or MariaDB without mariadb-backup"


def _name(container: Container, taken: set[str]) -> str:
    """Return a name for a dump: the service's or container's, as far as it can be one."""
    plain = re.sub("[^a-z0-9]+", "_", (container.service or container.name).lower()).strip("_")[:28]
    name = plain if re.match("[a-z]", plain) and plain not in RESERVED else f"db_{plain}".rstrip("_")
    return next(each for each in (name, *(f"{name}_{number}" for number in range(2, 99))) if each not in taken)
