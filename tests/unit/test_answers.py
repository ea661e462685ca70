"""Whatever a host, a storage or an archive answers: it is read, or it is the one declared error. Never a traceback."""

import json
import os
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from tasks.answers import AnswerError
from tasks.borg.client.break_lock import holders
from tasks.borg.client.check import CheckOptions, check
from tasks.borg.client.create import FilesOptions, create
from tasks.borg.client.diff import diff
from tasks.borg.client.extract import size
from tasks.borg.client.info import archive_info, repository_info
from tasks.borg.client.list import Archive, archives, contents
from tasks.borg.client.messages import Message, Progress, read_messages
from tasks.borg.client.runner import BorgError, How, run
from tasks.borg.read_back import Aim, read_back
from tasks.encodable import encodable
from tasks.errors import AppError
from tasks.inventory.models import MariaDB
from tasks.mariadb import binlogs, drill, point_in_time, server
from tasks.mariadb.access import Access
from tasks.mariadb.binlogs import Saved
from tasks.mariadb.drill import DrillOptions
from tasks.mariadb.host import collect_binlogs
from tasks.mariadb.point_in_time import Position
from tasks.mariadb.recoverable import recoverable
from tasks.records.ledger import ledger
from tasks.records.record import Record, Records
from tasks.records.verdict import verdict_of
from tasks.remote.facts import parse_facts, parse_tools
from tasks.remote.output import Output
from tasks.remote.script import Stream
from tasks.report.judge import Evidence, judge
from tasks.report.rows import Expected
from tasks.storage.published import publication
from tasks.storage.published.publication import Folders, Way
from tasks.storage.published.rclone_files import RcloneFiles
from tasks.storage.published.storage import mark
from tasks.storage.repository import Repository, Side
from tasks.storage.space import parse_df
from tasks.storage.state import living, manifest_segment, newest_transaction

ROUNDS = int(os.environ.get("CLOUDBACKUP_MUTATIONS", "500"))  # of each reader; the long form is 10000
NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
NAME = "shop-files-2026-11-22T03-00-00"
ID = "ab" * 32
TIME = "2026-11-22T03:00:00.000000"
STATS = {"original_size": 100, "deduplicated_size": 10, "compressed_size": 90, "nfiles": 4}
ARCHIVE = {"name": NAME, "id": ID, "start": TIME, "end": TIME, "hostname": "shop", "comment": "", "stats": STATS}
REPOSITORY = {"id": ID, "location": "ssh://box/./shop", "last_modified": TIME}
ENCRYPTION = {"mode": "repokey-blake2"}
TOTALS = {"total_size": 5, "unique_csize": 4, "total_unique_chunks": 3}
BINLOG = {"name": "mariadb-bin.000007", "server": 1, "created": 1_764_000_000}
DETAILS = {
    "chunk_size": 16384,
    "known_ids": [ID],
    "removed_ids": [ID],
    "recount": True,
    "left_out": {"count": 2, "first": ["/srv/media: is not there"]},
    "suspect": ["4 files, under half of the usual 20,000"],
    "position": {**BINLOG, "offset": 512, "gtid": "0-1-7"},
    "binlog": {"chain": BINLOG, "last": BINLOG, "state": "0-1-7", "until": 1_764_000_100, "zone": "UTC"},
}
RECORD = {
    "version": 1,
    "app": "shop",
    "action": "backup",
    "time": "2026-11-22T03:00:00Z",
    "outcome": "ok",
    "source": "mariadb",
    "duration_seconds": 1.5,
    "archive": NAME,
    "archive_id": ID,
    "size": 100,
    "stored": 10,
    "archive_ids": [ID],
    "transaction": 7,
    "objects": 3,
    "operator": "a@b",
    "details": DETAILS,
}
PROGRESS = {"type": "archive_progress", "original_size": 1, "deduplicated_size": 1, "nfiles": 1, "path": "srv/shop"}
PERCENT = {"type": "progress_percent", "current": 3, "total": 9, "message": "Checking", "finished": False}
WARNING = {
    "type": "log_message",
    "levelname": "WARNING",
    "message": "srv/x: open: denied",
    "msgid": "x",
    "name": "borg",
}
HOSTILE: tuple[Any, ...] = (
    *(None, True, False, -1, 10**400, 2**63, 1.5, float("nan"), float("inf"), -float("inf")),
    *("", "x" * 70_000, "\udce9caf\ud800", "\x1b]52;c;eA==\x07", "\u202e", "9999-12-31T23:59:59", "0001-01-01"),
    *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1" * 5000, "²", "x.²", "../x", "\0"),
    *([], {}, [1], [[[[]]]], {"a": {"b": []}}, [None], ["x", 1], {"count": True}),
)


@dataclass(frozen=True)
class Host:
    """A host that answers the same to everything."""

    stdout: bytes
    stderr: bytes = b""
    code: int = 0
    name: str = "shop"

    def run(self, *given: Any, **__: object) -> Output:
        """Answer; whoever listens to standard output gets it instead."""
        take = given[4] if len(given) > 4 else None
        if take is None:
            return Output(self.code, self.stdout, self.stderr, 1.0)
        take(self.stdout)
        return Output(self.code, b"", self.stderr, 1.0)


def repository(host: Host) -> Repository:
    return Repository("shop", "box", "ssh://box/./shop", cast("Any", host), {}, Side.OPERATOR)


def of(host: Host) -> Any:
    return cast("Any", host)


def borg(act: Callable[[Repository], object]) -> Callable[[bytes], object]:
    return lambda text: act(repository(Host(text)))


def progress(text: bytes) -> None:
    """The run of a borg that says this on standard error, with somebody who hears how far it is."""
    heard: list[Progress] = []
    run(repository(Host(b"", text)), ("list",), How(on_progress=heard.append))
    for each in read_messages(text.decode(errors="replace")):
        assert isinstance(each, Message)
        each.text.encode()


def records(text: bytes) -> None:
    """All that reads records, of which one is this."""
    good = json.dumps(RECORD).encode()
    told = Records.parse({"a.json": text, "b.json": good})
    assert told.all
    ledger(told)
    recoverable(told.all, frozenset((ID,)))
    for record in told.all:
        verdict_of(record)
        Saved.parse(record.details.get("binlog"))
        Position.parse(record.details.get("position"))
    min(told.all, key=lambda record: record.operator == "a@b").to_json().encode()
    judge(SOURCE, Evidence((Archive(NAME, ID, NOW),), told), NOW)


@dataclass(frozen=True)
class Folder:
    text: bytes

    def names(self, _: str) -> list[str]:
        return []

    def read(self, _: str) -> bytes:
        return self.text


def rclone(act: Callable[[RcloneFiles], object]) -> Callable[[bytes], object]:
    return lambda text: act(RcloneFiles(Way(of(Host(text)), "box:", {}, 1.0), "box"))


def published(text: bytes) -> object:
    return publication.run("shop", Way(of(Host(text)), "box:", {}, 1.0), Folders("", "", ""), {"do": "publish"})


def server_of(text: bytes) -> object:
    return server.parse(text.decode(errors="replace"))


LISTED = {"archives": [ARCHIVE], "repository": REPOSITORY, "encryption": ENCRYPTION}
OPTIONS = FilesOptions(NAME, ("/srv/shop",))
MARKED = {"publishing": None, "published": 7, "run": "ab", "config": "cd", "segments": {"data/0/7": 17}}
DRILLED = {
    "restore_seconds": 1.5,
    "bytes": 100,
    "tables": 30,
    "remarks": ["a table is empty"],
    "walls": ["user nobody"],
}
REACHED = {
    "transactions": 4,
    "file": "mariadb-bin.000007",
    "offset": 700,
    "state": "0-1-9",
    "newest": 1_764_000_100,
    "odd": 0,
    "after": 0,
}
ROSTER = {"shared": [["shop-1", 4711, 0]]}
ANSWERED = {"published": 7, "refilled": True, "leftovers": ["data/0/8"]}
FACTS = (
    "home=/root\nuser=root\nhostname=shop\nmachine=ab12\nprocesses=pid:[4026531836]\nmemory=1.6e+10\nbash=5.2.15(1)\n"
)
TOOLS = "borg=borg 1.2.4\npython3=Python 3.11.2\nrclone=rclone v1.60.1\n"
SERVER = (
    "cloudbackup section\tsize\n33\t1048576\ncloudbackup section\tposition\nmariadb-bin.000007\t512\t\t\n"
    "cloudbackup section\tvariables\nversion\t10.11.19-MariaDB\ncloudbackup tool\tbackup\t10.11.19\n"
    "cloudbackup tool\tfiles\t1024\ncloudbackup tool\tfile\t12\n"
)
LOOK = (
    "1764000000\nlog_bin\tON\nlog_bin_basename\t/var/lib/mysql/mariadb-bin\nencrypt_binlog\tOFF\n"
    "gtid_binlog_state\t0-1-7\nzone\tUTC\ncloudbackup head\n fe 62 69 6e 00\n"
)
DF = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 1000 400 600 40% /\n"
LISTING = [{"Path": "data/0/7", "Size": 17}]
ACCESS = Access(MariaDB(defaults_file="/root/.my.cnf"))
SOURCE = Expected("shop", "root@shop.example.org", "box", "mariadb", timedelta(hours=26), logs="binlog")

JSON: Mapping[str, tuple[object, Callable[[bytes], object]]] = {
    "list": (LISTED, borg(archives)),
    "entries": (
        {"path": "srv/shop/a", "type": "-", "size": 3},
        borg(lambda at: list(contents(at, NAME))),
    ),
    "repository": (
        {"repository": REPOSITORY, "encryption": ENCRYPTION, "cache": {"stats": TOTALS}},
        borg(repository_info),
    ),
    "info": ({"archives": [ARCHIVE]}, borg(lambda at: archive_info(at, NAME))),
    "create": (
        {"archive": ARCHIVE, "repository": REPOSITORY, "encryption": ENCRYPTION},
        borg(lambda at: create(at, OPTIONS)),
    ),
    "diff": (
        {"path": "srv/a", "changes": [{"type": "modified", "added": 3, "removed": 2}, {"type": "added", "size": 1}]},
        borg(lambda at: list(diff(at, NAME, NAME))),
    ),
    "read back": (
        {
            "entries": 4,
            "files": 4,
            "candidates": 4,
            "expected": 4,
            "read": 4,
            "bytes": 9,
            "changed": 0,
            "window": [0, 9],
        },
        borg(lambda at: read_back(at, NAME, Aim())),
    ),
    "progress": (PROGRESS, progress),
    "percent": (PERCENT, progress),
    "warning": (WARNING, progress),
    "records": (RECORD, records),
    "roster": (ROSTER, lambda text: holders(cast("Any", Folder(text)), "shop")),
    "published": (ANSWERED, published),
    "mark": (MARKED, lambda text: mark(text, b"", {"data/0/7": 17})),
    "rclone tree": (LISTING, rclone(lambda files: files.tree(""))),
    "rclone files": ({"a.json": "7b7d"}, rclone(lambda files: files.read_all("", ["a.json"]))),
    "drill": (DRILLED, lambda text: drill.run(of(Host(text)), Stream("true"), DrillOptions(100))),
    "recover": (REACHED, lambda text: point_in_time.read(of(Host(b"")), Output(0, text, b"", 1.0), "/srv/x")),
    "binlogs": (
        {"until": 1_764_000_000, "files": [{**BINLOG, "start": "", "end": "0-1-7", "fault": ""}]},
        lambda text: binlogs.told([collect_binlogs.TOLD + text.decode(errors="replace")]),
    ),
}
TEXTS: Mapping[str, tuple[str, Callable[[bytes], object]]] = {
    "facts": (FACTS, lambda text: parse_facts(text.decode(errors="replace"))),
    "tools": (TOOLS, lambda text: parse_tools(text.decode(errors="replace"))),
    "server": (SERVER, server_of),
    "binlog": (LOOK, lambda text: binlogs.look(of(Host(text)), ACCESS)),
    "df": (DF, lambda text: parse_df(Output(0, text, b"", 1.0), "box")),
    "sizes": ("100 4\n", borg(lambda at: size(at, NAME))),
    "check": ("", lambda text: check(repository(Host(b"", text, 1)), CheckOptions())),
    "names": ("index.7\nhints.7\n", lambda text: newest_transaction(text.decode(errors="replace").splitlines())),
    "hints": ("\x81\xa8segments\x81\x01\x02", lambda text: (living(text), manifest_segment(text))),
}
DECLARED = (AnswerError, AppError)


def paths(value: object, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from paths(each, (*at, key))


def put(value: Any, at: tuple[Any, ...], new: object) -> Any:
    """The value with something else at one place."""
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = put(copy[at[0]], at[1:], new)
    return copy


def damaged(text: bytes, chance: random.Random) -> bytes:
    """A text with some of its bytes changed, cut out, or said twice."""
    found = bytearray(text)
    for _ in range(chance.randrange(1, 4)):
        at, length = chance.randrange(len(found) + 1), chance.randrange(1, 30)
        kind = chance.randrange(4)
        if kind == 0:
            found[at : at + 1] = chance.choice(
                [b"\x00", b"\x1b[2J", b"\xff", b"9" * 400, b"\t", b"\n", b"-", b"{", b'"']
            )
        elif kind == 1:
            del found[at : at + length]
        elif kind == 2:
            found[at:at] = found[at : at + length] * chance.randrange(1, 9)
        else:
            found = found[: max(at, 1)]
    return bytes(found)


def mutations(value: object, rounds: int, seed: str) -> Iterator[bytes]:
    """Texts of JSON that are nearly this value: one place of another type or range, or bytes that are not JSON."""
    chance = random.Random(seed)  # noqa: S311
    places = list(paths(value))
    text = json.dumps(value).encode()
    every = [(at, new) for at in places for new in HOSTILE]
    chance.shuffle(every)
    todo = iter(every)
    for _ in range(rounds):
        at, new = next(todo, (None, None))
        if at is not None:
            yield json.dumps(put(value, at, new)).encode()
        elif chance.randrange(2):
            yield json.dumps(put(value, chance.choice(places), chance.choice(HOSTILE))).encode()
        else:
            yield damaged(text, chance)


def survives(read: Callable[[bytes], object], text: bytes) -> None:
    try:
        read(text)
    except DECLARED as error:
        str(error).encode()  # a terminal, a record and a notice must take it
    except Exception as error:
        raise AssertionError(f"{text[:2000]!r}") from error


@pytest.mark.parametrize("name", JSON)
def test_no_answer_of_json_is_more_than_its_readers_error(name: str) -> None:
    value, read = JSON[name]
    read(json.dumps(value).encode())  # the true answer is read
    for text in mutations(value, ROUNDS, name):
        survives(read, text)


@pytest.mark.parametrize("name", TEXTS)
def test_no_text_of_a_host_is_more_than_its_readers_error(name: str) -> None:
    text, read = TEXTS[name]
    chance = random.Random(name)  # noqa: S311
    for _ in range(ROUNDS):
        survives(read, damaged(text.encode(), chance))


@pytest.mark.parametrize("wrong", [[1], "12", 10**400, 1.5, True, None, float("nan"), -1, 2**63])
@pytest.mark.parametrize("field", ["original_size", "deduplicated_size", "nfiles"])
def test_a_wrong_size_fails_the_backup_of_that_app_alone(field: str, wrong: object) -> None:
    said = {"archive": {**ARCHIVE, "stats": {**STATS, field: wrong}}}
    with pytest.raises(BorgError, match="borg's answer has an unknown form"):
        create(repository(Host(json.dumps(said).encode())), OPTIONS)


def test_an_archive_of_another_name_is_not_the_one_that_was_made() -> None:
    said = {"archive": {**ARCHIVE, "name": "blog-files-2026-11-22T03-00-00"}, "encryption": ENCRYPTION}
    with pytest.raises(BorgError, match=f"it tells of another archive than {NAME}"):
        create(repository(Host(json.dumps(said).encode())), OPTIONS)
    with pytest.raises(BorgError, match=f"it does not tell of {NAME}"):
        archive_info(repository(Host(json.dumps({"archives": [said["archive"]]}).encode())), NAME)


def test_an_archive_of_another_age_hides_no_other() -> None:
    far = [{**ARCHIVE, "name": "a", "start": f"{year}-01-01T00:00:00.000000"} for year in ("0001", "9999")]
    found = archives(repository(Host(json.dumps({**LISTED, "archives": [*far, ARCHIVE]}).encode()))).archives
    assert [archive.start.year for archive in found] == [1970, 2199, 2026]


def test_a_name_that_is_not_utf8_can_be_written_everywhere() -> None:
    line = json.dumps({**WARNING, "message": "srv/caf\udce9: open: denied"}).encode()
    assert [each.text for each in read_messages(line.decode())] == [r"srv/caf\xe9: open: denied"]
    assert encodable("caf\udce9 \ud800") == "caf\\xe9 \N{REPLACEMENT CHARACTER}"


def test_a_record_of_texts_that_cannot_be_encoded_is_written_and_read() -> None:
    record = Record(
        "shop", "backup", datetime(2026, 11, 22, tzinfo=UTC), "ok", error="caf\udce9", details={"a": ["\udce9"]}
    )
    read = Record.from_json(record.to_json().encode())
    assert (read.error, read.details) == (r"caf\xe9", {"a": [r"\xe9"]})


def test_a_broken_record_costs_its_app_a_remark_and_no_other_record() -> None:
    good = json.dumps(RECORD).encode()
    wrong = {"details": [1], "time": "9999-12-31T23:59:59Z", "size": "1", "archive_ids": [1], "outcome": "great"}
    files = {f"{key}.json": json.dumps({**RECORD, key: value}).encode() for key, value in wrong.items()}
    told = Records.parse({**files, "nested.json": b"[" * 300_000, "z.json": good})
    assert sorted(told.broken) == sorted([*files, "nested.json"])
    assert len(told.all) == 1
    row = judge(SOURCE, Evidence((), told), NOW)
    assert "6 broken records" in (row.error or "")
