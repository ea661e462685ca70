"""Which transactions of the saved binary logs lead to a moment, and why it cannot be reached if it cannot.

The cut is the first transaction dated at that moment or later. Sessions may set any date (SET timestamp): one outside
its binary log's time is ignored. So transactions are always replayed by position, never by date.

Part of the program `replay`, which runs alone on a host: standard library only, Python 3.8 and later, except
`binlog_format`, `roles` and `ordinary_user`, which are sent along.
"""

from __future__ import annotations

from array import array
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from tasks.mariadb.host.binlog_format import Facts, Group, read, state, successor, text
from tasks.mariadb.host.ordinary_user import DrillFault
from tasks.mariadb.host.roles import CREATES, invoker

ROTATION = 5  # maximum seconds between the closing of a binary log and the opening of the next
TOLERANCE = 2  # seconds by which a transaction may be dated outside its binary log's time


class Refusal(DrillFault):
    """The moment cannot be reached with the saved logs."""


class Log:
    """One binary log in the scratch directory, and the offsets of its transactions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.times, self.offsets = array("L"), array("Q")
        self.makers: dict[int, tuple[bytes, bytes]] = {}  # roles' creators (user, host), by transaction number
        with path.open("rb") as file:
            self.facts: Facts = read(file, self.group, on_query=self.query).facts()

    def group(self, group: Group) -> None:
        """Note a transaction."""
        self.offsets.append(group.offset)
        self.times.append(group.time)

    def query(self, text: bytes, status: bytes) -> None:
        """Note the creator of a role."""
        maker = invoker(status) if CREATES.match(text) else None
        if maker is not None:
            self.makers[len(self.offsets)] = maker

    @property
    def identity(self) -> tuple[str, int, int]:
        """Return what distinguishes it from others of its name."""
        return (self.name, self.facts.server, self.facts.created)


class Saved:
    """The state of all archived binary logs, from a record."""

    def __init__(self, values: dict[str, object]) -> None:
        last = values["last"]
        assert isinstance(last, dict)
        self.identity = (str(last["name"]), int(last["server"]), int(last["created"]))
        self.name, self.server, _ = self.identity
        self.until = int(str(values["until"]))
        self.state = str(values["state"])

    def holds(self, position: Position) -> bool:
        """Return whether nothing was written between the last binary log and a position in a later one."""
        state = set(self.state.split(","))
        domains = {gtid.partition("-")[0] for gtid in state}  # the position may have other domains, of a former replica
        known = {gtid for gtid in position.gtids if gtid.partition("-")[0] in domains}
        return number(position.name) > number(self.name) and known <= state and self.before(position)

    def before(self, position: Position) -> bool:
        """Return whether a position is in a later log of the same chain, as far as known: names are reused."""
        server, created = position.known
        _, own, last = self.identity
        return None in position.known or (server == own and int(str(created)) >= last)


class Position:
    """The end of the copy in the binary logs."""

    def __init__(self, values: dict[str, object]) -> None:
        self.name = str(values["name"])
        self.offset = int(str(values["offset"]))
        self.gtids = set(filter(None, str(values["gtid"]).split(",")))
        self.known = (values.get("server"), values.get("created"))

    def in_log(self, log: Log) -> bool:
        """Return whether this binary log is the one of the position.

        It is identified by name, and server and creation time if known, and by a transaction or the log's end at the
        offset. GTIDs are not compared then: a backup's list has domains that this log never had (of a former replica).
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
    """A part of the replay, and the creator of the role at its end."""

    logs: list[Log]
    start: int
    stop: int
    maker: tuple[bytes, bytes] | None = None

    def words(self) -> list[str]:
        """Return the arguments for `mariadb-binlog`."""
        return [f"--start-position={self.start}", f"--stop-position={self.stop}", *(str(log.path) for log in self.logs)]


class Cut:
    """What to replay: `logs`, the first from `start`, the last up to `stop`; nothing if they are the same."""

    def __init__(self, logs: list[Log], start: int, stop: int, saved: Saved | None = None) -> None:
        self.logs, self.start, self.stop, self.saved = logs, start, stop, saved

    @property
    def server(self) -> int:
        """Return the id of the server that wrote the logs."""
        return self.saved.server if self.saved is not None else self.logs[0].facts.server

    def numbers(self) -> list[tuple[Log, int]]:
        """Return the transactions to replay, as (binary log, number in it)."""
        return [
            (log, index) for log in self.logs for index, offset in enumerate(log.offsets) if self.takes(log, offset)
        ]

    def takes(self, log: Log, offset: int) -> bool:
        """Return whether the transaction at an offset of a binary log is replayed."""
        first, end = (self.start if log is self.logs[0] else 0), (self.stop if log is self.logs[-1] else None)
        return offset >= first and (end is None or offset < end)

    def groups(self, log: Log) -> list[Group]:
        """Return the transactions of one binary log that are replayed."""
        found: list[Group] = []
        with log.path.open("rb") as file:
            read(file, lambda group: found.append(group) if self.takes(log, group.offset) else None)
        return found

    def segments(self) -> list[Piece]:
        """Return the replay in pieces, each ending where a role was created."""
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
    """Return all binary logs by creation time, each once: two archives may hold the same one."""
    found: dict[tuple[str, int, int], Log] = {}
    for place in sorted(folder.iterdir(), key=lambda path: int(path.name)):
        for path in sorted(place.iterdir(), key=lambda path: int(path.suffix[1:])):
            log = Log(path)
            if log.identity not in found or log.facts.sound > found[log.identity].facts.sound:
                found[log.identity] = log
    return list(found.values())


def chain(logs: list[Log], position: Position) -> list[Log]:
    """Return the chain of binary logs from the position on, each continuing the one before. Raises Refusal."""
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
    """Return whether the server opened this binary log when it closed the one before.

    After RESET MASTER names and GTIDs are reused: only the times of closing and opening distinguish two such logs.
    """
    same = log.name == successor(before.name) and log.facts.server == before.facts.server
    closed = before.facts.closed
    at_once = closed is None or abs(log.facts.created - closed) <= ROTATION
    return same and at_once and log.facts.start == before.facts.end


def cut(row: list[Log], position: Position, at: int) -> Cut | None:
    """Return what to replay up to the first transaction dated `at` or later; None if there is none.

    Raises Refusal if the copy itself is of a later time.
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
    """Return the times between which a binary log was written."""
    facts = row[index].facts
    ends = [facts.created, *([facts.closed] if facts.closed is not None else [])]
    if index + 1 < len(row):
        ends.append(row[index + 1].facts.created)
    return min(ends) - TOLERANCE, max(ends) + TOLERANCE


def planned(plan: dict[str, object], position: Position) -> Cut:
    """Return what to replay. Raises Refusal with the reason if the moment cannot be reached."""
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
    """Return why a chain of binary logs ends."""
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
    """Return what was reached, and which transactions were dated differently."""
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
    """Format a time for people."""
    return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")  # noqa: UP017 (Python 3.11)
