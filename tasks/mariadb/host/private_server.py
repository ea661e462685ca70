"""A private server on a restored and prepared data directory: a part of `proof`, with which it travels to a host.

The server sees no network (no port; where that is allowed, a network namespace with nothing in it), listens on a socket
in a directory of its own, runs as an ordinary user, has its own tmpdir (a starting server removes `#sql*` files there),
and dies with its starter. What the archive says is not trusted: of its options only those are taken that the data
needs. Of the standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import re
import resource
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SERVER = ("mariadbd", "mysqld")
CLIENT = ("mariadb", "mysql")
ORDINARY = "nobody"  # not `mysql`: that one could open the files of a server that runs beside
ACCOUNT = "cloudbackup_drill"
ASKER = "cloudbackup_ask"  # may read alone: what it asks may be a view or a function out of the archive
# What an account may keep (sql/privilege.h): reading and writing tables, views and routines. All others concern the
# server itself or its files: FILE, SUPER, PROCESS, RELOAD, SHUTDOWN, EVENT, GRANT OPTION and what was split off SUPER.
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
KILLED_WITH_US = 1  # PR_SET_PDEATHSIG of prctl(2)
NEW_NETWORK = 0x40000000  # CLONE_NEWNET of unshare(2)
# What backup-my.cnf holds and a server needs. Its directories are another server's; a plugin's path would let whoever
# made the archive run a program here.
KEYS = "file_key_management"  # the one plugin for keys that is known here
NEEDED = ("innodb_checksum_algorithm", "innodb_data_file_path", "innodb_page_size", "innodb_undo_tablespaces")
SHARE = 8  # a part of the memory that is free: a check of a table that does not fit in takes many times longer
LEAST, MOST = 64 << 20, 1 << 30  # bytes of the buffer pool, all the same


class DrillFault(Exception):  # noqa: N818 (what a drill finds)
    """The drill failed."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy


def pool(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the size of the buffer pool in bytes: a small share of what this process may have of the memory.

    That is what the host has free (proc(5)), and in a container or a service no more than its limit (cgroups(7)): a
    server that grows beyond that is killed.
    """
    available = re.search(r"MemAvailable: *(\d+) kB", (proc / "meminfo").read_text())
    free = [int(available[1]) * 1024] if available else [0]
    return min(max(min([*free, *limits(proc, groups)]) // SHARE, LEAST), MOST)


def limits(proc: Path, groups: Path) -> Iterator[int]:
    """Yield the limits in bytes of the control groups around this process; of version 1 a container's own."""
    own = re.search(r"^0::/(.*)$", (proc / "self/cgroup").read_text(), re.MULTILINE)
    inner = groups / own[1] if own else groups
    files = [folder / "memory.max" for folder in (inner, *inner.parents)]
    for file in (*files, groups / "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # none there, or the word max
            yield int(file.read_text())


class Private:
    """A server of our own on `data`, with an account that nobody else knows. `scratch` is for all that it needs beside.

    `more` are further options; they win over ours.
    """

    account = ACCOUNT
    tame = False  # whether plugins, functions and servers that the data names are left out: no event can be made then

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

    def start(self) -> None:
        """Start the server and wait until it knows our account. Raises DrillFault."""
        init = self.run / "init"
        for folder in (self.run, self.temporary):
            folder.mkdir(mode=0o700)
        # One statement on each line: a server skips what follows on the same one, and says so in its log alone.
        init.write_text(
            ("FLUSH PRIVILEGES;\n" if self.tame else "")  # from then on there are accounts
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
            if self.process.poll() is not None:
                raise DrillFault(f"a server does not start on the restored data: {self.complaint()}")
            if time.monotonic() > deadline:
                raise DrillFault(f"the server on the restored data does not answer in {self.patience:.0f} s")
            time.sleep(0.05)
        init.unlink()

    def words(self, init: Path) -> list[str]:
        """Return the server's command."""
        beside = os.path.relpath(str(self.run), str(self.data))
        return [
            self.program,
            "--no-defaults",
            *(f"--plugin-load-add={name}" for name in providers(self.program)),
            f"--datadir={self.data}",
            f"--socket={beside}/s",  # seen from the data directory: a path may be too long for a socket
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
        """Tell whether the server answers, to our account and not to one that the archive brought."""
        done = self.ask("SELECT CURRENT_USER()")
        return done.returncode == 0 and done.stdout.strip() == f"{ACCOUNT}@localhost"

    def disarm(self) -> None:
        """Take all administrative rights from the accounts in the data, and make the one that may only read.

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
        """Run statements and return the client's end."""
        return subprocess.run(
            self.client_words(account), cwd=self.run, env=self.client_environment(), input=statements,
            capture_output=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip

    def client_words(self, account: str = ACCOUNT) -> list[str]:
        """Return the client's command, for the directory of the socket."""
        return [
            self.client, "--no-defaults", "--protocol=socket", "--socket=s", f"--user={account}",
            "--connect-timeout=20", "--batch", "--skip-column-names", "--quick", "--skip-local-infile",
            "--binary-mode",  # obeys no command of the client's own in what it is given
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

    def opened_outside(self) -> list[str]:
        """Return the files that the server holds open outside of the drill's directory; there must be none."""
        assert self.process is not None
        found = set()
        for link in Path(f"/proc/{self.process.pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                found.add(Path(os.readlink(str(link))))
        own = (f"{self.data.parent}/", "/usr/")
        return sorted(str(path) for path in found if path.is_file() and not str(path).startswith(own))

    def end(self) -> None:
        """End the server; its data goes anyway."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def written(file: Path) -> dict[str, str]:
    """Return the options in the file that mariadb-backup wrote beside the data."""
    pairs = [line.strip().partition("=") for line in file.read_text(errors="replace").splitlines() if "=" in line]
    return {name.strip().replace("-", "_"): value.strip() for name, _, value in pairs}


def options(file: Path) -> list[str]:
    """Return the options that the data needs, from what mariadb-backup wrote beside it."""
    values = written(file)
    return [f"--{name}={values[name]}" for name in NEEDED if name in values]


def encryption(file: Path) -> tuple[list[str], list[int]]:
    """Return the options that encrypted data needs, and open files for the server to inherit.

    They are copies of the key files, in memory alone: the user as whom the server runs may not read the files
    themselves. Raises OSError.
    """
    values = written(file)
    if KEYS not in values.get("plugin_load", ""):
        return [], []
    words, files = [f"--plugin-load-add={KEYS}"], []
    for name in ("filename", "filekey", "encryption_algorithm"):
        value = values.get(f"{KEYS}_{name}", "")
        start = "FILE:" if value.startswith("FILE:") else ""
        if name == "filename" or start:
            files.append(os.memfd_create(name))
            os.write(files[-1], Path(value[len(start) :]).read_bytes())
            value = f"{start}/proc/self/fd/{files[-1]}"
        words += [f"--{KEYS}_{name}={value}"] if value else []
    return words, files


def providers(server: str) -> list[str]:
    """Return the compression plugins that are installed here: tables may need them, and no option file names them."""
    said = subprocess.run(
        (server, "--no-defaults", "--verbose", "--help"), cwd="/", env=clean_environment(), preexec_fn=ordinary(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    found = re.search(rb"^plugin-dir +(/.*?) *$", said.stdout, re.MULTILINE)
    return sorted(path.stem for path in Path(os.fsdecode(found.group(1))).glob("provider_*.so")) if found else []


def series(version: str) -> str:
    """Return the release series in a version's text."""
    found = re.search(r"(\d+\.\d+)\.\d+", version)
    return found.group(1) if found else "an unknown series"


def program(names: tuple[str, ...], package: str) -> str:
    """Return the path of the first program that is there. Raises DrillFault."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise DrillFault(f"{names[0]} is not there", f"install the package {package} there, or drill with --to local")


def ordinary(probe: Path | None = None) -> Callable[[], None]:
    """Return what a child does before its program starts: be an ordinary user without network that dies with us.

    It ends with an error when it cannot enter `probe`.
    """
    library = ctypes.CDLL(None)
    user = pwd.getpwnam(ORDINARY) if os.geteuid() == 0 else None

    def become() -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        if user is not None:
            library.unshare(NEW_NETWORK)  # refused in many containers; the server opens no port anyway
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        library.prctl(KILLED_WITH_US, signal.SIGKILL)  # after the change of user, which would undo it
        if probe is not None:
            os.chdir(str(probe))

    return become


def give_away(folder: Path) -> None:
    """Give a directory and all in it to the ordinary user, when we are root."""
    if os.geteuid() != 0:
        return
    user = pwd.getpwnam(ORDINARY)
    for path in (folder, *folder.rglob("*")):
        os.chown(str(path), user.pw_uid, user.pw_gid, follow_symlinks=False)


def clean_environment() -> dict[str, str]:
    """Return an environment without the repository's secrets."""
    return {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin"), "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
