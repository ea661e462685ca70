"""Patterns, tags and flags: what the program on the host takes for left out is what borg leaves out, on real borgs."""

import os
import random
import sqlite3
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from tasks.borg.client.create import FilesOptions, create
from tasks.borg.client.list import archives, contents
from tasks.borg.client.runner import BorgError
from tasks.borg.host.paths import Look
from tasks.borg.host.walk import every
from tasks.borg.paths import Plan, walked
from tasks.remote.host import LocalHost
from tasks.storage.repository import Repository

ROUNDS = 12


def tree(top: Path) -> Path:
    """Return a folder of 81 files on three levels, some of whose folders are tagged."""
    for one in ("app", "cache", "log"):
        for two in ("a", "b", "cache"):
            (top / one / two).mkdir(parents=True)
            for name in ("keep.txt", "x.log", "[odd] *.log"):
                (top / one / two / name).write_text(name)
                (top / one / name).write_text(name)
    (top / "app" / "b" / ".nobackup").touch()
    (top / "log" / ".no").mkdir()
    return top


def looked(options: FilesOptions) -> Look:
    look = Look({**asdict(options.plan), "seconds": 60})
    look.look()
    return look


def test_what_is_left_out_is_what_borg_leaves_out(repository: Repository, borg: Path, tmp_path: Path) -> None:
    """Random patterns in the inventory and in a file of the host's, against what borg lists."""
    rng = random.Random(11)  # noqa: S311
    top, file = tree(tmp_path / "srv"), tmp_path / "patterns"
    inner = str(top).lstrip("/")
    words = [
        *(
            f"{style}{top}/{rest}"
            for style in ("", "sh:", "fm:", "pp:", "pf:")
            for rest in ("app", "log/b", "app/a/x.log")
        ),
        *(
            "sh:**/keep.txt",
            "fm:*/x.log",
            "sh:**/cache",
            "sh:**/cache/",
            rf"re:^{inner}/[al]",
            "re:[.]log$",
            "*/b",
            f"{top}",
        ),
        *("sh:**/[[]odd] [*].log", "sh:**/a/**/*.txt", f"fm:{top}/*/keep.txt"),
    ]

    def some(signs: str) -> list[str]:
        return [f"{rng.choice(signs)} {rng.choice(words)}" for _ in range(rng.randint(0, 4))]

    for number in range(ROUNDS):
        lines = some("+-!")
        file.write_text("\n".join(["# ours", "", *lines[:2], f"P {rng.choice(['fm', 'sh', 'pp'])}", *lines[2:]]))
        options = FilesOptions(
            f"n{number}",
            (str(top), str(top / "app" / "a")),
            patterns=some("+-!"),
            exclude=[rule[2:] for rule in some("!")],
            patterns_from=(str(file),),
            exclude_if_present=rng.choice([(), (".nobackup", ".no")]),
        )
        look = looked(options)
        # A dry run does not list a tagged folder.
        expected = {path.lstrip("/") for path, _ in every(look) if not look.tagged(path)}
        command = [str(borg), "create", "--dry-run", "--list", *look.options(), f"::{number}", "--", *look.roots]
        command[4:4] = [f"--exclude-if-present={name}" for name in options.exclude_if_present]
        told = subprocess.run(command, env=plain(repository), capture_output=True, text=True, check=True).stderr
        held = {line[2:].lstrip("/") for line in told.splitlines() if line.startswith("- ")}
        stock = [str(borg), "create", "--dry-run", "--list", *command[4 : 4 + len(options.exclude_if_present)]]
        stock += [f"--pattern={each}" for each in options.patterns]
        stock += [*(f"--exclude={each}" for each in options.exclude), f"--patterns-from={file}", "::x", *look.roots]
        told = subprocess.run(stock, env=plain(repository), capture_output=True, text=True, check=True).stderr
        assert {line[2:].lstrip("/") for line in told.splitlines() if line.startswith("- ")} == held, options
        assert expected == held, options


def plain(repository: Repository) -> dict[str, str]:
    """Return the environment for stock borg."""
    secret = {
        name: getattr(value, "reveal", lambda value=value: value)() for name, value in repository.environment.items()
    }
    return {**os.environ, **secret}


def test_one_of_each_key(repository: Repository, tmp_path: Path) -> None:
    top, file = tree(tmp_path / "srv"), tmp_path / "patterns"
    file.write_text("! sh:**/x.log\n")
    flagged = subprocess.run(["chattr", "+d", str(top / "app" / "a")], check=False).returncode == 0
    options = FilesOptions(
        "one",
        (str(top),),
        patterns=(f"+ {top}/log/a/keep.txt", f"- {top}/log"),
        exclude=("sh:**/cache",),
        patterns_from=(str(file),),
        exclude_if_present=(".nobackup",),
        nodump=flagged,
    )
    made = create(repository, options)
    assert (made.verdict.left_out, made.warnings) == (0, ())
    held = {entry.path.removeprefix(str(top).lstrip("/")).lstrip("/") for entry in contents(repository, "one")}
    without = set() if flagged else {f"app/a/{name}" for name in ("", "keep.txt", "[odd] *.log")}
    assert held - {each.rstrip("/") for each in without} == {
        *("", "app", "app/keep.txt", "app/[odd] *.log"),
        *("app/b", "app/b/.nobackup"),  # the tag stays, so that it is a tagged folder again after a restore
        "log/a/keep.txt",
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"- /srv\n\nR /etc\n", "line 3: names a root; name it under `files.paths` in the app's file instead"),
        (b"# ours\n/srv/cache\n", "line 2: begins with /, and a pattern with one of +, - and !"),
        (b"- re:(\n", "line 1: has a regular expression that cannot be read: missing ), unterminated subpattern"),
        (b"P xx\n", "line 1: has the style xx, which borg does not know: one of fm, sh, re, pp, pf"),
        (b"+ zz:x\n", "line 1: has the style zz, which borg does not know"),
        (b"- /a\n! \n", "line 2: has no pattern after !"),
        (b"- /a\n- /\xff\n", "line 2: is not UTF-8"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_of_patterns_that_borg_would_not_read_is_named_and_nothing_is_saved(
    repository: Repository, host: LocalHost, tmp_path: Path, content: bytes | None, told: str
) -> None:
    file, top = tmp_path / "patterns", tmp_path / "srv"
    top.mkdir()
    (top / "x").touch()
    if content is not None:
        file.write_bytes(content)
    options = FilesOptions("one", (str(top),), patterns_from=(str(file),))
    with pytest.raises(BorgError) as caught:
        create(repository, options)
    assert f"a file of patterns on the host is not as borg reads it: {file}" in caught.value.what
    assert told in caught.value.what
    assert told in walked(host, options.plan).fault
    assert not archives(repository).archives


def test_what_a_walk_finds(host: LocalHost, tmp_path: Path) -> None:
    top = tmp_path / "srv"
    for folder in ("pg/global", "pg/base/1", "my", "maria", "left"):
        (top / folder).mkdir(parents=True)
    for file in ("pg/PG_VERSION", "pg/base/1/PG_VERSION", "pg/global/pg_control", "my/ibdata1", "maria/ibdata1"):
        (top / file).touch()
    (top / "maria" / "aria_log_control").touch()
    (top / "dump.rdb").write_bytes(b"REDIS0011")
    (top / "thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    for file in ("app.sqlite3", "odd", "left/old.db"):
        base = sqlite3.connect(top / file)
        base.execute("PRAGMA journal_mode=WAL" if file == "odd" else "CREATE TABLE x (y)")
        if file == "odd":
            base.execute("CREATE TABLE x (y)")
    plan = Plan(
        (str(top),),
        patterns=(f"- {top}/left", "+ /elsewhere/x"),
        exclude=(" */blank",),
        verified=(f"{top}/left/old.db", f"{top}/dump.rdb", "/etc/hostname"),
    )
    found = walked(host, plan)
    base.close()
    assert sorted(found.databases) == sorted(
        [
            ("PostgreSQL", f"{top}/pg"),
            ("MySQL", f"{top}/my"),
            ("MariaDB", f"{top}/maria"),
            ("Redis", f"{top}/dump.rdb"),
            ("SQLite", f"{top}/app.sqlite3"),
            ("SQLite", f"{top}/odd"),
        ]
    )
    assert found.databases_count == 6
    assert found.idle == [("patterns", "+ /elsewhere/x"), ("exclude", " */blank")]
    assert found.without == [f"{top}/left/old.db", "/etc/hostname"]
