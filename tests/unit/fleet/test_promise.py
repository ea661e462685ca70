"""What is promised as recoverable is exactly what `restore --at` accepts, whatever happened to server and repository."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.borg.client.list import Archive, Listing
from tasks.errors import RefusedError
from tasks.mariadb import recovery_plan
from tasks.mariadb.binlogs import Archived, Identity, Saved, joined
from tasks.mariadb.host import binlog_format, recovery_point
from tasks.mariadb.point_in_time import Moment
from tasks.mariadb.recoverable import BASE, ended, recoverable
from tasks.records.record import UNCHANGED, Record, Records
from tests.unit.mariadb.binlogs import CREATED, SERVER, Made

State = dict[tuple[int, int], int]


def when(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@dataclass
class Log:
    """A binary log on the server, and what `collect` would say of it."""

    identity: Identity
    made: Made
    start: State

    @property
    def archived(self) -> Archived:
        facts, _ = self.made.facts(self.made.raw, len(self.made.raw))
        return Archived(self.identity, binlog_format.text(facts.start), binlog_format.text(facts.end), facts.fault)


@dataclass
class World:
    """A server that writes, an operator who saves, and what becomes of both. Times are seconds."""

    now: int = CREATED
    state: State = field(default_factory=dict)
    logs: list[Log] = field(default_factory=list)
    saved: Saved | None = None
    records: list[Record] = field(default_factory=list)
    archives: dict[str, Archive] = field(default_factory=dict)
    contents: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.open(1)

    def open(self, number: int) -> None:
        made = Made(dict(self.state), created=self.now)
        self.logs.append(Log(Identity(f"binlog.{number:06}", SERVER, self.now), made, dict(self.state)))

    def write(self, count: int) -> None:
        for _ in range(count):
            number = self.state.get((0, SERVER), 0) + 1
            self.state[0, SERVER] = number
            self.logs[-1].made.group(self.now, 0, number, "xid", 3)

    def rotate(self, _: int = 0) -> None:
        self.logs[-1].made.close(self.now)
        self.open(self.logs[-1].identity.number + 1)

    def backup(self, seconds: int) -> None:
        began = self.now
        self.now += seconds
        last = self.logs[-1]
        position = {**asdict(last.identity), "offset": len(last.made.raw), "gtid": binlog_format.text(self.state)}
        name, id_ = self.archive("mariadb", began)
        self.records.append(
            Record(
                "shop", "backup", when(began), "ok", BASE, duration_seconds=seconds, archive=name, archive_id=id_,
                details={"position": position},
            )
        )  # fmt: skip

    def save(self, _: int = 0) -> None:
        there = {log.identity: number for number, log in enumerate(self.logs)}
        last = there.get(self.saved.last) if self.saved else None
        if self.saved and last is not None and binlog_format.state(self.saved.state) == self.state:
            details = {**self.saved.details(), "until": self.now}
            self.saved = Saved.parse(details)
            self.records.append(Record("shop", UNCHANGED, when(self.now), "ok", "binlog", details={"binlog": details}))
            return
        self.rotate()
        new = self.logs[last + 1 if last is not None else 0 : -1]
        self.saved, _breaks = joined(self.saved, when(self.now), [log.archived for log in new])
        name, id_ = self.archive("binlog", self.now)
        self.contents[name] = {log.identity.name: log.made.raw for log in new}
        details = {"binlog": self.saved.details()}
        self.records.append(
            Record("shop", "backup", when(self.now), "ok", "binlog", archive=name, archive_id=id_, details=details)
        )

    def archive(self, source: str, began: int) -> tuple[str, str]:
        name = f"shop-{source}-{when(began):%Y-%m-%dT%H-%M-%S}"
        id_ = f"{len(self.records):064x}"
        self.archives[name] = Archive(name, id_, when(began))
        return name, id_

    def turn(self, count: int) -> None:
        """Do what most nights do."""
        self.write(count)
        self.save()

    def purge(self, count: int) -> None:
        del self.logs[: min(count, len(self.logs) - 1)]

    def reset(self, _: int = 0) -> None:
        """As after a restore in place: names and numbers come again."""
        self.state = {key: number // 2 for key, number in self.state.items()}
        self.logs.clear()
        self.open(1)

    def prune(self, which: int) -> None:
        names = sorted(self.archives)
        if names:
            del self.archives[names[which % len(names)]]

    def promise(self) -> datetime | None:
        return recoverable(self.records, frozenset(each.id for each in self.archives.values()))[0]

    def accepts(self, at: datetime) -> bool:
        """Tell whether a restore to a moment is planned here and on the host."""
        listing = Listing("id", "none", tuple(sorted(self.archives.values(), key=lambda each: each.start)))
        app = SimpleNamespace(name="shop", names=("shop",), mariadb=SimpleNamespace(binlog=True))
        session = SimpleNamespace(storage_of=lambda _: SimpleNamespace(read_records=self.read))
        target = recovery_plan.Target(at)
        with mock.patch.object(recovery_plan, "content", lambda *words: words[1]):
            try:
                found = recovery_plan.planned(
                    cast("Any", session), cast("Any", None), listing, cast("Any", app), target
                )
            except RefusedError:
                return False
        return found.moment is None or self.on_host(found.moment)

    def on_host(self, moment: Moment) -> bool:
        assert moment.position is not None
        with tempfile.TemporaryDirectory() as scratch:
            for number, name in enumerate(cast("Sequence[str]", moment.logs)):
                folder = Path(scratch, "logs", str(number))
                folder.mkdir(parents=True)
                for file, raw in self.contents[name].items():
                    (folder / file).write_bytes(raw)
            Path(scratch, "logs").mkdir(exist_ok=True)
            saved = moment.saved.details() if moment.saved else None
            plan: dict[str, object] = {"scratch": scratch, "at": int(moment.at.timestamp()), "saved": saved}
            try:
                recovery_point.planned(plan, recovery_point.Position(asdict(moment.position)))
            except recovery_point.Refusal:
                return False
            return True

    def read(self, _app: object, _newest: int = 0, only: tuple[str, ...] = ()) -> Records:
        return Records(
            tuple(each for each in self.records if {f"{each.action}-{each.source}", each.action} & set(only))
        )


OPERATIONS: dict[str, Callable[[World, int], None]] = {
    "write": World.write, "rotate": World.rotate, "backup": World.backup, "save": World.save, "purge": World.purge,
    "reset": World.reset,
    "prune": World.prune,
    "turn": World.turn,
}  # fmt: skip
STEPS = st.tuples(
    st.sampled_from(["turn", "turn", "turn", "backup", *OPERATIONS]), st.integers(1, 5), st.integers(6, 5000)
)


@settings(max_examples=100, deadline=None)
@example([("backup", 5, 60), ("turn", 1, 60), ("turn", 1, 60), ("prune", 0, 60)])
@example([("save", 1, 60), ("backup", 1, 60), ("save", 1, 60)])
@example([("backup", 1, 60), ("turn", 3, 60), ("reset", 1, 60), ("turn", 1, 60), ("save", 1, 60)])
@example([("backup", 1, 6), ("turn", 1, 6), ("reset", 1, 6), ("turn", 1, 6), ("turn", 1, 6)])
@given(st.lists(STEPS, min_size=2, max_size=25))
def test_the_promise_is_accepted_and_no_later_second_is(steps: list[tuple[str, int, int]]) -> None:
    world = World()
    for name, number, seconds in steps:
        OPERATIONS[name](world, number)
        world.now += seconds
    promised = world.promise()
    ends = {ended(each) for each in world.records} | {when(world.now)}
    if promised is not None:
        assert world.accepts(promised)
        ends.add(promised + timedelta(seconds=1))
    later = sorted(end for end in ends if promised is None or end > promised)
    assert [end for end in later if world.accepts(end)] == []
