"""Which transactions a moment takes in, and when it cannot be reached."""

from pathlib import Path
from typing import Any

import pytest

from tasks.mariadb.host import recovery_point as cutting
from tasks.mariadb.host import replay
from tasks.mariadb.host.ordinary_user import DrillFault
from tasks.mariadb.host.recovery_point import Cut, Position, Refusal
from tests.unit.mariadb.binlogs import SERVER, Made

BEGIN = 1000  # when the first binary log was made; each is open for 100 seconds
WILD = 1893456000


class Logs:
    """Binary logs in archives, three transactions in each: 10, 50 and 90 seconds after it was made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[int, Made] = {}

    def log(self, number: int, times: tuple[int, ...] = (10, 50, 90), *, closed: bool = True, state: int = -1) -> Made:
        begin = BEGIN + 100 * number
        state = 3 * number if state < 0 else state
        made = Made({(0, SERVER): state} if state else {}, created=begin)
        for index, time in enumerate(times):
            made.group(time if time >= WILD else begin + time, 0, state + index + 1, "xid", 1)
        if closed:
            made.close(begin + 100)
        self.made[number] = made
        return made

    def archive(self, place: int, *numbers: int) -> None:
        folder = self.folder / "logs" / str(place)
        folder.mkdir(parents=True)
        for number in numbers:
            (folder / f"binlog.{number:06}").write_bytes(self.made[number].raw)

    def position(self, number: int, group: int, **known: int) -> Position:
        """Return the place before a transaction."""
        before = 3 * number + group
        values = {"offset": self.made[number].groups[group].offset, "gtid": f"0-{SERVER}-{before}" if before else ""}
        return Position({"name": f"binlog.{number:06}", **values, **known})

    def planned(self, at: int, position: Position, **saved: Any) -> Cut:
        plan = {"at": at, "scratch": str(self.folder), "saved": saved or None}
        return cutting.planned(plan, position)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    """Three binary logs in two archives, the second archive with one that the first has too."""
    logs = Logs(tmp_path)
    for number in (0, 1, 2):
        logs.log(number)
    logs.archive(0, 0, 1)
    logs.archive(1, 1, 2)
    return logs


def taken(cut: Cut) -> list[str]:
    return [cutting.gtid(*each).rpartition("-")[2] for each in cut.numbers()]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (1090, ["2"]),  # what is dated at that second is not in
        (1091, ["2", "3"]),
        (1105, ["2", "3"]),
        (1151, ["2", "3", "4", "5"]),
        (1300, ["2", "3", "4", "5", "6", "7", "8", "9"]),
        (1050, []),
    ],
)
def test_all_before_that_second_is_taken(logs: Logs, at: int, expected: list[str]) -> None:
    cut = logs.planned(at, logs.position(0, 1))
    assert taken(cut) == expected
    assert cut.state() == {(0, SERVER): 1 + len(expected)}


def test_a_session_with_a_clock_of_its_own_neither_ends_it_nor_is_left_out(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    logs.log(0, (10, WILD, 90))
    logs.log(1)
    logs.archive(0, 0, 1)
    cut = logs.planned(1150, logs.position(0, 0))
    assert taken(cut) == ["1", "2", "3", "4"]
    assert cutting.outcome(cut, 1150)["odd"] == 1
    assert cutting.outcome(cut, 1150)["newest"] == 1110


def test_one_that_began_before_and_ended_after_is_told(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    logs.log(0, (10, 60, 40))
    logs.archive(0, 0)
    cut = logs.planned(1050, logs.position(0, 0))
    assert taken(cut) == ["1"]
    assert cutting.outcome(cut, 1050)["after"] == 1


@pytest.mark.parametrize(
    ("at", "number", "group", "says"),
    [
        (1301, 0, 1, "only 1970-01-01 00:21:40 UTC: nothing newer is saved"),
        (1030, 0, 2, "ends after"),
    ],
)
def test_what_is_outside_is_refused(logs: Logs, at: int, number: int, group: int, says: str) -> None:
    with pytest.raises(Refusal, match=says):
        logs.planned(at, logs.position(number, group))


def test_records_tell_of_a_time_after_the_last_transaction(logs: Logs) -> None:
    last = {"name": "binlog.000002", "server": SERVER, "created": 1200}
    saved = {"last": last, "until": 1900, "state": f"0-{SERVER}-9"}
    assert len(taken(logs.planned(1900, logs.position(0, 1), **saved))) == 8
    with pytest.raises(Refusal, match="only 1970-01-01 00:31:40"):
        logs.planned(1901, logs.position(0, 1), **saved)
    with pytest.raises(Refusal, match="only 1970-01-01 00:21:40"):  # another log of that name is meant
        logs.planned(1900, logs.position(0, 1), **{**saved, "last": {**last, "created": 5}})
    later = Position({"name": "binlog.000003", "offset": 300, "gtid": f"0-{SERVER}-9"})
    assert taken(logs.planned(1900, later, **saved)) == []  # nothing was written since


def test_a_gap_is_named(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    for number in (0, 1, 2):
        logs.log(number)
    logs.archive(0, 0, 2)
    assert taken(logs.planned(1095, logs.position(0, 0))) == ["1", "2", "3"]
    with pytest.raises(Refusal, match=r"binlog.000001 was purged before it was saved"):
        logs.planned(1150, logs.position(0, 0))


def test_a_log_of_another_time_continues_nothing(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    logs.log(0)
    logs.log(1, state=77)
    logs.archive(0, 0, 1)
    with pytest.raises(Refusal, match=r"binlog.000001 does not continue binlog.000000"):
        logs.planned(1150, logs.position(0, 0))


def test_a_backup_of_another_time_is_told_apart(logs: Logs) -> None:
    for known in ({"server": 8, "created": 1000}, {"server": SERVER, "created": 1001}):
        with pytest.raises(Refusal, match="is of another time than the backup"):
            logs.planned(1150, logs.position(0, 1, **known))
    assert taken(logs.planned(1091, logs.position(0, 1, server=SERVER, created=1000))) == ["2", "3"]
    wrong = Position({"name": "binlog.000000", "offset": logs.made[0].groups[1].offset, "gtid": f"0-{SERVER}-5"})
    with pytest.raises(Refusal, match="is of another time than the backup"):
        logs.planned(1150, wrong)
    inside = Position({"name": "binlog.000000", "offset": logs.made[0].groups[1].offset + 30, "gtid": f"0-{SERVER}-5"})
    with pytest.raises(Refusal, match="is of another time"):
        logs.planned(1150, inside)
    with pytest.raises(Refusal, match=r"binlog.000009.* was purged"):
        logs.planned(1150, Position({"name": "binlog.000009", "offset": 4, "gtid": ""}))


def test_names_that_came_again_after_a_restore_are_told_apart(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    old = logs.log(0)
    logs.archive(0, 0)
    logs.made[0] = Made({(0, SERVER): 1}, created=2000)
    logs.made[0].group(2010, 0, 2, "xid", 1)
    logs.made[0].close(2100)
    logs.archive(1, 0)
    again = Position({"name": "binlog.000000", "offset": logs.made[0].groups[0].offset, "gtid": f"0-{SERVER}-1"})
    assert cutting.shown(2010)
    assert [log.facts.created for log in logs.planned(2050, again).logs] == [2000]
    first = Position({"name": "binlog.000000", "offset": old.groups[0].offset, "gtid": ""})
    assert [log.facts.created for log in logs.planned(1095, first).logs] == [1000]


def test_a_hostile_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import tarfile

    for name, kind in (
        ("../binlog.000001", tarfile.REGTYPE),
        ("binlog.000001", tarfile.SYMTYPE),
        ("/etc/x.1", tarfile.REGTYPE),
    ):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(buffer.getvalue())))
        with pytest.raises(DrillFault, match="which is none"):
            replay.extract(tmp_path / name.replace("/", "_") / str(kind))


@pytest.mark.parametrize("foreign", ["5-9-1000", "0-99-3,5-9-1000", ""])
def test_gtids_of_a_former_replica_do_not_keep_a_backup_from_its_binary_logs(logs: Logs, foreign: str) -> None:
    """The server and the time of making tell which binary log it is; the list of GTIDs has what was replicated once."""
    known = {"server": SERVER, "created": BEGIN + 100}
    offset = logs.made[1].groups[1].offset
    position = Position({"name": "binlog.000001", "offset": offset, "gtid": f"0-{SERVER}-4,{foreign}", **known})
    assert len(logs.planned(BEGIN + 195, position).numbers()) == 2
    with pytest.raises(Refusal):
        logs.planned(BEGIN + 195, Position({"name": "binlog.000001", "offset": offset + 1, "gtid": "", **known}))
    with pytest.raises(Refusal):
        logs.planned(
            BEGIN + 195, Position({"name": "binlog.000001", "offset": offset, "gtid": foreign, **known, "created": 7})
        )
