"""Restores a dump into a private PostgreSQL server and looks into it. Runs alone on a host, behind walls.

    python3 -I -S -c PROGRAM JSON

JSON: `file`, the dump; `scratch`, a private folder; `whole`: it is pg_dumpall's, of a whole server, and not pg_dump's;
`verify`, queries that must each answer 1 or true; `patience`, seconds that a step may take.

Standard output is as `judgement` has it, which is sent along. Otherwise standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import time

from tasks.sources.dumps.host.judgement import FaultError, answer

INSTALLED = "/usr/lib/postgresql/*/bin"  # Debian's; elsewhere they are in PATH
USER = "cloudbackup_drill"  # the superuser; no dump makes a role of this name
SERVER = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "10",
    "shared_buffers": "32MB",
    "logging_collector": "off",
    "archive_mode": "off",
    "autovacuum": "off",
}
STARTING = 60  # seconds
# What a machine may lack that a dump needs, by how PostgreSQL 12 to 17 say so, and what to do.
LACKING = {
    r'extension "([^"]+)" is not available|control file "[^"]*/([^"/]+)\.control"': (
        "the extension {} is not there",
        "install its package, such as postgresql-15-{}",
    ),
    r'could not access file "([^"]+)": No such file': ("the library {} is not there", "install its package"),
    r"(\S+) must be (?:pre)?loaded via shared_preload_libraries": (
        "{} must be preloaded, which a private server does not do",
        "let another command judge it",
    ),
    r"invalid (?:LC_\w+ )?locale name: \"([^\"]+)\"": ("the locale {} is not there", "make it by locale-gen"),
    r"unsupported version \(([\d.]+)\)": ("a dump in format {} is of a later series", "install a later postgresql"),
}
ENCODING = re.compile(r"^CREATE DATABASE .* ENCODING = '(\w+)'", re.MULTILINE)
# Schemas of PostgreSQL's own are in every database.
OF_THE_DUMP = "FROM pg_tables WHERE schemaname <> 'information_schema' AND schemaname NOT LIKE 'pg\\_%' ORDER BY 1"
TABLES = f"SELECT format('%s %s', schemaname, tablename) {OF_THE_DUMP}"
ENTRY = re.compile(r"^\d+; \d+ \d+ TABLE (?!DATA |ATTACH )", re.MULTILINE)  # a table in the contents of a dump
COUNTS = "SELECT format('SELECT count(*) FROM %I.%I', schemaname, tablename)"
PSQL = ("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
# The folder of the socket, for the server and its clients alike: they run in the data directory, and the path of a
# socket may be 107 bytes long at most, which the one below a long --scratch is not.
SOCKET = "/proc/self/cwd"


def judge(plan: dict[str, object]) -> str:
    """Return what was found in a dump that is good. Raises FaultError."""
    server = Server(str(plan["scratch"]), float(str(plan["patience"])))
    server.start()
    try:
        databases = server.whole(str(plan["file"])) if plan["whole"] else server.one(str(plan["file"]))
        count = sum(len(server.tables(database)) for database in databases)
        queries = [str(query) for query in plan["verify"]]  # type: ignore[attr-defined]  # a list
        for query in queries:
            server.ask(databases[-1], query)
        asked = f", {len(queries)} quer{'y' if len(queries) == 1 else 'ies'} answered" if queries else ""
        tables = "1 table" if count == 1 else f"{count} tables"
        return f"a private PostgreSQL {server.version} restored {tables}{asked}"
    finally:
        server.stop()


class Server:
    """A private server in a folder below `scratch`, reached by a socket there."""

    def __init__(self, scratch: str, patience: float) -> None:
        self.scratch = scratch
        self.data = os.path.join(scratch, "postgresql")
        self.patience = patience
        self.programs = found_programs()
        self.environment = {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "PGHOST": SOCKET,
            "PGUSER": USER,
            "PGCONNECT_TIMEOUT": "10",
            "HOME": scratch,
        }
        self.version = "of an unknown version"
        version = self.run(["postgres", "--version"], scratch)
        self.version = (re.findall(r"\d+(?:\.\d+)?", version) or [self.version])[0]
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, words: list[str], folder: str, text: str = "") -> str:
        """Run a program of PostgreSQL's in a folder; return its standard output. Raises FaultError."""
        try:
            done = subprocess.run(
                words,
                input=text.encode(),
                env=self.environment,
                cwd=folder,
                capture_output=True,
                timeout=self.patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise FaultError(f"{words[0]} took more than {self.patience:.0f} s") from None
        except OSError as error:
            raise FaultError(f"{words[0]} cannot be run: {error.strerror}") from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace")
            raise lacking(said, self.version) or FaultError(f"{words[0]}: {last_error(done.stderr)}")
        return done.stdout.decode("utf-8", "replace")

    def start(self) -> None:
        """Make an empty server and start it. Raises FaultError."""
        made = ("--auth=trust", "--encoding=UTF8", "--no-sync", f"--username={USER}", self.data)
        self.run(["initdb", *made], self.scratch)
        settings = [word for name, value in SERVER.items() for word in ("-c", f"{name}={value}")]
        with open(os.path.join(self.scratch, "postgresql.log"), "wb") as log:
            self.process = subprocess.Popen(
                ["postgres", "-D", self.data, "-k", SOCKET, *settings],
                env=self.environment,
                cwd=self.data,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        late = time.monotonic() + STARTING
        while True:
            with contextlib.suppress(FaultError):
                self.run(["pg_isready", "--quiet"], self.data)
                return
            if self.process.poll() is not None or time.monotonic() > late:
                with open(os.path.join(self.scratch, "postgresql.log"), "rb") as log:
                    raise FaultError(f"a private PostgreSQL did not start: {last_error(log.read())}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the server: nobody needs its data any more."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()

    def one(self, file: str) -> list[str]:
        """Restore a dump of pg_dump; return the database. Raises FaultError, also if a table of the dump is missing."""
        listed = self.run(["pg_restore", "--list", file], self.data)
        expected = len(ENTRY.findall(listed))
        # Text of no encoding, or of another one, need not be text of UTF-8.
        made = self.run(["pg_restore", "--create", "--schema-only", "--file=-", file], self.data)
        encoding = next(iter(ENCODING.findall(made)), "UTF8")
        own = "" if encoding == "UTF8" else f" ENCODING '{encoding}' LOCALE 'C'"
        self.sql("postgres", f"CREATE DATABASE restored TEMPLATE template0{own}")
        words = ["pg_restore", "--exit-on-error", "--no-owner", "--no-acl", "--dbname=restored", file]
        self.run(words, self.data)
        if (count := len(self.tables("restored"))) < expected:
            raise FaultError(f"{expected - count} of the dump's {expected} tables were not restored")
        return ["restored"]

    def whole(self, file: str) -> list[str]:
        """Restore a dump of pg_dumpall; return the databases. Raises FaultError."""
        self.run([*PSQL, "--dbname=postgres", f"--file={file}"], self.data)
        mine = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY oid"
        return self.sql("postgres", mine).splitlines()

    def tables(self, database: str) -> list[str]:
        """Return the tables of a database as `schema name`, after reading all rows of each. Raises FaultError."""
        names = self.sql(database, TABLES).splitlines()
        self.sql(database, f"{COUNTS} {OF_THE_DUMP} \\gexec\n")
        return names

    def ask(self, database: str, query: str) -> None:
        """Raise FaultError if a query does not answer 1 or true."""
        answer = self.sql(database, query).strip()
        if answer not in ("1", "t", "true"):
            raise FaultError(f"`{query}` answers {answer[:80] or 'nothing'} on the restored data, not 1")

    def sql(self, database: str, text: str) -> str:
        """Return what psql prints for statements. Raises FaultError."""
        return self.run([*PSQL, f"--dbname={database}"], self.data, text)


def found_programs() -> str:
    """Return the folder of the newest server's programs. Raises FaultError."""
    folders = sorted(glob.glob(INSTALLED), key=lambda path: [int(part) for part in re.findall(r"\d+", path)])
    in_path = shutil.which("initdb")
    for folder in (*reversed(folders), *([os.path.dirname(in_path)] if in_path else [])):
        if os.path.exists(os.path.join(folder, "initdb")):
            return folder
    raise FaultError(
        "there is no PostgreSQL server to restore it into",
        "install the package postgresql, or drill elsewhere with --to",
    )


def lacking(said: str, version: str) -> FaultError | None:
    """Return what a machine lacks, from what a program wrote; None if it says nothing of that kind."""
    for pattern, (fault, remedy) in LACKING.items():
        if found := re.search(pattern, said):
            name = next(each for each in found.groups() if each)
            where = "on the machine that drills, or drill elsewhere with --to"
            text = f"a private PostgreSQL {version} cannot restore it: {fault.format(name)}"
            return FaultError(text, f"{remedy.format(name)} {where}", unable=True)
    return None


def last_error(said: bytes) -> str:
    """Return the last line of an output that tells of a fault."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"error|fatal|cannot|could not|invalid", line, re.IGNORECASE)]
    return (errors or lines or ["it does not say why"])[-1][-500:]


if __name__ == "__main__":
    answer(judge)
