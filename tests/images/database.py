"""A MariaDB server in a container of a built image, as the server's own image would run it."""

import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.images.container import Container, end

PASSWORD = "p'w \\ of backup"
DATADIR = "/var/lib/mysql"
SOCKET = "/run/mysqld/mysqld.sock"
ACCOUNT = "".join(
    f"CREATE USER 'backup'@'{host}' IDENTIFIED BY 'p\\'w \\\\ of backup';\n"
    f"GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO 'backup'@'{host}';\n"
    for host in ("%", "localhost")
)
DATA = """\
CREATE DATABASE {0};
USE {0};
CREATE TABLE orders (id INT PRIMARY KEY, what VARCHAR(99));
INSERT INTO orders SELECT seq, CONCAT('order ', seq) FROM seq_1_to_1000;
"""


@dataclass
class Database:
    """`container` runs as the server's user; `data` is its data directory on this machine."""

    container: Container
    data: Path
    port: int
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def root(self) -> Container:
        """Return the container as `kubectl exec` enters it: as root, with what a container's root has."""
        return replace(
            self.container, user=0, capabilities=("chown", "dac_override", "fowner", "setgid", "setuid", "kill")
        )

    def make(self) -> None:
        """Make the data directory and start the server."""
        words = [
            "mariadb-install-db",
            f"--datadir={DATADIR}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        made = self.container.run(*words, "--tmpdir=/tmp")
        assert made.returncode == 0, made.stdout + made.stderr
        self.start()
        for text in (ACCOUNT, DATA.format("shop"), DATA.format("blog")):
            self.ask(text)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [f"--datadir={DATADIR}", f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={SOCKET}"]
        self.running.append(
            self.container.start("mariadbd", "--no-defaults", *options, "--innodb-buffer-pool-size=32M")
        )
        deadline = time.monotonic() + 60
        while self._client("SELECT 1").returncode:
            assert time.monotonic() < deadline, self._client("SELECT 1").stderr
            assert self.running[-1].poll() is None, self.running[-1].communicate()[0]
            time.sleep(0.2)

    def ask(self, statements: str) -> str:
        """Return what the server answers to statements of root's."""
        done = self._client(statements)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _client(self, statements: str) -> subprocess.CompletedProcess[str]:
        return self.container.run(
            "mariadb",
            "--no-defaults",
            f"--socket={SOCKET}",
            "--user=root",
            "--batch",
            "--skip-column-names",
            "-e",
            statements,
        )

    def stop(self) -> None:
        """End the server."""
        end(self.running.pop())
