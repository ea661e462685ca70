"""How a database tool is called: where it lives (`exec`), as whom, and how the password reaches it.

The password goes through standard input into the environment of the tool (MYSQL_PWD), read there by a `sh` that runs
beside the tool. Found by experiment (MariaDB 10.11.19, 11.8.6): an option file on /dev/stdin works for `mariadb`, but
`mariadb-backup` opens its option files three times and finds the second and third empty; an inherited
descriptor does not survive borg nor `docker exec`. A password in ~/.my.cnf would win over MYSQL_PWD, so the home
is hidden from a tool whose account the inventory names.
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
GROUPS = ("xtrabackup", "mariabackup", "mariadb-backup", "client", "client-server", "galera")  # beside the server's own

_READ_PASSWORD = f"IFS= read -r MYSQL_PWD || {{ echo '{NO_PASSWORD_CAME}' >&2; exit 1; }}; export MYSQL_PWD"
_HIDE_HOME = "HOME=/nonexistent; export HOME"
_OPEN_FILES = 'ulimit -n "$(ulimit -H -n)" 2>/dev/null || :'


@dataclass(frozen=True)
class Access:
    """A server as the inventory names it, with its password looked up (None where it needs none)."""

    database: MariaDB
    password: Secret | None = None

    @property
    def environment(self) -> Environment:
        """Return what the texts of `command` need in their environment."""
        return {} if self.password is None else {PASSWORD: self.password}

    @property
    def named(self) -> bool:
        """Tell whether the inventory names the account, so that ~/.my.cnf of whoever runs the tool has no say."""
        return any((self.database.defaults_file, self.database.user, self.password))

    def options(self) -> Words:
        """Return the options that say where the server is and who asks; they must stand first."""
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
        """Return bash that runs the first of the tools `names` that is there, connected to the server.

        `statements` is what the tool finds on its standard input.
        """
        options = [*self.options(), *options]
        steps = [_HIDE_HOME] if self.named else []
        given = [shlex.quote(statements)] if statements else []
        if self.password is None:
            source = f"printf '%s\\n' {given[0]} | " if given else ""
            return source + quote(self._words(names, options, steps)) + ("" if given else " </dev/null")
        source = " ".join(["printf '%s\\n'", f'"${PASSWORD}"', *given])
        return f"{source} | {quote(self._words(names, options, [_READ_PASSWORD, *steps]))}"

    def option_names(self) -> str:
        """Return bash that prints which options the option files give mariadb-backup, one a line.

        Their values stay where they are: passwords are among them. It is not mariadb-backup that is asked: its own
        --print-defaults and --help leave out the groups of its name (tried, MariaDB 10.11.19).
        """
        first = [word for word in self.options() if word.startswith("--defaults-extra-file=")]
        words = self._words(PRINT, [*first, "--mysqld", *GROUPS], [_HIDE_HOME] if self.named else [])
        return f"{quote(words)} </dev/null | sed -n 's/^--\\([A-Za-z_-]*\\).*/\\1/p'"

    def beside(self, text: str, *arguments: str) -> Words:
        """Return the words that run `text`, as POSIX shell, where the database tools live."""
        return (*self.database.exec, "sh", "-c", text, "sh", *arguments)

    def _words(self, names: Sequence[str], options: Words, steps: Sequence[str]) -> Words:
        pick = f'for tool in {quote(names)}; do command -v "$tool" >/dev/null && break; done'
        return self.beside("\n".join([*steps, _OPEN_FILES, pick, 'exec "$tool" "$@"']), *options)
