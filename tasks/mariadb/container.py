"""A MariaDB server that runs in a container of the app's host: what the app's file says of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.containers.container import Container
from tasks.errors import UsageError
from tasks.inventory.document import Data
from tasks.mariadb.server import number

KEY = "mariadb"
PROBE = (Path(__file__).parent / "host" / "container.sh").read_text(encoding="utf-8")
DATADIR = "/var/lib/mysql"
PASSWORDS = ("MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD")
ACCOUNT = (
    "make an account on the server, `CREATE USER 'backup'@'localhost' IDENTIFIED BY '...'; GRANT RELOAD, PROCESS,"
    " BINLOG MONITOR, SUPER ON *.* TO 'backup'@'localhost'`, and put its name and password into {file} in the"
    " container, below [client]; or write the app's file by hand, with `user` and `password`"
)


@dataclass(frozen=True)
class Found:
    """A server in a container: the values of the app's key for it, the folder that they save, and that in words."""

    values: dict[str, Data]
    folder: str
    said: str
    warnings: tuple[str, ...] = field(default=())


def found(containers: Sequence[Container], *, binlog: bool) -> Found | None:
    """Return the MariaDB server in these containers, which were probed; None if there is none.

    Raises UsageError if there are several, or if nobody can log in to it, or if its data is in no volume.
    """
    servers = [(each, each.details(KEY)) for each in containers if each.details(KEY)]
    if not servers:
        return None
    if len(servers) > 1:
        names = ", ".join(each.name for each, _ in servers)
        raise UsageError(
            f"{len(servers)} MariaDB servers run there: {names}; an app has one",
            "add an app for each, by --container, with the containers that belong to it",
        )
    container, details = servers[0]
    if "login" not in details:
        raise UsageError(
            f"the tools in the container {container.name} cannot log in to its MariaDB server",
            ACCOUNT.format(file="/root/.my.cnf"),
        )
    return _found(container, details, binlog=binlog)


def _found(container: Container, details: dict[str, str], *, binlog: bool) -> Found:
    inside = details.get("datadir", "").rstrip("/") or DATADIR
    place = container.mount_of(inside)
    if place is None:
        raise UsageError(
            f"the data of the MariaDB server in {container.name}, {inside}, is in no volume: it dies with it",
            "give the container a volume there first",
        )
    own = details["login"] == "own"
    words = container.exec if own else container.exec_with("MYSQL_PWD", PASSWORDS)
    values: dict[str, Data] = {
        **({} if own else {"user": "root"}),
        "exec": [*words],
        "datadir": place[1],
        "stop": [*container.command("stop")],
        "start": [*container.command("start")],
        **({"binlog": True} if binlog else {}),
    }
    by = "by the option files in the container" if own else "as root, by the password in the container's environment"
    version = number(details.get("version", ""))
    said = f"{container.name} ({container.image}): MariaDB {version}, data in {place[1]}, login {by}"
    dies = (
        f"{container.name} is removed when it stops (--rm): correct `start` of the app's file, or a restore in place"
        " cannot start it again"
    )
    return Found(values, place[1], said, (dies,) if container.removed and not container.unit else ())
