"""What must be true, kept in a few sets of archives' ids, and compared whenever space is about to be freed, and after every step."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.borg import guard
from tasks.borg.apps import Opened
from tasks.borg.refusals import refusals
from tasks.inventory.inventory import Inventory
from tasks.records.chronology import AHEAD
from tasks.records.ledger import ledger
from tasks.run.session import Session
from tasks.storage.repository import Side
from tests.model.world import World

PASSPHRASE = "MODEL_PASSPHRASE"
LOST, BAD = ("gone", "replaced"), ("unknown", "replaced", "dated")
Timeline = dict[int, frozenset[str]]
Half = tuple[Timeline, frozenset[str]]  # of a rollback that was killed: as it was before
Step = tuple[Any, ...]  # the name of a method of Play, and its arguments


@dataclass(frozen=True)
class Saved:
    """An archive of ours that has its record; `good` unless it is incomplete."""

    name: str
    source: str
    good: bool


class Truth:
    """What is true of one sequence. `place` is the repository, and how a thief reaches it."""

    def __init__(self, world: World, inventory: Inventory, place: Any) -> None:
        self.world, self.place, self.inventory = world, place, inventory
        self.app = inventory.select(("shop",), None)[0]
        self.made: dict[str, Saved] = {}
        self.consent: set[str] = set()  # of these a person was told that they go, and said yes
        self.stolen: set[str] = set()
        self.forged: set[str] = set()
        self.overwritten: set[str] = set()
        self.accepted: set[str] = set()
        self.bad: set[str] = set()  # a drill said so
        self.proven: list[str] = []
        self.failed: set[str] = set()  # of `check` and the sources: the newest check, or drill, failed
        self.told: dict[str, Any] = {}  # when, by the clock of whoever did it, `failed` was learnt
        self.forcing = False
        self.back: list[tuple[int, Timeline, frozenset[str]]] = []  # rollbacks that can be undone
        self.killed: Half | None = None  # as it was before a rollback that was killed in the middle
        self.freed: list[tuple[int, Timeline, frozenset[str]]] = []  # of before space was freed
        self.undoing: Half | None = None  # as it was before an undoing that was killed
        self.moved = False  # one was killed once all was moved
        self.said, self.done, self.violation = "", True, ""
        self.counted: frozenset[str] = frozenset()  # of these a record counted the objects, since we last freed any
        self.half: set[str] = set()  # what was killed half done and must be told
        self.pause: Sequence[Step] = ()
        self.lines: list[str] = []
        self.honest = True  # no thief, no disk that flips bits
        self.steady = True  # no clock is wrong
        os.environ[PASSPHRASE] = "one"
        place.on_final = self.before_freeing

    def opened(self) -> Opened:
        session = Session(self.inventory)
        session.operator = self.place.host()
        return Opened(session, self.app, session.repository(self.app, Side.OPERATOR))

    def _half(self, what: str, announced: int) -> None:
        """Note what was killed once it was announced, or what has come to its end."""
        stopped = not self.said or "is damaged" in self.said or "passphrase supplied is incorrect" in self.said
        if self.done or "not what was foretold" in self.said:
            self.half.discard(what)
        elif stopped and self.place.announced() > announced:
            self.half.add(what)

    def _tell(self, what: str, *, failed: bool) -> bool:
        """Note how the newest check or drill ended, unless another one is newer by the clocks of who did them.

        Of one that is dated in the future nobody knows when it was; minutes are known where the storage tells its time.
        """
        clock = self.world.clock
        if self.place.tells_time and clock <= self.world.now + AHEAD:
            clock = self.world.now
        if clock > self.world.now + AHEAD or clock < self.told.get(what, clock):
            return False
        self.told[what] = clock
        (self.failed.add if failed else self.failed.discard)(what)
        return True

    def _newest(self, keys: Collection[str], source: str) -> str:
        there = self.place.listed()
        own = [key for key in keys if self.made[key].source == source and key in there]
        return max(own, key=lambda key: self.made[key].name, default="")

    def good(self, source: str) -> set[str]:
        """Return the archives of a source that a person would call good."""
        return {key for key, each in self.made.items() if each.source == source and each.good} - self.bad

    def before_freeing(self) -> None:
        """From here on nothing brings back what is not listed."""
        try:
            self._may_be_freed(self.place.listed(), told=self.forcing)
        except AssertionError as error:  # the product would take it for a fault of its own
            self.violation = str(error)

    def _may_be_freed(self, there: frozenset[str], *, told: bool) -> None:
        for source in self.app.sources:
            good = self.good(source)
            lost = good - there - self.consent - (self.stolen if told else set())
            assert not lost, f"frees what nobody let go: {[self.made[key].name for key in lost]}"
            assert not good or good & there, f"leaves no good archive of {source}"
        if not told:
            assert not self.failed, f"frees although the newest {self.failed} failed"
            assert not self.stolen - there, "frees although an archive was stolen"
            assert not self.forged & there, "frees beside a forged archive"

    def after(self) -> None:
        """After every step: whoever looks now is told of everything that is wrong, and of nothing else."""
        if os.environ[PASSPHRASE] != self.place.passphrase():
            return  # who looks must know the new one
        who, self.world.who = self.world.who, "eve"
        try:
            opened = self.opened()
            if self.place.locked():
                unfinished = ledger(
                    opened.session.storage_of(self.app).read_history(self.app), self.world.now
                ).unfinished
                assert any(each.details.get("of") == "rollback" for each in unfinished), "nobody tells of the lock"
                return
            found = guard.look(opened.session, self.app, opened.repository, patience=guard.AT_ONCE)
            kinds = {each.kind for each in refusals(found, found.ids)}
        finally:
            self.world.who = who
        there = self.place.listed()
        if self.half:
            assert "unfinished" in kinds, "says nothing of what was begun and has not ended"
            return
        told = [
            (self.stolen - there, LOST, "a theft"),
            (self.forged & there, BAD, "a forged archive"),
            (self.overwritten & there, ("objects",), "an overwritten object"),
            (self.failed & {"check"}, ("check",), "a failed check"),
            (self.failed - {"check"}, ("drill",), "a failed drill"),
        ]
        for what, ways, name in told:
            assert not what or kinds & set(ways), f"says nothing of {name}: {kinds}"
        accused = kinds & {"gone", "unknown", "replaced", "objects", "key", "dated", "records"}
        if not self.steady:
            return
        assert "key" not in kinds, "nobody else changed the key, and it says so"
        assert not self.honest or not accused, f"nobody did anything wrong, and it says {accused}"
