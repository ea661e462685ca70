"""A borg repository in a folder, used as a person would, with content from our streams."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tasks.remote.script import Script, Stream, quote


@dataclass(frozen=True)
class Repository:
    """A repository without encryption, fixed chunks of `chunk_size` bytes, its caches beside it."""

    folder: Path
    chunk_size: int = 16384
    environment: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def make(folder: Path) -> "Repository":
        environment = {
            "BORG_REPO": str(folder / "repository"),
            "BORG_BASE_DIR": str(folder),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }
        made = Repository(folder, environment=environment)
        made.borg("init", "--encryption=none")
        return made

    def borg(self, *words: str) -> str:
        done = subprocess.run(
            ("borg", *words), env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def create(self, archive: str, content: Stream) -> Script:
        """Return the script that makes an archive of a tar's members."""
        read = ("bash", "-o", "pipefail", "-c", content.body)
        words = ("borg", "import-tar", f"--chunker-params=fixed,{self.chunk_size}", f"::{archive}", "-")
        return Script(f"{quote(read)} | {quote(words)}", {**self.environment, **content.environment})

    def create_file(self, archive: str, content: Stream) -> Script:
        """Return the script that makes an archive of one file with a stream."""
        words = (
            "borg", "create", f"--chunker-params=fixed,{self.chunk_size}", "--files-cache=disabled",
            "--stdin-name=mariadb.mbstream", "--content-from-command", f"::{archive}",
            "--", "bash", "-o", "pipefail", "-c", content.body,
        )  # fmt: skip
        return Script(quote(words), {**self.environment, **content.environment})

    def extract(self, archive: str) -> Stream:
        """Return the stream in an archive."""
        return Stream(quote(("borg", "extract", "--stdout", f"::{archive}")), self.environment)

    def archives(self) -> list[str]:
        return self.borg("list", "--format={archive}{NL}").split()
