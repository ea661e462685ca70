"""The steps that hypothesis puts into random sequences."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tasks.inventory.inventory import Inventory
from tests.model import box, world
from tests.model.play import Play

PEOPLE = st.sampled_from(["ann", "bob"])
WHICH = st.integers(0, 3)
SOURCES = st.sampled_from(["files", "mariadb"])
RARELY = st.integers(0, 3).map(lambda number: number == 3)
KILL = st.one_of(st.none(), st.none(), st.integers(0, 12))
MOMENTS = st.sampled_from([1, 5, 30, 90, 180])
OTHERS = st.one_of(
    st.tuples(st.just("delete"), PEOPLE, WHICH),
    st.tuples(st.just("backup"), PEOPLE, st.just("files")),
    st.tuples(st.just("prune"), PEOPLE),
    st.tuples(st.just("compact"), PEOPLE),
    st.tuples(st.just("rollback"), PEOPLE, MOMENTS),
    st.tuples(st.just("undo"), PEOPLE),
    st.tuples(st.just("steal"), WHICH),
    st.tuples(st.just("replace"), WHICH),
    st.tuples(st.just("forge"), st.just("files")),
    st.tuples(st.just("wait"), MOMENTS),
)
PAUSE = st.one_of(st.just([]), st.just([]), st.lists(OTHERS, min_size=1, max_size=2))


@cache
def inventory(*, database: bool) -> Inventory:
    """Return the inventory of one app; made once for all sequences."""
    return box.inventory(Path(tempfile.mkdtemp(prefix="cloudbackup-model-")), database=database)


class Sequences(RuleBasedStateMachine):
    """Two operators, a host, a thief with the host's key, a disk that flips bits, and the time."""

    play: Play

    @initialize(database=RARELY, tells_time=st.booleans())
    def begin(self, database: bool, tells_time: bool) -> None:
        """Begin with what every app has after its first day."""
        now = world.begin()
        self.play = self.first(now, database, tells_time)
        for source in self.play.app.sources:
            self.play.backup("ann", source)
            self.play.drill("ann", source)

    def first(self, now: world.World, database: bool, tells_time: bool) -> Play:
        """Return what is played, on the stand-in."""
        return Play(now, inventory(database=database), box.Box(now, tells_time))

    @rule(who=PEOPLE, source=SOURCES, incomplete=RARELY, kill=KILL, after=MOMENTS)
    def backup(self, who: str, source: str, incomplete: bool, kill: int | None, after: int) -> None:
        self.play.wait(after)
        if source in self.play.app.sources:
            self.play.backup(who, source, not incomplete, kill)

    @rule(who=PEOPLE, force=RARELY, pause=PAUSE, kill=KILL)
    def prune(self, who: str, force: bool, pause: Any, kill: int | None) -> None:
        self.play.prune(who, force, pause, kill)

    @rule(who=PEOPLE, which=WHICH, force=RARELY, pause=PAUSE, kill=KILL)
    def delete(self, who: str, which: int, force: bool, pause: Any, kill: int | None) -> None:
        self.play.delete(who, which, force, pause, kill)

    @rule(who=PEOPLE, force=RARELY, pause=PAUSE, kill=KILL)
    def compact(self, who: str, force: bool, pause: Any, kill: int | None) -> None:
        self.play.compact(who, force, pause, kill)

    @rule(who=PEOPLE, ago=MOMENTS, pause=PAUSE, kill=KILL)
    def rollback(self, who: str, ago: int, pause: Any, kill: int | None) -> None:
        self.play.rollback(who, ago, pause, kill)

    @rule(who=PEOPLE, number=st.integers(0, 5), pause=PAUSE, kill=KILL)
    def rollback_to(self, who: str, number: int, pause: Any, kill: int | None) -> None:
        self.play.rollback_to(who, number, pause, kill)

    @rule(who=PEOPLE, pause=PAUSE, kill=KILL)
    def undo(self, who: str, pause: Any, kill: int | None) -> None:
        self.play.undo(who, pause, kill)

    @rule(who=PEOPLE, deep=RARELY)
    def check(self, who: str, deep: bool) -> None:
        self.play.check(who, deep)

    @rule(who=PEOPLE, source=SOURCES)
    def drill(self, who: str, source: str) -> None:
        if source in self.play.app.sources:
            self.play.drill(who, source)

    @rule(who=PEOPLE)
    def accept(self, who: str) -> None:
        self.play.accept(who)

    @rule(who=PEOPLE, kill=KILL)
    def passphrase(self, who: str, kill: int | None) -> None:
        self.play.passphrase(who, kill)

    @rule(which=WHICH)
    def steal(self, which: int) -> None:
        self.play.steal(which)

    @rule(source=SOURCES)
    def forge(self, source: str) -> None:
        self.play.forge(source)

    @rule(which=WHICH)
    def replace(self, which: int) -> None:
        self.play.replace(which)

    @rule(which=WHICH, rot=st.booleans())
    def overwrite(self, which: int, rot: bool) -> None:
        self.play.overwrite(which, rot)

    @rule(who=PEOPLE, minutes=st.sampled_from([0, 3, 60 * 24 * 3, 60 * 24 * 365]))
    def clock(self, who: str, minutes: int) -> None:
        self.play.clock(who, minutes)

    @rule(minutes=st.sampled_from([1, 60, 60 * 24]))
    def wait(self, minutes: int) -> None:
        self.play.wait(minutes)
