"""Ways of backing up one server into one borg repository each, and what each stored."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tasks.inventory.models import MariaDB
from tasks.mariadb import server
from tasks.mariadb.access import Access
from tasks.mariadb.dump import FILTER, DumpOptions, dump
from tasks.remote.host import LocalHost
from tasks.remote.script import quote
from tests.bench import measure
from tests.bench.measure import Cost

KIB = 1024
TIMED = "FILTER_TIMES"


@dataclass
class Stored:
    """What one backup added to its repository, in bytes, and what it cost. `filter_cpu` is the filter's share."""

    added: int
    cost: Cost
    filter_cpu: float = 0.0
    redo: int = 0


@dataclass
class Ways:
    """The server of `defaults_file`, and repositories below `folder`, all with lz4 and repokey-blake2."""

    folder: Path
    defaults_file: Path
    count: int = 0
    lsn: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environment = {"BORG_PASSPHRASE": "bench", "BORG_BASE_DIR": str(self.folder / "borg"), "LC_ALL": "C.UTF-8"}
        access = Access(MariaDB(defaults_file=str(self.defaults_file)))
        self.access = access
        self.tools = server.ask(LocalHost(), access).tools

    @property
    def words(self) -> tuple[str, ...]:
        """mariadb-backup as a person would call it, with its best options."""
        return (
            "mariadb-backup",
            f"--defaults-extra-file={self.defaults_file}",
            "--backup",
            "--innodb-log-checkpoint-now",
        )

    def all(self) -> dict[str, Stored]:
        """Back up by each way."""
        self.count += 1
        staged = self.staged()
        return {
            "naive stream": self.stored("naive", quote((*self.words, "--stream=mbstream")) + " 2>/dev/null"),
            "staging directory, borg's chunks": staged["default"],
            "staging directory, fixed 64 KiB": staged["fixed,65536"],
            **{f"aligned {size} KiB": self.aligned(size * KIB) for size in (64, 32, 16)},
            "LSN-incremental": self.incremental(),
        }

    def aligned(self, size: int) -> Stored:
        """Back up as the tool does."""
        stream = dump(self.access, self.tools, DumpOptions(size))
        plain = f'{quote((*FILTER.words, str(size)))} "$parent"'
        assert plain in stream.body
        times = self.folder / "times"
        timed = stream.body.replace(plain, f"{{ time {plain}; }} 2>{times}")
        values = {name: str(value) for name, value in stream.environment.items()}
        found = self.members(f"aligned-{size}", timed, size, {**values, "TIMEFORMAT": "%U %S"})
        found.filter_cpu = sum(map(float, times.read_text().splitlines()[-1].split()))
        return found

    def incremental(self) -> Stored:
        """Back up what changed since the last incremental, by LSN; the first is since the staged copy."""
        lsns = self.folder / "lsns"
        shutil.rmtree(lsns, ignore_errors=True)
        words = (*self.words, "--stream=mbstream", f"--incremental-lsn={self.lsn}", f"--extra-lsndir={lsns}")
        found = self.stored("incremental", quote(words) + " 2>/dev/null")
        self.lsn = last_lsn(lsns)
        return found

    def staged(self) -> dict[str, Stored]:
        """Copy into a directory, and save that."""
        staging = self.folder / "staging"
        shutil.rmtree(staging, ignore_errors=True)
        copied = measure.run((*self.words, f"--target-dir={staging}"))
        self.lsn = self.lsn or last_lsn(staging)
        redo = (staging / "ib_logfile0").stat().st_size
        found = {}
        for chunker in ("default", "fixed,65536"):
            words = (f"::{self.count}", str(staging))
            made = self.create(f"staged-{chunker}", chunker, words, {})
            made.cost = Cost(made.cost.wall + copied.wall, made.cost.cpu + copied.cpu, made.cost.memory)
            made.redo = redo
            found[chunker] = made
        shutil.rmtree(staging)
        return found

    def stored(self, name: str, body: str, chunker: str = "default", more: dict[str, str] | None = None) -> Stored:
        """Save what a pipeline writes."""
        words = (
            "--files-cache=disabled", "--content-from-command", "--stdin-name=mariadb.mbstream", f"::{self.count}",
            "--", "bash", "-o", "pipefail", "-c", body,
        )  # fmt: skip
        return self.create(name, chunker, words, more or {})

    def members(self, name: str, body: str, size: int, more: dict[str, str]) -> Stored:
        """Save the tar that a pipeline writes."""
        words = ("import-tar", "--json", f"--chunker-params=fixed,{size}", f"::{self.count}", "-")
        piped = f"{{ {body}\n}} | {quote(('borg', *words))}"
        return self.measured(name, ("bash", "-o", "pipefail", "-c", piped), more)

    def create(self, name: str, chunker: str, words: tuple[str, ...], more: dict[str, str]) -> Stored:
        """Make an archive of files or of a stream."""
        return self.measured(name, ("borg", "create", "--json", f"--chunker-params={chunker}", *words), more)

    def measured(self, name: str, words: tuple[str, ...], more: dict[str, str]) -> Stored:
        """Run what makes an archive in the repository of that name."""
        repository = self.folder / "repositories" / name
        environment = {**self.environment, **more, "BORG_REPO": str(repository)}
        if not repository.exists():
            repository.parent.mkdir(exist_ok=True)
            subprocess.run(
                ("borg", "init", "--encryption=repokey-blake2"), env={**os.environ, **environment}, check=True,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        cost = measure.run(words, environment)
        stats = json.loads(cost.output[cost.output.index("{\n") :])["archive"]["stats"]
        return Stored(stats["deduplicated_size"], cost)


def last_lsn(folder: Path) -> int:
    """Return up to where a backup has copied, from the file that mariadb-backup writes."""
    text = next(folder.glob("*_checkpoints")).read_text()
    return int(next(line for line in text.splitlines() if line.startswith("to_lsn")).split("=")[1])
