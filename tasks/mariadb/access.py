"""How to call a database tool: where it runs (`exec`), with which account, and how it gets the password.

The password goes through standard input into the tool's environment (MYSQL_PWD), read by a `sh` that runs next to the
tool. Found by experiment (MariaDB 10.11.19, 11.8.6): an option file on /dev/stdin works for `mariadb`, but
`mariadb-backup` opens its option files three times and finds the second and third empty; an inherited descriptor
survives neither borg nor `docker exec`. A password in ~/.my.cnf would take precedence over MYSQL_PWD, so the home
directory is hidden from a tool whose account is in the inventory.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.inventory.models import MariaDB
from tasks.remote.script import Environment, Words, quote
from tasks.remote.secret import Secret

PASSWORD = "DATABASE_PASSWORD"  # noqa: S105 (the name of the environment variable)
NO_PASSWORD_CAME = "cloudbackup: no password came through standard input"  # noqa: S105 (a message)

CLIENT = ("mariadb", "mysql")
BACKUP = ("mariadb-backup", "mariabackup")
PRINT = ("my_print_defaults",)
GROUPS = ("xtrabackup", "mariabackup", "mariadb-backup", "client", "client-server", "galera")  # besides the server's

_READ_PASSWORD = f"IFS= read -r MYSQL_PWD || {{ echo '{NO_PASSWORD_CAME}' >&2; exit 1; }}; export MYSQL_PWD"
_HIDE_HOME = "HOME=/nonexistent; export HOME"
_OPEN_FILES = 'ulimit -n "$(ulimit -H -n)" 2>/dev/null || :'


@dataclass(frozen=True)
class Access:
    """A server as described in the inventory, with its password (None if it needs none)."""

    database: MariaDB
    password: Secret | None = None

    @property
    def environment(self) -> Environment:
        """Return the environment that the texts of `command` need."""
        return {} if self.password is None else {PASSWORD: self.password}

    @property
    def named(self) -> bool:
        """Return whether the inventory names the account, so that ~/.my.cnf must not apply."""
        return any((self.database.defaults_file, self.database.user, self.password))

    def options(self) -> Words:
        """Return the options for server address and account; they must come first."""
        database = self.database
        words = []
        if database.defaults_file:
            words.append(f"--defaults-extra-file={database.defaults_file}")
        for name in ("socket", "host", "port", "user"):
            value = getattr(database, name)
            if value is not None:
                words.append(f"--{name}={value}")
        if database.host or database.port:
            words.append("--protocol=tcp")
        return words

    def command(self, names: Sequence[str], options: Words, statements: str = "") -> str:
        """Return bash that runs the first existing tool of `names`, connected to the server.

        `statements` is the tool's standard input.
        """
        options = [*self.options(), *options]
        steps = [_HIDE_HOME] if self.named else []
        given = [shlex.quote(statements)] if statements else []
        if self.password is None:
            source = f"printf '%s\\n' {given[0]} | " if given else ""
            return source + quote(self._words(names, options, steps)) + ("" if given else " </dev/null")
        source = " ".join(["printf '%s\\n'", f'"${PASSWORD}"', *given])
        return f"{source} | {quote(self._words(names, options, [_READ_PASSWORD, *steps]))}"

    def fed(self, names: Sequence[str], options: Words) -> str:
        """Return bash that runs the first existing tool of `names`, with the statements on its own standard input."""
        options = [*self.options(), *options]
        steps = [_HIDE_HOME] if self.named else []
        if self.password is None:
            return quote(self._words(names, options, steps))
        source = f"{{ printf '%s\\n' \"${PASSWORD}\"; cat; }}"
        return f"{source} | {quote(self._words(names, options, [_READ_PASSWORD, *steps]))}"

    def option_names(self) -> str:
        """Return bash that prints the names of the options that option files give mariadb-backup, one per line.

        Values are not printed, as there are passwords among them. mariadb-backup itself is not used: its own
        --print-defaults and --help leave out the groups of its name (tried, MariaDB 10.11.19). `user` of [mysqld] is
        the server's own, and not who mariadb-backup logs in as (tried, 10.5.23).
        """
        first = [word for word in self.options() if word.startswith("--defaults-extra-file=")]
        hidden = [_HIDE_HOME] if self.named else []
        every, own = (
            quote(self._words(PRINT, [*first, *groups], hidden)) for groups in (("--mysqld", *GROUPS), GROUPS)
        )
        names = "sed -n 's/^--\\([A-Za-z_-]*\\).*/\\1/p'"
        return f"{every} </dev/null | {names} | sed '/^user$/d'; {own} </dev/null | {names} | sed -n '/^user$/p'"

    def beside(self, text: str, *arguments: str) -> Words:
        """Return the command that runs `text`, as POSIX shell, where the database tools are."""
        return (*self.database.exec, "sh", "-c", text, "sh", *arguments)

    def _words(self, names: Sequence[str], options: Words, steps: Sequence[str]) -> Words:
        pick = f'for tool in {quote(names)}; do command -v "$tool" >/dev/null && break; done'
        return self.beside("\n".join([*steps, _OPEN_FILES, pick, 'exec "$tool" "$@"']), *options)
