"""One session of a lab server that stays open, as temporary tables need it."""

import subprocess
from types import TracebackType
from typing import Self

from lab import mariadb, programs
from tests.integration.mariadb.conftest import Running


class Session:
    """A client whose statements have run when `run` returns."""

    def __init__(self, running: Running, user: str = "root", password: str = mariadb.ROOT_PASSWORD) -> None:
        self.options = running.home / f"{user}.cnf"
        self.options.write_text(mariadb.client_options(user, password, running.server.socket))
        words = (programs.find("mariadb"), f"--defaults-file={self.options}", "--batch", "--skip-column-names", "-n")
        self.client = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, statements: str) -> None:
        """Run statements, each of which must succeed."""
        assert self.client.stdin is not None
        assert self.client.stdout is not None
        self.client.stdin.write(f"{statements};\nSELECT 'done';\n")
        self.client.stdin.flush()
        line = self.client.stdout.readline()
        while line and line.strip() != "done":
            line = self.client.stdout.readline()
        assert line, "the client ended"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self.client.stdin is not None
        self.client.stdin.close()
        self.client.wait()
