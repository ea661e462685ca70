"""A MariaDB server of a test's own, which only its socket reaches."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "it's a \\ secret"


class Server:
    """A running server; its superuser `root` needs no password, the account `dumper` has PASSWORD."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "s"

    def client(self, *options: str) -> list[str]:
        """Return the client's command as root."""
        return ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", "-BN", *options]

    def sql(self, text: str) -> str:
        """Return what the client prints for statements."""
        done = subprocess.run(self.client(), input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def running() -> Iterator[Server]:
    """Yield a new server, which ends with the block."""
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/var/tmp"))
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    shutil.chown(folder, user)
    folder.chmod(0o755)
    made = [f"--datadir={folder}/data", f"--user={user}", "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(["mariadb-install-db", "--no-defaults", *made], check=True, capture_output=True)
    words = [
        "mariadbd", "--no-defaults", f"--datadir={folder}/data", f"--user={user}", f"--socket={folder}/s",
        f"--pid-file={folder}/pid", f"--tmpdir={folder}", "--skip-networking", "--innodb-flush-method=nosync",
        "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M",
    ]  # fmt: skip
    server = Server(folder)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        while subprocess.run(server.client("-e", "SELECT 1"), capture_output=True, check=False).returncode:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        escaped = PASSWORD.replace("\\", "\\\\").replace("'", "''")
        server.sql(
            f"CREATE USER dumper@localhost IDENTIFIED BY '{escaped}'; GRANT ALL PRIVILEGES ON *.* TO dumper@localhost;"
        )
        yield server
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)
