"""Accounts, roles and their rights of a restored server, as SQL. Part of `serve`, which runs alone on the host.

Our private server takes administrative rights from all accounts in the data before it answers anybody, so they are
noted before, and given back only to be written: nothing but mariadb-dump runs on the server from then on. Standard
library only, Python 3.8 and later.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tasks.mariadb.host.check_table import last
from tasks.mariadb.host.ordinary_user import DrillFault, ordinary
from tasks.mariadb.host.private_server import ACCOUNT, ASKER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.mariadb.host.private_server import Private

USERS = ("--system=users", "--insert-ignore", "--compact", "--default-character-set=utf8mb4")
OURS = tuple(f"{mark}{name}{mark}@{mark}localhost{mark}" for name in (ACCOUNT, ASKER) for mark in "`'")
SERVERS_OWN = ("`mariadb.sys`@`localhost`", "'mariadb.sys'@'localhost'")


def noted(server: Private) -> list[tuple[str, str, int]]:
    """Return the global rights of all accounts as they were saved: user and host in hexadecimal digits, and a mask.

    Raises DrillFault.
    """
    said = server.ask("SELECT HEX(User), HEX(Host), HEX(Priv) FROM mysql.global_priv")
    if said.returncode != 0:
        raise DrillFault(f"the accounts cannot be read: {last(said.stderr)}", "leave out --grants")
    found = []
    for line in said.stdout.splitlines():
        user, host, text = line.split("\t")
        access = json.loads(bytes.fromhex(text)).get("access")
        if isinstance(access, int):
            found.append((user, host, access))
    return found


def given_back(server: Private, rights: Sequence[tuple[str, str, int]]) -> None:
    """Give the accounts their rights back. Raises DrillFault."""
    ours = " OR ".join(f"User = '{name}'" for name in (ACCOUNT, ASKER))
    statements = [
        f"UPDATE mysql.global_priv SET Priv = JSON_SET(Priv, '$.access', {access})"  # noqa: S608 (digits)
        f" WHERE HEX(User) = '{user}' AND HEX(Host) = '{host}' AND NOT ({ours});"
        for user, host, access in rights
    ]
    done = server.ask("\n".join(["SET sql_log_bin = 0;", *statements, "FLUSH PRIVILEGES;"]))
    if done.returncode != 0:
        raise DrillFault(f"the accounts' rights cannot be written: {last(done.stderr)}")


def dumped(server: Private, words: Sequence[str]) -> str:
    """Return the SQL that makes accounts and roles and gives them their rights; `words` are the tool and its options.

    Raises DrillFault.
    """
    done = subprocess.run(
        [*words, *USERS], cwd=server.run, env=server.client_environment(), preexec_fn=ordinary(),
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise DrillFault(f"the accounts cannot be dumped: {last(done.stderr.decode(errors='replace'))}")
    return "\n".join(theirs(done.stdout.decode(errors="replace"))) + "\n"


def theirs(text: str) -> Iterator[str]:
    """Yield the lines of the dump that are not about accounts of ours or of the server itself."""
    for line in text.splitlines():
        if not any(name in line for name in (*OURS, *SERVERS_OWN)):
            yield line
