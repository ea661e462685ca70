"""Which transactions of the saved binary logs lead to a moment, and why it cannot be reached where it cannot.

The cut is the first transaction dated at that moment or later. Sessions may date theirs as they like (SET timestamp): a
date outside of its own binary log's time is no date. So nothing is ever replayed by date, but by position.

Part of the program `replay`, which runs alone on a host: of the standard library only, Python 3.8 and later; but for
`binlog`, `roles` and `private`, which come along.
"""

from __future__ import annotations

from array import array
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from tasks.mariadb.host.binlog_format import Facts, Group, read, state, successor, text
from tasks.mariadb.host.ordinary_user import DrillFault
from tasks.mariadb.host.roles import CREATES, invoker

ROTATION = 5  # seconds from the closing of a binary log to the opening of the next
TOLERANCE = 2  # seconds by which a transaction may be dated outside of its binary log


class Refusal(DrillFault):
    """The moment cannot be reached with what is saved."""


class Log:
    """One binary log in the scratch directory, and where which of its transactions begin."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.times, self.offsets = array("L"), array("Q")
        self.makers: dict[int, tuple[bytes, bytes]] = {}  # of roles, by the number of the transaction that makes one
        with path.open("rb") as file:
            self.facts: Facts = read(file, self.group, on_query=self.query).facts()

    def group(self, group: Group) -> None:
        """Note a transaction."""
        self.offsets.append(group.offset)
        self.times.append(group.time)

    def query(self, text: bytes, status: bytes) -> None:
        """Note who makes a role."""
        maker = invoker(status) if CREATES.match(text) else None
        if maker is not None:
            self.makers[len(self.offsets)] = maker

    @property
    def identity(self) -> tuple[str, int, int]:
        """Return what tells it from others of its name."""
        return (self.name, self.facts.server, self.facts.created)


class Saved:
    """What is saved altogether, as a record tells."""

    def __init__(self, values: dict[str, object]) -> None:
        last = values["last"]
        assert isinstance(last, dict)
        self.identity = (str(last["name"]), int(last["server"]), int(last["created"]))
        self.name, self.server, _ = self.identity
        self.until = int(str(values["until"]))
        self.state = str(values["state"])

    def holds(self, position: Position) -> bool:
        """Tell whether nothing was written between the last binary log and a position in a later one."""
        state = set(self.state.split(","))
        domains = {gtid.partition("-")[0] for gtid in state}  # the position may have others, of a former replica
        known = {gtid for gtid in position.gtids if gtid.partition("-")[0] in domains}
        return number(position.name) > number(self.name) and known <= state and self.before(position)

    def before(self, position: Position) -> bool:
        """Tell whether a position is in a later binary log of the same row, where it tells: names come again."""
        server, created = position.known
        _, own, last = self.identity
        return None in position.known or (server == own and int(str(created)) >= last)


class Position:
    """Where the copy ends in the binary logs."""

    def __init__(self, values: dict[str, object]) -> None:
        self.name = str(values["name"])
        self.offset = int(str(values["offset"]))
        self.gtids = set(filter(None, str(values["gtid"]).split(",")))
        self.known = (values.get("server"), values.get("created"))

    def in_log(self, log: Log) -> bool:
        """Tell whether a binary log is the one meant.

        Its name, server and time of making tell, where they are known, and that a transaction begins or the log ends at
        the place. GTIDs do not then: a backup's list has domains that this log never had (of a former replica).
        """
        if log.name != self.name or (None not in self.known and self.known != log.identity[1:]):
            return False
        if self.offset > log.facts.sound:
            return False
        with log.path.open("rb") as file:
            reader = read(file, upto=self.offset)
        if None not in self.known:
            return reader.sound == self.offset
        return {group.gtid for group in reader.last.values()} == self.gtids


class Piece(NamedTuple):
    """A part of what is replayed, and who made the role at its end."""

    logs: list[Log]
    start: int
    stop: int
    maker: tuple[bytes, bytes] | None = None

    def words(self) -> list[str]:
        """Return the arguments for `mariadb-binlog`."""
        return [f"--start-position={self.start}", f"--stop-position={self.stop}", *(str(log.path) for log in self.logs)]


class Cut:
    """What is to be replayed: `logs`, the first from `start`, the last up to `stop`; nothing when they are the same."""

    def __init__(self, logs: list[Log], start: int, stop: int, saved: Saved | None = None) -> None:
        self.logs, self.start, self.stop, self.saved = logs, start, stop, saved

    @property
    def server(self) -> int:
        """Return the id of the server that wrote them."""
        return self.saved.server if self.saved is not None else self.logs[0].facts.server

    def numbers(self) -> list[tuple[Log, int]]:
        """Return the transactions to be replayed, as binary log and number in it."""
        return [
            (log, index) for log in self.logs for index, offset in enumerate(log.offsets) if self.takes(log, offset)
        ]

    def takes(self, log: Log, offset: int) -> bool:
        """Tell whether the transaction at an offset of a binary log is to be replayed."""
        first, end = (self.start if log is self.logs[0] else 0), (self.stop if log is self.logs[-1] else None)
        return offset >= first and (end is None or offset < end)

    def groups(self, log: Log) -> list[Group]:
        """Return the transactions of one binary log that are to be replayed."""
        found: list[Group] = []
        with log.path.open("rb") as file:
            read(file, lambda group: found.append(group) if self.takes(log, group.offset) else None)
        return found

    def segments(self) -> list[Piece]:
        """Return what is to be replayed in pieces: one ends where a role was made."""
        found: list[Piece] = []
        logs, start = self.logs, self.start
        for log, index in self.numbers():
            if index in log.makers:
                last = index + 1 == len(log.offsets)
                end = log.facts.sound if last else log.offsets[index + 1]
                stop = min(end, self.stop) if log is self.logs[-1] else end
                found.append(Piece(logs[: logs.index(log) + 1], start, stop, log.makers[index]))
                logs, start = logs[logs.index(log) :], stop
        return [*found, Piece(logs, start, self.stop)]

    def state(self) -> dict[tuple[int, int], int]:
        """Return the GTID state at the end."""
        if self.saved is not None:
            return state(self.saved.state)
        with self.logs[-1].path.open("rb") as file:
            return read(file, upto=self.stop).end


def logs_in(folder: Path) -> list[Log]:
    """Return all binary logs in the order of their making, each once: two archives may hold the same one."""
    found: dict[tuple[str, int, int], Log] = {}
    for place in sorted(folder.iterdir(), key=lambda path: int(path.name)):
        for path in sorted(place.iterdir(), key=lambda path: int(path.suffix[1:])):
            log = Log(path)
            if log.identity not in found or log.facts.sound > found[log.identity].facts.sound:
                found[log.identity] = log
    return list(found.values())


def chain(logs: list[Log], position: Position) -> list[Log]:
    """Return the binary logs from the position on, each of which continues the one before. Raises Refusal."""
    row = [next((log for log in logs if position.in_log(log)), None)]
    if row[0] is None:
        same = [log for log in logs if log.name == position.name]
        why = "is of another time than the backup" if same else "was purged before it was saved"
        raise Refusal(f"{position.name}, where the backup ends, {why}", "an older or newer backup may do: --archive")
    while True:
        before = row[-1]
        assert before is not None
        following = [log for log in logs if log not in row and continues(log, before)]
        if not following:
            return [log for log in row if log]
        row.append(following[0])


def continues(log: Log, before: Log) -> bool:
    """Return whether a binary log is the one that the server opened when it closed the one before.

    After RESET MASTER names and GTIDs come again: only the times of closing and opening tell two such logs apart.
    """
    same = log.name == successor(before.name) and log.facts.server == before.facts.server
    closed = before.facts.closed
    at_once = closed is None or abs(log.facts.created - closed) <= ROTATION
    return same and at_once and log.facts.start == before.facts.end


def cut(row: list[Log], position: Position, at: int) -> Cut | None:
    """Return what is to be replayed up to the first transaction dated `at` or later; None when there is none such.

    Raises Refusal when the copy itself is of a later time.
    """
    for index, log in enumerate(row):
        low, high = span(row, index)
        for time, offset in zip(log.times, log.offsets):  # noqa: B905 (`strict` is of Python 3.10)
            if max(at, low) <= time <= high:
                if index == 0 and offset < position.offset:
                    raise Refusal(
                        f"the backup ends after {shown(at)}: it holds a transaction of {shown(time)}",
                        "an older backup may do: --archive",
                    )
                return Cut(row[: index + 1], position.offset, offset)
    return None


def span(row: list[Log], index: int) -> tuple[int, int]:
    """Return between which times a binary log was written."""
    facts = row[index].facts
    ends = [facts.created, *([facts.closed] if facts.closed is not None else [])]
    if index + 1 < len(row):
        ends.append(row[index + 1].facts.created)
    return min(ends) - TOLERANCE, max(ends) + TOLERANCE


def planned(plan: dict[str, object], position: Position) -> Cut:
    """Return what is to be replayed. Raises Refusal with the reason when the moment cannot be reached."""
    at = int(str(plan["at"]))
    saved = Saved(plan["saved"]) if isinstance(plan["saved"], dict) else None
    if saved is not None and at <= saved.until and saved.holds(position):
        return Cut([], 0, 0, saved)
    logs = logs_in(Path(str(plan["scratch"])) / "logs")
    row = chain(logs, position)
    found = cut(row, position, at)
    if found is not None:
        return found
    end = row[-1].facts
    reached = end.closed or end.created
    if saved is not None and row[-1].identity == saved.identity:
        reached = max(reached, saved.until)
    if at > reached:
        raise Refusal(f"{shown(at)} cannot be reached, only {shown(reached)}: {missing(logs, row)}")
    return Cut(row, position.offset, end.sound)


def missing(logs: list[Log], row: list[Log]) -> str:
    """Return why a row of binary logs goes no further."""
    end = row[-1]
    later = [log for log in logs if log.facts.created >= end.facts.created and log not in row]
    if end.facts.fault:
        return f"{end.name} is damaged: {end.facts.fault}"
    if not later:
        return "nothing newer is saved"
    names = [log.name for log in later]
    if successor(end.name) not in names and max(names) > end.name:
        return f"{successor(end.name)} was purged before it was saved"
    return f"{later[0].name} does not continue {end.name}: the server was restored then, or its binary logs reset"


def outcome(todo: Cut, at: int) -> dict[str, object]:
    """Return what was reached, and which transactions had a date of their own."""
    if todo.saved is not None:
        nothing = {"transactions": 0, "file": todo.saved.name, "offset": 0, "newest": None, "odd": 0, "after": 0}
        return {**nothing, "state": todo.saved.state}
    numbers = todo.numbers()
    spans = {id(log): span(todo.logs, index) for index, log in enumerate(todo.logs)}
    odd = sum(not spans[id(log)][0] <= log.times[index] <= spans[id(log)][1] for log, index in numbers)
    end = todo.logs[-1]
    low, high = spans[id(end)]
    after = sum(end.offsets[each] >= todo.stop and low <= end.times[each] < at for each in range(len(end.times)))
    dated = [log.times[index] for log, index in numbers if low <= log.times[index] <= high]
    return {
        "transactions": len(numbers),
        "file": end.name,
        "offset": todo.stop,
        "state": text(todo.state()),
        "newest": max(dated, default=None),
        "odd": odd,
        "after": after,
    }


def number(name: str) -> int:
    """Return the number in a binary log's name."""
    return int(name.rpartition(".")[2])


def gtid(log: Log, index: int) -> str:
    """Return a transaction's GTID."""
    with log.path.open("rb") as file:
        found: list[str] = []
        read(file, lambda group: found.append(group.gtid) if group.offset == log.offsets[index] else None)
    return found[0]


def shown(time: int) -> str:
    """Return a time for a person."""
    return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")  # noqa: UP017 (Python 3.11)
