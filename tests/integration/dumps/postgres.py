"""A PostgreSQL server of a test's own, which only its socket reaches."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path(), key=lambda path: int(path.parent.name))
SETTINGS = ("-c", "listen_addresses=", "-c", "fsync=off")


class Server:
    """A running server; `folder` holds its socket, and `owner` is its superuser, who needs no password."""

    owner = "owner"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sql(self, text: str, database: str = "postgres") -> str:
        """Return what psql prints for statements."""
        words = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-U", self.owner]
        done = subprocess.run([*words, "-d", database], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def running() -> Iterator[Server]:
    """Yield a new server, which ends with the block."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/var/tmp"))
    nobody = pwd.getpwnam("nobody")
    ordinary = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    if ordinary:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    folder.chmod(0o755)
    made = ["--auth=trust", f"--username={Server.owner}", "--encoding=UTF8", "--no-sync", str(folder / "data")]
    environment = {"PATH": f"{PROGRAMS}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    subprocess.run([f"{PROGRAMS}/initdb", *made], check=True, capture_output=True, env=environment, cwd="/", **ordinary)  # type: ignore[call-overload]
    words = [f"{PROGRAMS}/postgres", "-D", str(folder / "data"), "-k", str(folder), *SETTINGS]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, env=environment, cwd="/", **ordinary)  # type: ignore[call-overload]
    try:
        while subprocess.run(["pg_isready", "-q", "-h", str(folder)], check=False).returncode:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield Server(folder)
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait()
        shutil.rmtree(folder)
