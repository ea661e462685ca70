"""Backup and restore of MariaDB servers. `sources` has the two sources of an app's server, `mariadb` and `binlog`.

    Access (how to reach a server) -> server.ask -> dump (a Stream) ... a Stream -> unpack -> restore (into place)
                                             a Stream -> archive_server (a private server) -> rows, SQL, a session

`host` has the programs that are sent to the host, such as `host.align` and `host.swap_datadir`. `tasks.fleet` has the
tasks `mariadb.backup`, `binlog`, `restore` and `verify`; those on a private server are here.
"""

from invoke.context import Context

from tasks.cli import finish, task
from tasks.mariadb.options import Dump, Open


@task(name="open")
def mariadb_open(c: Context, options: Open) -> None:
    """Ask any backup by SQL: a private server on it, behind walls, until Ctrl-C, or for one --query."""
    from tasks.mariadb import open as opened

    finish(opened.run(c.config.inventory, options))


@task(name="dump")
def mariadb_dump(c: Context, options: Dump) -> None:
    """Write rows, tables or databases of any backup as SQL or CSV, to standard output or a file."""
    from tasks.mariadb import sql_dump

    finish(sql_dump.run(c.config.inventory, options))
