"""Queries a server and the database tools next to it."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.answers import whole
from tasks.mariadb import errors as mariadb_errors
from tasks.mariadb import option_files
from tasks.mariadb.access import BACKUP, CLIENT, Access
from tasks.mariadb.host import settings
from tasks.remote.host import Host
from tasks.remote.script import Script, quote

PLACES = (
    "innodb_data_home_dir",
    "innodb_log_group_home_dir",
    "innodb_undo_directory",
    "aria_log_dir_path",
)  # directories that a restore only supports inside the data directory
VARIABLES = (
    "aria_encrypt_tables",
    "datadir",
    "encrypt_binlog",
    "gtid_binlog_state",
    "gtid_current_pos",
    "gtid_slave_pos",
    "innodb_page_size",
    "log_bin",
    "log_bin_basename",
    "log_slave_updates",
    "open_files_limit",
    "pid_file",
    "port",
    "server_id",
    "socket",
    "version",
    "wsrep_on",
    *PLACES,
    *settings.KEPT,
)
# RELOAD for BACKUP STAGE, PROCESS for InnoDB's status, BINLOG MONITOR for the position at the end of the copy
# (MariaDB 10.11 and 11.8; before 10.5 the last one was called REPLICATION CLIENT).
NEEDED_GRANTS = ("RELOAD", "PROCESS", "BINLOG MONITOR")
WITHOUT_GRANTS = "--skip-grant-tables"
SPARE_FILES = 100  # files that mariadb-backup opens in addition to each table's
_SAME = {"REPLICATION CLIENT": "BINLOG MONITOR"}
_SECTION = "cloudbackup section"
_NAMES = ", ".join(f"'{name}'" for name in VARIABLES)
_STATEMENTS = {
    "account": "SELECT CURRENT_USER()",
    "login": "SELECT USER()",
    "variables": f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({_NAMES})",
    "plugins": "SELECT PLUGIN_NAME, PLUGIN_TYPE, PLUGIN_LIBRARY FROM information_schema.PLUGINS"
    " WHERE PLUGIN_STATUS = 'ACTIVE' AND PLUGIN_LIBRARY IS NOT NULL ORDER BY 1",
    "grants": "SHOW GRANTS",
    "position": "SHOW MASTER STATUS",
    "replica": "SHOW ALL SLAVES STATUS",
    "unopened": "SELECT NAME FROM information_schema.INNODB_SYS_TABLES WHERE SPACE <> 0 AND NAME LIKE '%/%'"
    " AND SPACE NOT IN (SELECT SPACE FROM information_schema.INNODB_SYS_TABLESPACES) ORDER BY 1 LIMIT 100000",
    "size": "SELECT COUNT(*), SUM(FILE_SIZE) FROM information_schema.INNODB_SYS_TABLESPACES",
    "end": "SELECT 1",
}
_QUERY = "".join(f"SELECT '{_SECTION}', '{name}';\n{statement};\n" for name, statement in _STATEMENTS.items())
_PROBE = """\
say() { printf 'cloudbackup tool\\t%s\\t%s\\n' "$1" "$2"; }
for tool in @backup@; do
  command -v "$tool" >/dev/null || continue
  say backup "$("$tool" --version 2>&1 | head -n 1)"
  for option in innodb-log-checkpoint-now; do
    "$tool" --help 2>/dev/null | grep -q -e "^  --$option" && say option "$option"
  done
  break
done
command -v mbstream >/dev/null && say mbstream yes
say zone "${TZ:-$(tail -n 1 /etc/localtime 2>/dev/null | tr -d '\000')}"
say files "$(ulimit -H -n)"
for folder in "$1" "$1"/*/; do
  [ -d "$folder" ] || continue
  [ -r "$folder" ] && [ -x "$folder" ] || { say unreadable "$folder"; break; }
done
find "$1" -type f -name '*.M[AY][DI]' -exec du -k {} + 2>/dev/null | while read -r kibibytes _; do
  say file "$kibibytes"
done
exit 0
"""


@dataclass(frozen=True)
class Tools:
    """The tools next to the server. `backup` is the version of mariadb-backup, None if it is missing."""

    backup: str | None
    mbstream: bool
    options: frozenset[str] = frozenset()  # those that not every mariadb-backup has
    open_files: int | None = None  # limit of open files for a tool; None for unlimited
    unreadable: str | None = None  # a folder in the data directory that the tools' account cannot read
    zone: str = ""  # time zone of their host, as for TZ
    given: frozenset[str] = frozenset()  # names of the options that option files give mariadb-backup


@dataclass(frozen=True)
class Position:
    """The server's position in its binary log."""

    file: str
    offset: int


@dataclass(frozen=True)
class Server:
    """A server's answers. `size` is in bytes, of all tables; `tables` is the number of InnoDB tablespaces.

    `replica` is whether it replicates from another server, None if the account may not ask that.
    """

    account: str
    variables: Mapping[str, str]
    plugins: tuple[tuple[str, ...], ...]  # plugins from libraries: name, type, file
    grants: frozenset[str]
    position: Position | None
    size: int
    tables: int
    tools: Tools
    replica: bool | None = False
    complaints: tuple[str, ...] = field(default=())
    unopened: tuple[str, ...] = ()  # InnoDB tables without an open tablespace, as on disk: shop/orders
    login: str = ""  # the name by which the client was let in; that of the account unless a proxy

    @property
    def version(self) -> str:
        """Return the version number, for example 10.11.19."""
        return number(self.variables.get("version", ""))

    @property
    def details(self) -> dict[str, Any]:
        """Return what a private server on its data needs to know (`settings`), for a record."""
        plugins = [list(each) for each in self.plugins]
        found = {"settings": settings.kept(self.variables), "plugins": plugins, "zone": self.tools.zone}
        return {**found, **({"replica": True} if self.replica or self.variables.get("gtid_slave_pos") else {})}

    @property
    def datadir(self) -> str:
        """Return the data directory as the server sees it, without a trailing slash."""
        return self.variables["datadir"].rstrip("/") or "/"

    @property
    def missing_grants(self) -> tuple[str, ...]:
        """Return the missing privileges that a backup needs, some of them only at its very end."""
        if "ALL PRIVILEGES" in self.grants:
            return ()
        return tuple(name for name in NEEDED_GRANTS if name not in self.grants)

    @property
    def galera(self) -> bool:
        """Return whether it is a Galera node."""
        return self.variables.get("wsrep_on") == "ON"

    @property
    def checkpoints(self) -> bool:
        """Return whether the account can make the server write its changed pages first.

        Without SUPER, mariadb-backup's --innodb-log-checkpoint-now silently does nothing (tried, 10.11.19: 60 MB of
        redo log in the archive after a bulk update, 0.2 MB with it).
        """
        return not self.grants.isdisjoint({"SUPER", "ALL PRIVILEGES"})


def elsewhere(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for directories outside `datadir`, which a restore in place does not support."""
    found = {name: variables.get(name, "") for name in PLACES}
    if variables.get("log_bin_basename"):
        found["log_bin_basename"] = posixpath.dirname(variables["log_bin_basename"])
    return {name: path for name, path in found.items() if outside(path, variables["datadir"])}


def number(version: str) -> str:
    """Return the number in a version text; empty if there is none."""
    found = re.search(r"\d+\.\d+\.\d+", version)
    return found.group() if found else ""


def series(version: str) -> str:
    """Return the release series of a version text (10.11, 11.8): mariadb-backup must have the server's own."""
    return number(version).rpartition(".")[0]


def outside(path: str, datadir: str) -> bool:
    """Return whether a directory in a server's variable is outside its data directory."""
    if path in ("", ".", "./"):
        return False
    return posixpath.normpath(posixpath.join(datadir, path)) != posixpath.normpath(datadir)


def faults(server: Server) -> list[tuple[str, str]]:
    """Return what would make a backup fail, some of it only after hours, each as (what is wrong, remedy)."""
    found = []
    theirs, ours = series(server.version), series(server.tools.backup or "")
    if server.tools.backup is None:
        found.append(
            ("mariadb-backup is not there", f"install the mariadb-backup of MariaDB {theirs} beside the server")
        )
    elif theirs != ours:
        what = f"mariadb-backup is of MariaDB {ours}, the server of {theirs}"
        found.append((what, f"install the mariadb-backup of MariaDB {theirs} beside the server"))
    if any(WITHOUT_GRANTS in each for each in server.complaints):
        what = f"the server runs with {WITHOUT_GRANTS}, with which mariadb-backup does not work"
        found.append((what, "restart it without that option"))
    elif server.missing_grants:
        missing = ", ".join(server.missing_grants)
        statement = f"GRANT {missing} ON *.* TO {_quoted_account(server.account)}"
        found.append((f"{_quoted_account(server.account)} may not {missing}", f"run on the server: {statement}"))
    if refused := option_files.refused(server.tools.given):
        what = f"an option file has mariadb-backup {', '.join(refused)}: that gives no whole backup"
        found.append((what, option_files.REMEDY))
    if server.tools.unreadable is not None:
        what = f"the data directory cannot be read: {server.tools.unreadable}"
        found.append((what, mariadb_errors.READ_REMEDY))
    if server.tools.open_files is not None and server.tools.open_files < server.tables + SPARE_FILES:
        wanted = server.tables + SPARE_FILES
        found.append(
            (
                f"mariadb-backup may open {server.tools.open_files} files, and {server.tables} tables want {wanted}",
                "raise the hard limit of open files (ulimit -Hn) of the account that runs it, or of the container",
            )
        )
    return found


def require_backup(server: Server, host: str) -> None:
    """Raise errors.DatabaseError if a backup cannot succeed, rather than at the end of the copy."""
    for what, remedy in faults(server):
        raise mariadb_errors.DatabaseError(f"{host}: {what}", remedy)


def _quoted_account(account: str) -> str:
    user, _, place = account.rpartition("@")
    return f"'{user}'@'{place}'"


def ask_script(access: Access) -> Script:
    """Return the script that queries the server and looks for the tools; it changes nothing."""
    # On standard input, because --force does not apply to --execute.
    client = access.command(CLIENT, ("--batch", "--skip-column-names", "--force", "--connect-timeout=20"), _QUERY)
    probe = access.beside(_PROBE.replace("@backup@", quote(BACKUP)))
    body = f"""\
answer=$({client}) && code=0 || code=$?
printf '%s\\n' "$answer"
datadir=$(printf '%s\\n' "$answer" | sed -n 's/^datadir\\t//p')
{quote(probe)} "${{datadir:-/nonexistent}}" </dev/null
{{ {access.option_names()}; }} 2>/dev/null | sed 's/^/cloudbackup tool\tgiven\t/' || :
case $answer in *$'{_SECTION}\\tend'*) ;; *) exit "$((code ? code : 1))" ;; esac
"""
    return Script(body, access.environment)


def parse(text: str, errors: str = "") -> Server:
    """Parse the output of `ask_script`. `errors` is its standard error."""
    sections: dict[str, list[list[str]]] = {}
    tools: list[list[str]] = []
    rows: list[list[str]] = []
    for line in text.splitlines():
        cells = [_unescaped(cell) for cell in line.split("\t")]
        if cells[0] == "cloudbackup tool":
            tools.append([*cells[1:3], "", ""][:2])
        elif cells[0] == _SECTION:
            rows = sections.setdefault("".join(cells[1:]), [])
        else:
            rows.append(cells)
    count, size = [*next(iter(sections.get("size", [])), []), "", ""][:2]
    files = sum(_whole(value) for key, value in tools if key == "file")
    return Server(
        account="".join(cell for row in sections.get("account", []) for cell in row),
        variables={row[0]: row[1] for row in sections.get("variables", []) if len(row) == 2},
        plugins=tuple(tuple(row) for row in sections.get("plugins", []) if len(row) == 3),
        grants=_global_grants([row[0] for row in sections.get("grants", [])]),
        position=_position(sections.get("position", [])),
        size=_whole(size) + files * 1024,
        tables=_whole(count),
        tools=_tools(tools),
        replica=None if "SLAVE MONITOR" in errors or "REPLICA MONITOR" in errors else bool(sections.get("replica")),
        unopened=tuple(row[0] for row in sections.get("unopened", [])),
        complaints=tuple(line for line in errors.splitlines() if line.startswith("ERROR")),
        login="".join(cell for row in sections.get("login", []) for cell in row).rpartition("@")[0],
    )


def ask(host: Host, access: Access) -> Server:
    """Query the server on `host`. Raises errors.DatabaseError with the reason if it does not answer; HostError."""
    output = host.run(ask_script(access), timeout=120)
    if not output.ok:
        raise mariadb_errors.error(output.error_text, f"{host.name}: cannot ask the database server")
    return parse(output.text, output.error_text)


def _tools(rows: Sequence[Sequence[str]]) -> Tools:
    version = next((value for key, value in rows if key == "backup"), None)
    return Tools(
        backup=None if version is None else number(version),
        mbstream=any(key == "mbstream" for key, _ in rows),
        options=frozenset(value for key, value in rows if key == "option"),
        open_files=next((whole(value) for key, value in rows if key == "files"), None),
        unreadable=next((value for key, value in rows if key == "unreadable"), None),
        zone=next((value for key, value in rows if key == "zone"), ""),
        given=frozenset(option_files.plain(value) for key, value in rows if key == "given"),
    )


def _global_grants(lines: Sequence[str]) -> frozenset[str]:
    found: set[str] = set()
    for line in lines:
        match = re.match(r"GRANT (.+?) ON \*\.\* TO ", line)
        if match:
            found.update(_SAME.get(name, name) for name in match.group(1).split(", "))
    return frozenset(found)


def _position(rows: Sequence[Sequence[str]]) -> Position | None:
    return Position(rows[0][0], _whole(rows[0][1])) if rows and len(rows[0]) > 1 else None


def _whole(cell: str) -> int:
    return whole(cell) or 0


def _unescaped(cell: str) -> str:
    r"""Undo the escaping of tabs, line breaks, NUL and backslashes by `mariadb --batch`."""
    plain = {"t": "\t", "n": "\n", "0": "\0", "\\": "\\"}
    return re.sub(r"\\([tn0\\])", lambda found: plain[found.group(1)], cell)
