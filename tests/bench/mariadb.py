"""What a backup of a MariaDB server costs and adds, beside other ways: `./inv bench.mariadb`, or as a program.

It makes a lab with a server of 1 GB, needs 12 GB of disk in /tmp and some minutes, and prints tables in Markdown.
"""

import argparse
import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import mariadb, packages, state
from lab.lab import Lab, LabApp, scratch_folder
from lab.plan import AppPlan
from lab.process import MARKER
from lab.rehearsal import CHECKOUT, make_ready
from tasks.mariadb.dump import FILTER
from tasks.mariadb.host import align
from tasks.remote.script import quote
from tasks.remote.secret import Secret
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tasks.units import size
from tests.bench import measure, synthetic
from tests.bench.mariadb_ways import Ways
from tests.bench.measure import Cost, Written

TABLES = 8
ROW = 262  # bytes that a row takes with its indices, MariaDB 10.11
UPDATES = 2000
PAIRS = 3
LOADED = " ".join(quote((f"{name}={text}",)) for name, text in FILTER.environment.items())
PIPE = f"env {LOADED} {quote(FILTER.words)} 16384"  # the filter with its source, for a shell
DONE = quote(("echo", align.COMPLETED.decode().rstrip("\n")))
OPTIONS = "innodb_buffer_pool_size=512M\ninnodb_log_file_size=96M\ninnodb_doublewrite=ON\n"
LINE = "LSN-incremental"


@dataclass(frozen=True)
class Bench:
    """A lab with one app, whose server has a table of rows for each of TABLES."""

    lab: Lab
    rows: int

    @property
    def app(self) -> LabApp:
        return self.lab.apps["shop"]

    @property
    def options(self) -> Path:
        """The option file of the account that backs up."""
        return self.app.home / ".my.cnf"

    @property
    def daemons(self) -> tuple[int, ...]:
        """Those that work for a task on the lab: the app host's sshd, the box."""
        return tuple(daemon.pid for daemon in state.load(self.lab.folder).processes.values())

    def sql(self, text: str, database: str = "") -> None:
        mariadb.query(self.app.server, text, database)

    def each(self, text: str) -> None:
        """Run a statement on every table."""
        for number in range(TABLES):
            self.sql(text.format(table=f"t{number}", rows=self.rows, seed=number), "bench")

    def insert(self, count: int) -> None:
        self.each(
            "SET rand_seed1 = {seed} + " + str(count) + ", rand_seed2 = 4711; INSERT INTO {table} (k, c, pad) SELECT"
            f" RAND() * 1e9, CONCAT(SHA2(RAND(), 256), MD5(RAND())), MD5(RAND()) FROM seq_1_to_{count}"
        )

    def update(self) -> None:
        """Change some rows here and there, all in all UPDATES."""
        self.each(
            "SET rand_seed1 = {seed}, rand_seed2 = 42; CREATE TEMPORARY TABLE chosen AS SELECT DISTINCT"
            f" 1 + FLOOR(RAND() * {{rows}}) AS id FROM seq_1_to_{UPDATES // TABLES};"
            " UPDATE {table} JOIN chosen USING (id) SET c = SHA2(RAND(), 256)"
        )

    def inv(self, *words: str) -> Cost:
        """Run a task of the tool."""
        program = (sys.executable, "-P", str(CHECKOUT / "tasks/program.py"), "--search-root", str(CHECKOUT))
        return measure.run((*program, *words), {"INVOKE_INVENTORY": str(self.lab.inventory)}, daemons=self.daemons)

    def typed(self, lines: str) -> Cost:
        """Run what a person would type in a shell on the app's host, over ssh, with borg's environment."""
        with Session(load(self.lab.inventory)) as session:
            app = session.inventory.select(("shop",), None)[0]
            values = session.repository(app, Side.HOST).environment
        revealed = {name: value.reveal() if isinstance(value, Secret) else value for name, value in values.items()}
        exports = "".join(f"export {name}={quote((value,))}\n" for name, value in revealed.items())
        words = (
            "ssh", "-F", "none", "-p", str(self.app.port), "-i", str(self.lab.operator_key), "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "127.0.0.1",
            "bash", "-s",
        )  # fmt: skip
        text = f"set -e -o pipefail\n{exports}main() {{\n{lines}\n}}\nmain </dev/null\n"
        return measure.run(words, text=text, daemons=self.daemons)


def prepare(bench: Bench) -> None:
    """Make the data, and the storage ready."""
    server = bench.app.server
    mariadb.stop(server, bench.app.home)
    with server.configuration.open("a") as file:
        file.write(OPTIONS)
    mariadb.start(server, bench.app.home, {MARKER: str(bench.lab.folder)})
    bench.sql(f"GRANT SUPER ON *.* TO {mariadb.BACKUP_USER}@localhost; CREATE DATABASE bench")
    bench.each(
        "CREATE TABLE {table} (id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL, c CHAR(120) NOT NULL,"
        " pad CHAR(60) NOT NULL, KEY k (k))"
    )
    bench.insert(bench.rows)
    make_ready(bench.lab)


def growth(bench: Bench, folder: Path) -> None:
    """Print what each way adds for each change, and the filter's share of the CPU time."""
    ways = Ways(folder, bench.options)
    first = ways.all()
    nothing = ways.all()
    bench.update()
    updated = ways.all()
    bench.insert(bench.rows // 20)
    inserted = ways.all()
    print("\n| way | first backup | after nothing | after 2,000 updates | after 5 % inserts |\n|---|---|---|---|---|")
    for way in first:
        cells = [size(first[way].added) if way != LINE else "(needs one)"]
        cells += [
            f"{size(phase[way].added)} ({phase[way].added / phase[LINE].added:.2f} x)"
            for phase in (nothing, updated, inserted)
        ]
        print(f"| {way} | {' | '.join(cells)} |")
    redo = [size(phase["staging directory, borg's chunks"].redo) for phase in (first, nothing, updated, inserted)]
    data = first["aligned 16 KiB"]
    print(f"| the redo log in each copy | {' | '.join(redo)} |")
    told("the filter's share of a first backup's CPU", f"{data.filter_cpu / data.cost.cpu:.1%}", "15 %")
    second = updated["aligned 16 KiB"]
    told("of a second backup's", f"{second.filter_cpu / second.cost.cpu:.1%}", "25 %")


def filter_alone(bench: Bench, folder: Path) -> None:
    """Print the filter's pace on a stream in a file, and its memory for 1 and 5 GB; borg's memory beside it."""
    stream = folder / "stream"
    words = ("mariadb-backup", f"--defaults-extra-file={bench.options}", "--backup", "--stream=mbstream")
    measure.run(("bash", "-c", f"{{ {quote(words)} 2>/dev/null && {DONE}; }} >{stream}"))
    costs = [measure.run(("bash", "-c", f"exec {PIPE} <{stream} >/dev/null")) for _ in range(PAIRS)]
    length = stream.stat().st_size
    stream.unlink()
    told("the filter passes", f"{length / 1e9 / min(cost.wall for cost in costs):.2f} GB/s", "0.7 GB/s or more")
    for gigabytes in (1, 5):
        made = f"{quote(('env', f'PYTHONPATH={CHECKOUT}', sys.executable, synthetic.__file__))} {gigabytes}"
        passed = measure.run(("bash", "-c", f"exec {PIPE} < <({made} && {DONE}) >/dev/null"))
        told(f"its peak memory for {gigabytes} GB", size(passed.memory), "64 MiB")
        ways = Ways(folder / f"memory-{gigabytes}", bench.options)
        ways.folder.mkdir()
        stored = ways.members("synthetic", f"{{ {made} && {DONE}; }} | {PIPE}", 16384, {})
        share = stored.cost.memory / (gigabytes * 1e9 / 16384)
        told(f"borg's for {gigabytes} GB in chunks of 16 KiB", f"{size(stored.cost.memory)}, {share:.0f} a chunk", "")
        shutil.rmtree(ways.folder)


def task(bench: Bench) -> None:
    """Print the whole task's cost beside the same pipeline typed in a shell, and beside a copy to nowhere."""
    dump = (
        f"mariadb-backup --defaults-extra-file={bench.options} --backup --stream=mbstream --innodb-log-checkpoint-now"
    )
    create = "borg import-tar --chunker-params=fixed,16384"
    bench.inv("mariadb.backup", "--app", "shop")
    bench.typed("touch ~/log")
    tasks, pipelines, nowhere = [], [], []
    for number in range(PAIRS):
        tasks.append(bench.inv("mariadb.backup", "--app", "shop"))
        pipelines.append(
            bench.typed(f"{{ {dump} 2>~/log && {DONE}; }} | {PIPE} 2>~/told | {create} ::typed-{number} -")
        )
        nowhere.append(bench.typed(f"{dump} 2>~/log | cat >/dev/null"))
    beside(
        "`inv mariadb.backup` (an unchanged server)", tasks, "the pipeline typed in a shell", pipelines, "1.5 s more"
    )
    beside("the pipeline", pipelines, "`mariadb-backup` into `cat >/dev/null`", nowhere, "")
    written = Written((bench.lab.folder / "box", bench.app.home / ".cache", bench.app.home / "log"))
    with written.watching(f"{MARKER}={bench.lab.folder}"):
        bench.inv("mariadb.backup", "--app", "shop")
    told(
        "files that a backup writes on the host, borg's cache apart",
        f"{size(written.most)}: {', '.join(written.names)}",
        "1 MiB",
    )


def restore(bench: Bench) -> None:
    """Print a restore's cost beside stock tools, typed in a shell."""
    ours, theirs = [], []
    folder = bench.lab.folder / "restored"
    for _ in range(2):
        ours.append(bench.inv("mariadb.restore", "--app", "shop", "--target", str(folder)))
        shutil.rmtree(folder)
        folder.mkdir()
        theirs.append(
            bench.typed(
                f"borg extract --stdout ::typed-0 | mbstream -x -C {folder}\nrm {folder}/cloudbackup_padding\n"
                f"mariadb-backup --prepare --target-dir={folder} 2>~/log"
            )
        )
        shutil.rmtree(folder)
    beside(
        "`inv mariadb.restore --target`", ours, "`borg extract`, `mbstream -x`, `--prepare`", theirs, "1.1 x and 2 s"
    )


def binary_logs(bench: Bench) -> None:
    """Print what a look for new binary logs costs when there are none."""
    bench.inv("backup", "--app", "clock")
    costs = [bench.inv("mariadb.binlog", "--app", "clock") for _ in range(PAIRS)]
    assert all("nothing new" in cost.output for cost in costs)
    wall, cpu = (statistics.median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu"))
    told("`inv mariadb.binlog` when nothing is new", f"{wall:.1f} s, CPU {cpu:.1f} s", "2 s")


def many_tables(bench: Bench, count: int = 2000) -> None:
    """Print what a server with many tables costs, saved, restored and drilled."""
    tables = "".join(f"CREATE TABLE t{number} (id INT PRIMARY KEY, v INT);\n" for number in range(count))
    bench.sql("CREATE DATABASE many; USE many;\n" + tables)
    first, second = (bench.inv("mariadb.backup", "--app", "shop") for _ in range(2))
    folder = bench.lab.folder / "many"
    restored = bench.inv("mariadb.restore", "--app", "shop", "--target", str(folder))
    assert len(list((folder / "many").glob("*.ibd"))) == count
    shutil.rmtree(folder)
    drilled = bench.inv("mariadb.verify", "--app", "shop", "--scratch", str(bench.lab.folder))
    said = "".join(each.output for each in (first, second, restored, drilled))
    print(f"\nWith {count} more tables, an unchanged server's backup, its restore and its drill:\n```\n{said}```")


def beside(what: str, ours: Sequence[Cost], baseline: str, theirs: Sequence[Cost], target: str) -> None:
    """Print two lines: the medians' difference in wall time and CPU."""
    for name, pick in {"wall": lambda cost: cost.wall, "CPU": lambda cost: cost.cpu}.items():
        mine, other = (statistics.median(map(pick, costs)) for costs in (ours, theirs))
        told(f"{what}, {name}", f"{mine:.2f} s against {other:.2f} s of {baseline}: {mine / other:.2f} x", target)


def told(what: str, figure: str, target: str) -> None:
    """Print one line of the second table."""
    print(f"| {what} | {figure} | {target} |", flush=True)


def main() -> None:
    """Run all, or the named parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1100, help="size of the database")
    parser.add_argument("--only", action="append", choices=["growth", "filter", "task", "restore", "binlog", "tables"])
    chosen = parser.parse_args()
    packages.ensure(*packages.LAB, why="the benchmark")
    plans = (AppPlan("shop", megabytes=1, files=False), AppPlan("clock", megabytes=1, files=False, binlog=True))
    lab = Lab.start(scratch_folder(), plans)
    bench = Bench(lab, chosen.megabytes * 1_000_000 // ROW // TABLES)
    folder = scratch_folder()
    parts: dict[str, Callable[[], object]] = {
        "growth": lambda: growth(bench, folder),
        "filter": lambda: filter_alone(bench, folder),
        "task": lambda: task(bench),
        "restore": lambda: restore(bench),
        "binlog": lambda: binary_logs(bench),
        "tables": lambda: many_tables(bench),
    }
    try:
        prepare(bench)
        for name, part in parts.items():
            if not chosen.only or name in chosen.only or (name == "task" and "restore" in chosen.only):
                part()
    finally:
        bench.lab.remove()
        shutil.rmtree(bench.lab.folder)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
