"""A real MariaDB server per app: its own data directory, socket and loopback port, started and stopped by scripts."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import process, programs, template
from tasks.errors import CloudbackupError

BACKUP_USER = "backup"
SOCKET = "run/s"  # below the server's folder; short, as a socket's path may have 107 bytes only
ROOT_PASSWORD = "lab root"  # noqa: S105 (of a server that ends with the lab and listens on loopback)


@dataclass(frozen=True)
class Server:
    """One app's server. `folder` holds all of it; `backup_password` is that of the account that may back up.

    `more` are further options of the server, by name.
    """

    app: str
    folder: Path
    port: int
    binlog: bool
    backup_password: str
    more: tuple[tuple[str, object], ...] = ()

    @property
    def datadir(self) -> Path:
        """The data directory, alone in its parent: a restore may move it aside."""
        return self.folder / "data" / "mysql"

    @property
    def socket(self) -> Path:
        """The server's socket, outside the data directory, which may be moved."""
        return self.folder / SOCKET

    @property
    def temporary(self) -> Path:
        """The server's own tmpdir: a starting server removes all `#sql*` files there, another server's ones too."""
        return self.folder / "tmp"

    @property
    def configuration(self) -> Path:
        """The server's one option file."""
        return self.folder / "server.cnf"

    @property
    def root_options(self) -> Path:
        """Option file of the lab's own root account."""
        return self.folder / "root.cnf"

    @property
    def log(self) -> Path:
        """The server's error log."""
        return self.folder / "run" / "error.log"

    @property
    def pid_file(self) -> Path:
        """Where the server writes its number, outside the data directory too."""
        return self.socket.parent / "pid"

    @property
    def user(self) -> str:
        """Who runs the server: `nobody` when we are root, so that a restore must get the ownership right."""
        return "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def quoted_option(value: str) -> str:
    """Return a value for a MariaDB option file (https://mariadb.com/kb/en/configuring-mariadb-with-option-files/)."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def client_options(user: str, password: str, socket: Path) -> str:
    """Return the text of a `.my.cnf`."""
    return f"[client]\nuser={user}\npassword={quoted_option(password)}\nsocket={quoted_option(str(socket))}\n"


def prepare(server: Server, environment: dict[str, str], like: Path | None = None) -> None:
    """Make the data directory and the configuration. Raises CloudbackupError with what mariadb-install-db says.

    `like` is the data directory of a server that was stopped, to begin with its data and its accounts.
    """
    for folder in (server.datadir.parent, server.socket.parent, server.temporary):
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        if os.geteuid() == 0:
            shutil.chown(folder, server.user)
    server.configuration.write_text(_configuration(server))
    _write_private(server.root_options, client_options("root", ROOT_PASSWORD, server.socket))
    if like is not None:
        template.copy(like, server.datadir)
        return
    if server.more:
        _install(server, environment)
    else:
        template.copy_or_make(server.user, server.datadir, lambda: _install(server, environment))
    bootstrap = (programs.find("mariadbd"), f"--defaults-file={server.configuration}", "--bootstrap")
    applied = subprocess.run(
        (*bootstrap, f"--user={server.user}"),
        input=_first_statements(server),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    if applied.returncode != 0 or "ERROR" in applied.stderr:
        raise CloudbackupError(f"MariaDB of {server.app} refused its accounts:\n{applied.stderr[-2000:]}")


def _install(server: Server, environment: dict[str, str]) -> None:
    words = (
        programs.find("mariadb-install-db"),
        f"--defaults-file={server.configuration}",
        f"--datadir={server.datadir}",
        f"--user={server.user}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    )
    made = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    if made.returncode != 0:
        raise CloudbackupError(
            f"mariadb-install-db failed for {server.app}:\n{made.stdout[-2000:]}{made.stderr[-2000:]}"
        )


def _configuration(server: Server) -> str:
    values = {
        "datadir": server.datadir,
        "tmpdir": server.temporary,
        "socket": server.socket,
        "port": server.port,
        "bind_address": "127.0.0.1",
        "pid_file": server.pid_file,
        "log_error": server.log,
        "character_set_server": "utf8mb4",
        "innodb_buffer_pool_size": "32M",
        "innodb_log_file_size": "8M",
        "innodb_flush_log_at_trx_commit": 2,
        "innodb_doublewrite": "OFF",
        # No waiting for the disk: nobody needs this data after the machine went down.
        "innodb_flush_method": "nosync",
        "loose_debug_no_sync": "ON",
        "innodb_buffer_pool_dump_at_shutdown": "OFF",
        "aria_pagecache_buffer_size": "8M",
        "key_buffer_size": "1M",
        "performance_schema": "OFF",
        "skip_name_resolve": "ON",
        "server_id": server.port,
    }
    if server.binlog:
        values["log_bin"] = "binlog"
    values |= dict(server.more)
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    return f"[mariadbd]\n{lines}"


def _first_statements(server: Server) -> str:
    """Return the accounts' statements: one per line, as the server reads them before it opens to clients."""
    backup = "".join(
        f"CREATE USER '{BACKUP_USER}'@'{host}' IDENTIFIED BY {quoted_text(server.backup_password)};\n"
        f"GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO '{BACKUP_USER}'@'{host}';\n"
        for host in ("localhost", "127.0.0.1")
    )
    return (
        "FLUSH PRIVILEGES;\n"
        "DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');\n"
        "FLUSH PRIVILEGES;\n"
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY {quoted_text(ROOT_PASSWORD)};\n{backup}"
    )


def quoted_text(value: str) -> str:
    """Return a string literal of SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def start(server: Server, home: Path, environment: dict[str, str]) -> None:
    """Start the server by its script and return once it answers. Raises CloudbackupError with the end of its log."""
    _run_script(home / "start-mariadb", server, environment)


def running(server: Server) -> bool:
    """Whether the server's process runs; it removes its number when it ends in order."""
    try:
        pid = int(server.pid_file.read_text())
        return b"mariadbd" in Path(f"/proc/{pid}/cmdline").read_bytes()  # empty when it ended but is not reaped
    except (OSError, ValueError):
        return False


def stop(server: Server, home: Path) -> None:
    """Stop the server by its script and return once it is gone."""
    _run_script(home / "stop-mariadb", server, {})


def _run_script(script: Path, server: Server, environment: dict[str, str]) -> None:
    done = subprocess.run(
        (str(script),), capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    if done.returncode != 0:
        raise CloudbackupError(f"{script.name} failed for {server.app}: {done.stderr}\n{process.tail(server.log)}")


@contextmanager
def serving(datadir: Path) -> Iterator[Server]:
    """Serve a restored and prepared data directory of a lab's app by a private server, without any network.

    It runs as the directory's owner and writes into it. Raises CloudbackupError with the end of its log.
    """
    with tempfile.TemporaryDirectory(prefix="cloudbackup-") as name:
        server = Server(datadir.name, Path(name), 0, binlog=False, backup_password="")
        for folder in (server.folder, server.socket.parent, server.temporary):
            folder.mkdir(exist_ok=True)
            shutil.chown(folder, datadir.stat().st_uid)
        _write_private(server.root_options, client_options("root", ROOT_PASSWORD, server.socket))
        words = (
            programs.find("mariadbd"),
            "--no-defaults",
            f"--datadir={datadir}",
            f"--socket={server.socket}",
            f"--tmpdir={server.temporary}",
            f"--user={datadir.owner()}",
            "--skip-networking",
        )
        daemon = process.spawn(words, server.log, {}, server.folder)
        try:
            process.wait_until(lambda: _answers(server), f"MariaDB on {datadir}", daemon, server.log)
            yield server
        finally:
            process.end_all(lambda: [daemon])


def _answers(server: Server) -> bool:
    try:
        return query(server, "SELECT 1") == [["1"]]
    except CloudbackupError:
        return False


def query(server: Server, statements: str, database: str = "") -> list[list[str]]:
    """Run SQL as the lab's root and return the rows of all results as text. Raises CloudbackupError."""
    words = (
        programs.find("mariadb"),
        f"--defaults-file={server.root_options}",
        "--batch",
        "--skip-column-names",
        "--default-character-set=utf8mb4",
    )
    done = subprocess.run(
        (*words, *((database,) if database else ())),
        input=statements,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CloudbackupError(f"MariaDB of {server.app}: {done.stderr.strip()}\n{process.tail(server.log)}")
    return [line.split("\t") for line in done.stdout.splitlines()]


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
