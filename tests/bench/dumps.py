"""What a dump of text adds to a repository after 1 % of its rows changed: `./inv bench.dumps --megabytes 300`.

Real servers, the dumps of their own tools, and each installed borg with the chunks in which dumps are saved. Each dump
is saved plain, by `gzip --rsyncable` and by `gzip`, into a repository of its own, four times: as it was, then with 1 %
of the rows changed in three ways, one after another. Prints what each archive added, and its ratio to the plain dump
that the same borg saved.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from tasks.sources.dumps.dump_backup import CHUNKER
from tests.integration.dumps import mysql, postgres
from tests.integration.dumps.conftest import BORGS

ROW = 158  # bytes of a row in the text of a dump, about
WAYS: Mapping[str, Sequence[str]] = {
    "plain": ("cat",),
    "gzip --rsyncable": ("gzip", "--rsyncable"),
    "gzip": ("gzip",),
}
CHANGES = ("the newest", "10 groups", "every hundredth")


@dataclass(frozen=True)
class Subject:
    """One way to dump a server: `words` write the dump, `sql` runs statements."""

    title: str
    words: Sequence[str]
    sql: Callable[[str], str]


def changes(rows: int) -> Iterator[tuple[str, str]]:
    """Yield for each way to change 1 % of the rows its name, and the condition that chooses them."""
    group = rows // 1000
    yield CHANGES[0], f"id > {rows - rows // 100}"
    yield CHANGES[1], " OR ".join(f"id BETWEEN {start} AND {start + group - 1}" for start in range(1, rows, rows // 10))
    yield CHANGES[2], "id % 100 = 7"


def save(borg: str, repository: Path, dump: Path, archive: str) -> int:
    """Save a file by a borg; return the bytes that its archive added."""
    environment = {
        **os.environ,
        "BORG_REPO": str(repository),
        "BORG_PASSPHRASE": "a passphrase",
        "BORG_BASE_DIR": str(repository.with_suffix(".base")),
    }
    if not repository.exists():
        subprocess.run((borg, "init", "--encryption=repokey-blake2"), env=environment, check=True, capture_output=True)
    options = ("--json", "--compression=lz4", f"--chunker-params={CHUNKER}", "--stdin-name=shop.dump")
    with dump.open("rb") as content:
        words = (borg, "create", *options, f"::{archive}", "-")
        done = subprocess.run(words, env=environment, stdin=content, check=True, capture_output=True)
    return int(json.loads(done.stdout)["archive"]["stats"]["deduplicated_size"])


def grown(subject: Subject, rows: int, folder: Path) -> Iterator[tuple[str, str, str, int]]:
    """Yield borg, way, what had changed, and the bytes that were added."""
    for number, (change, where) in enumerate((("all is new", ""), *changes(rows))):
        if where:
            subject.sql(f"UPDATE orders SET note = concat('{number} ', note), amount = amount + 1 WHERE {where};")
        dump = folder / "dump"
        with dump.open("wb") as file:
            subprocess.run(subject.words, stdout=file, check=True)
        print(f"{subject.title}, {change}: {dump.stat().st_size / 1e6:.0f} MB", flush=True)
        for way, words in WAYS.items():
            with dump.open("rb") as file, (folder / "packed").open("wb") as packed:
                subprocess.run(words, stdin=file, stdout=packed, check=True)
            for borg in BORGS:
                repository = folder / f"{Path(borg).parents[1].name}-{way.replace(' ', '')}"
                yield borg, way, change, save(borg, repository, folder / "packed", f"shop-{number}")


def table(subject: Subject, rows: int, folder: Path) -> str:
    """Measure one way to dump; return its table."""
    added = {(borg, way, change): count for borg, way, change, count in grown(subject, rows, folder)}
    lines = []
    for borg in BORGS:
        version = subprocess.run((borg, "--version"), check=True, capture_output=True, text=True).stdout.strip()
        for way in WAYS:
            cells = [f"{added[borg, way, 'all is new'] / 1e6:.0f} MB"]
            for change in CHANGES:
                here, plain = added[borg, way, change], added[borg, "plain", change]
                cells.append(f"{here / 1e6:.1f} MB ({here / plain:.2f} x)")
            lines.append([version, way, *cells])
    return tabulate(lines, headers=["", subject.title, "first", *CHANGES], tablefmt="github")


def subjects(stack: ExitStack, rows: int) -> Iterator[Subject]:
    """Start each server, fill it with `rows` rows, and yield the ways to dump it."""
    made = "DROP TABLE IF EXISTS orders; CREATE TABLE orders (id int PRIMARY KEY, customer int, amount int, token char(32), note text);"
    filled = (
        "INSERT INTO orders SELECT n, n % 9973, n % 100000, md5({text}),"
        " concat('left at the door of number ', n % 400, ', paid by card, ', md5({more})) FROM {source};"
    )
    other = stack.enter_context(mysql.running())
    other.sql("CREATE DATABASE shop;")
    rows_of = f"(SELECT seq n FROM seq_1_to_{rows}) s"
    other.sql("USE shop;" + made + filled.format(text="n", more="n + 1", source=rows_of))
    words = ("mariadb-dump", "--no-defaults", f"--socket={other.socket}", "--user=root", "--single-transaction")
    yield Subject(
        "mariadb-dump", (*words, "--quick", "--hex-blob", "shop"), lambda text: other.sql(f"USE shop; {text}")
    )
    server = stack.enter_context(postgres.running())
    login = (f"--host={server.folder}", f"--username={server.owner}", "--dbname=postgres")
    for title, options in (("pg_dump, text", ()), ("pg_dump, as saved", ("--format=custom", "--compress=0"))):
        server.sql(made + filled.format(text="n::text", more="(n + 1)::text", source=f"generate_series(1, {rows}) n"))
        yield Subject(title, ("pg_dump", *options, *login), server.sql)


def main() -> None:
    """Measure, and print a table for each way to dump."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=300)
    rows = parser.parse_args().megabytes * 1_000_000 // ROW // 1000 * 1000
    with ExitStack() as stack:
        for subject in subjects(stack, rows):
            with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="bench-dumps-") as folder:
                print(f"{table(subject, rows, Path(folder))}\n", flush=True)


if __name__ == "__main__":
    main()
