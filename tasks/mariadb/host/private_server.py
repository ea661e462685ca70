"""A private server on a restored and prepared data directory: part of `examine` and `replay`, sent to a host with them.

The server has no network (no port; if permitted, an empty network namespace), listens on a socket in a directory of its
own, runs as an ordinary user, has its own tmpdir (a starting server removes `#sql*` files there), and dies with its
starter. The archive is not trusted: of its options only those that the data needs are used. Standard library only,
Python 3.8 and later, except `ordinary_user` and `data_options`, which are sent along.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.mariadb.host.data_options import encryption, options, pool, providers
from tasks.mariadb.host.ordinary_user import DrillFault, clean_environment, give_away, ordinary, program

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVER = ("mariadbd", "mysqld")
CLIENT = ("mariadb", "mysql")
ACCOUNT = "cloudbackup_drill"
ASKER = "cloudbackup_ask"  # read-only account: its queries may use views or functions from the archive
# The privileges that accounts may keep (sql/privilege.h): reading and writing tables, views and routines. All others
# concern the server itself or its files: FILE, SUPER, PROCESS, RELOAD, SHUTDOWN, EVENT, GRANT OPTION and those split
# off SUPER.
HARMLESS = sum(1 << bit for bit in (*range(6), *range(11, 15), *range(16, 19), *range(21, 25), 27))
TAMED = f"""\
SET sql_log_bin = 0;
UPDATE mysql.global_priv
  SET Priv = JSON_SET(Priv, '$.access', CAST(JSON_VALUE(Priv, '$.access') AS UNSIGNED) & {HARMLESS})
  WHERE NOT (User = '{ACCOUNT}' AND Host = 'localhost') AND JSON_VALUE(Priv, '$.access') IS NOT NULL;
FLUSH PRIVILEGES;
"""  # noqa: S608 (of constants)
TAMED_BEFORE = f"""\
SET sql_log_bin = 0;
UPDATE mysql.user SET File_priv = 'N', Super_priv = 'N', Process_priv = 'N', Reload_priv = 'N', Shutdown_priv = 'N',
  Event_priv = 'N', Grant_priv = 'N', Repl_slave_priv = 'N', Repl_client_priv = 'N', Create_user_priv = 'N',
  Create_tablespace_priv = 'N' WHERE NOT (User = '{ACCOUNT}' AND Host = 'localhost');
FLUSH PRIVILEGES;
"""  # noqa: S608 (of constants; for data of a server older than 10.4 that was never upgraded)
ACCOUNTS = (
    "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME = 'global_priv'"
    " AND TABLE_TYPE = 'BASE TABLE'"
)


class Private:
    """Our own server on `data`, with an account that only we know. `scratch` is for everything else that it needs.

    `more` are additional options, which override ours.
    """

    account = ACCOUNT
    tame = False  # start without plugins, functions and servers that the data names; events cannot be created then

    def __init__(self, scratch: Path, patience: float, data: Path | None = None, more: Sequence[str] = ()) -> None:
        self.data = data or scratch / "data"
        self.more = more
        self.environment = clean_environment()
        self.run = scratch / "run"
        self.temporary = scratch / "tmp"
        self.log = self.run / "log"
        self.patience = patience
        self.password = "Aa1-" + secrets.token_urlsafe(24)
        self.program = program(SERVER, "mariadb-server")
        self.client = program(CLIENT, "mariadb-client")
        self.process: subprocess.Popen[bytes] | None = None
        self.rights: list[tuple[str, str, int]] = []  # of the accounts in the data, if noted (see `grants`)

    def start(self) -> None:
        """Start the server and wait until it accepts our account. Raises DrillFault."""
        init = self.run / "init"
        for folder in (self.run, self.temporary):
            folder.mkdir(mode=0o700)
        # One statement per line: a server skips the rest of a line, and only says so in its log.
        init.write_text(
            ("FLUSH PRIVILEGES;\n" if self.tame else "")  # from here on accounts exist
            + "SET sql_log_bin = 0;\n"
            f"DROP USER IF EXISTS {ACCOUNT}@localhost;\n"
            f"CREATE USER {ACCOUNT}@localhost IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO {ACCOUNT}@localhost WITH GRANT OPTION;\n"
        )
        for folder in (self.data, self.run, self.temporary):
            give_away(folder)
        keys, files = encryption(self.data / "backup-my.cnf")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.words(init), *keys], cwd=self.data, env=self.environment, preexec_fn=ordinary(),  # noqa: PLW1509 (no threads)
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=files,
            )  # fmt: skip
        for file in files:
            os.close(file)
        deadline = time.monotonic() + self.patience
        while not self.answers():
            self.refuse_killed()
            if self.process.poll() is not None:
                raise DrillFault(f"a server does not start on the restored data: {self.complaint()}")
            if time.monotonic() > deadline:
                raise DrillFault(f"the server on the restored data does not answer in {self.patience:.0f} s")
            time.sleep(0.05)
        init.unlink()

    def words(self, init: Path) -> list[str]:
        """Return the server's command line."""
        beside = os.path.relpath(str(self.run), str(self.data))
        return [
            self.program,
            "--no-defaults",
            *(f"--plugin-load-add={name}" for name in providers(self.program)),
            f"--datadir={self.data}",
            f"--socket={beside}/s",  # relative to the data directory: an absolute path may be too long for a socket
            f"--pid-file={beside}/pid",
            f"--tmpdir={self.temporary}",
            f"--secure-file-priv={self.temporary}",
            f"--init-file={init}",
            *(("--skip-grant-tables",) if self.tame else ()),
            "--init-connect=",
            "--local-infile=OFF",
            "--general-log=OFF",
            "--slow-query-log=OFF",
            "--symbolic-links=OFF",
            "--skip-networking",
            "--skip-log-bin",
            "--skip-slave-start",
            "--event-scheduler=OFF",
            "--innodb-undo-directory=.",
            f"--innodb-buffer-pool-size={pool()}",
            "--innodb-log-file-size=16M",
            "--innodb-buffer-pool-load-at-startup=OFF",
            "--innodb-buffer-pool-dump-at-shutdown=OFF",
            "--performance-schema=OFF",
            "--key-buffer-size=8M",
            "--aria-pagecache-buffer-size=16M",
            *options(self.data / "backup-my.cnf"),
            *self.more,
        ]

    def answers(self) -> bool:
        """Return whether the server accepts our account, and not one from the archive."""
        done = self.ask("SELECT CURRENT_USER()")
        return done.returncode == 0 and done.stdout.strip() == f"{ACCOUNT}@localhost"

    def disarm(self) -> None:
        """Revoke all administrative privileges of the accounts in the data, and create the read-only one.

        Raises DrillFault.
        """
        tables = self.ask(ACCOUNTS)
        done = self.ask(
            f"{TAMED if 'global_priv' in tables.stdout else TAMED_BEFORE}"
            f"CREATE OR REPLACE USER {ASKER}@localhost IDENTIFIED BY '{self.password}';\n"
            f"GRANT SELECT, EXECUTE, SHOW VIEW, SHOW DATABASES ON *.* TO {ASKER}@localhost;\n"
        )
        if done.returncode != 0:
            raise DrillFault(f"the rights of the restored accounts cannot be taken from them: {done.stderr.strip()}")

    def ask(self, statements: str, account: str = ACCOUNT) -> subprocess.CompletedProcess[str]:
        """Run statements and return the finished client process."""
        return subprocess.run(
            self.client_words(account), cwd=self.run, env=self.client_environment(), input=statements,
            capture_output=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip

    def client_words(self, account: str = ACCOUNT) -> list[str]:
        """Return the client's command line, to be run in the socket's directory."""
        return [
            self.client, "--no-defaults", "--protocol=socket", "--socket=s", f"--user={account}",
            "--connect-timeout=20", "--batch", "--skip-column-names", "--quick", "--skip-local-infile",
            "--binary-mode",  # ignores the client's own commands in its input
            "--default-character-set=utf8mb4",
        ]  # fmt: skip

    def client_environment(self) -> dict[str, str]:
        """Return the client's environment."""
        return {**clean_environment(), "MYSQL_PWD": self.password}

    def complaint(self) -> str:
        """Return the last error in the server's log."""
        lines = self.log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if "[ERROR]" in line] or lines or ["it says nothing"]
        telling = [line for line in errors if "Aborting" not in line and "init function returned" not in line]
        return re.sub(r"^[\d-]+ +[\d:]+ \d+ ", "", (telling or errors)[0])

    def refuse_killed(self) -> None:
        """Raise DrillFault if the server was killed, which says nothing about the data."""
        if self.process is not None and self.process.poll() == -signal.SIGKILL:
            raise DrillFault(
                "the server on the restored data was killed",
                "the host may have run out of memory: `journalctl -k` there tells; use a machine with more, e.g."
                " `--to local`",
            )

    def ended(self) -> bool:
        """Wait a moment for the end of a server whose client failed; return whether it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process is not None and self.process.wait(1) is not None
        return False

    def opened_outside(self) -> list[str]:
        """Return files outside of the drill's directory that the server holds open; there must be none."""
        assert self.process is not None
        found = set()
        for link in Path(f"/proc/{self.process.pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                found.add(Path(os.readlink(str(link))))
        own = (f"{self.data.parent}/", "/usr/")
        return sorted(str(path) for path in found if path.is_file() and not str(path).startswith(own))

    def end(self) -> None:
        """Terminate the server; its data is discarded anyway."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
