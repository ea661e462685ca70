"""What people, the host and a thief do, each by the product's own code."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from tasks.borg import create, guard, recorder, removal, verbs
from tasks.borg.apps import Opened
from tasks.borg.client.archive_name import ArchiveName
from tasks.borg.client.check import CheckOptions
from tasks.borg.client.create import StreamOptions
from tasks.errors import CloudbackupError
from tasks.fleet.recorder import recorded
from tasks.remote.script import Stream
from tasks.remote.secret import Secret
from tasks.report import accept
from tasks.run.outcome import Outcome
from tasks.storage.repository import Side
from tests.model.truth import PASSPHRASE, Half, Saved, Step, Timeline, Truth

NOT_RECORDED = "what it should hold was not recorded"


class Play(Truth):
    """One sequence. `place` is the repository, and how a thief reaches it; `session` opens it for whoever acts."""

    # -- what people do

    def backup(self, who: str, source: str, whole: bool = True, kill: int | None = None) -> None:
        """Make an archive and its record."""
        made: list[tuple[str, Saved]] = []
        saved = self.place.recorded("backup")

        def ended() -> None:
            if self.place.recorded("backup") > saved:  # also where it was killed just after that
                self.made |= dict(made)

        self.act(who, lambda: self._backup(source, made, whole=whole), kill, ended)

    def prune(self, who: str, force: bool = False, pause: Sequence[Step] = (), kill: int | None = None) -> None:
        """Drop what `keep` lets go and free its space; while the question waits, others do what `pause` says."""
        proven = {source: self._newest(self.proven, source) for source in self.app.sources}
        self._free(who, "prune", (), force, pause, kill)
        for key in proven.values():
            if key and not pause and not self.lines:
                assert key in self.place.listed(), f"{self.made[key].name}, the newest proven, was pruned"

    def delete(
        self, who: str, which: int, force: bool = False, pause: Sequence[Step] = (), kill: int | None = None
    ) -> None:
        """Drop an archive by its name."""
        names = self.place.names()
        if names:
            self._free(who, "delete", (names[which % len(names)],), force, pause, kill)

    def compact(self, who: str, force: bool = False, pause: Sequence[Step] = (), kill: int | None = None) -> None:
        """Free the space of what is gone."""
        self._free(who, "compact", (), force, pause, kill)

    def rollback(self, who: str, ago: int, pause: Sequence[Step] = (), kill: int | None = None) -> None:
        """Take the repository back to the last transaction before a moment, so many minutes ago."""
        before = self.world.now - timedelta(minutes=ago)
        self._rolled(who, lambda ask: verbs.roll_back(self.opened(), None, before, ask=ask), pause, kill)

    def rollback_to(self, who: str, number: int, pause: Sequence[Step] = (), kill: int | None = None) -> None:
        """Take it back to one of the transactions that are shown, the newest being number 0."""
        shown: list[str] = []
        with suppress(CloudbackupError):
            self.world.who = who
            shown.extend(verbs.roll_back(self.opened(), None, None, ask=lambda _: False))
        points = [int(line.split()[0]) for line in shown if line.startswith("  ") and line.split()[0].isdigit()]
        if points:
            to = points[-1 - number % len(points)]
            self._rolled(who, lambda ask: verbs.roll_back(self.opened(), to, None, ask=ask), pause, kill)

    def undo(self, who: str, pause: Sequence[Step] = (), kill: int | None = None) -> None:
        """Undo the last rollback."""
        self._rolled(who, lambda ask: verbs.roll_back(self.opened(), None, None, undo=True, ask=ask), pause, kill)

    def check(self, who: str, deep: bool = False) -> None:
        """Check the repository."""
        self.act(who, lambda: self._checked(deep))

    def drill(self, who: str, source: str) -> None:
        """Restore the newest archive of ours and look at it."""
        key = self._newest(self.made, source)
        if key and key in self.place.listed():
            self.act(who, lambda: self._drilled(key, source))

    def accept(self, who: str) -> None:
        """Take as right what a person may take as right."""
        self.act(who, self._accepted)

    def passphrase(self, who: str, kill: int | None = None) -> None:
        """Change the passphrase; one that was killed is run again by whoever does this next."""
        new, announced = f"{os.environ[PASSPHRASE]}+", self.place.announced()
        if self.act(
            who,
            lambda: list(verbs.change_passphrase(self.opened(), Secret(new), ask=lambda _: True)),
            kill,
            lambda: self._half("passphrase", announced),
        ):
            os.environ[PASSPHRASE] = new
            self.after()

    # -- what others do

    def steal(self, which: int) -> None:
        """Drop an archive with the host's own key."""
        if names := self._reachable():
            self.honest = False
            key = self.place.id_of(names[which % len(names)])
            self.place.steal(names[which % len(names)])
            self.stolen |= ({key} & set(self.made)) - self.consent
            self.forged.discard(key)
            self.after()

    def forge(self, source: str) -> None:
        """Add an archive with the host's own key."""
        self.honest = False
        self.world.now += timedelta(seconds=5)
        name = str(ArchiveName("shop", source, self.world.now))
        if not self.place.locked() and name not in self.place.names():
            self.forged.add(self.place.forge(name))
            self.after()

    def replace(self, which: int) -> None:
        """Put another archive in the place of one."""
        if names := self._reachable():
            name = names[which % len(names)]
            announced = self.place.id_of(name) not in self.forged | set(self.made)
            self.steal(which)
            forged = self.place.forge(name)
            if not announced:  # a name whose operator died before the record excuses one archive: see making.py
                self.forged.add(forged)
            self.after()

    def overwrite(self, which: int, rot: bool = False) -> None:
        """Write an object again, by a thief, or by a disk that flips bits."""
        ours = [name for name in self._reachable() if self.place.id_of(name) in self.made]
        if ours and self.place.overwrite(ours[which % len(ours)], rot):
            self.honest = False
            if not rot:
                self.overwritten |= {self.place.id_of(ours[which % len(ours)])} & self.counted
            self.after()

    def _reachable(self) -> list[str]:
        """Return the archives that a thief's borg reaches: it waits for locks as any other."""
        return [] if self.place.locked() else self.place.names()

    def clock(self, who: str, minutes: int) -> None:
        """Set an operator's clock wrong, or right again."""
        self.world.offsets[who] = timedelta(minutes=minutes)
        self.steady = self.steady and minutes == 0

    def wait(self, minutes: int) -> None:
        """Let time pass."""
        self.world.now += timedelta(minutes=minutes)

    # -- how it is done

    def act(
        self,
        who: str,
        action: Callable[[], object],
        kill: int | None = None,
        ended: Callable[[], object] = lambda: None,
    ) -> bool:
        """Do something as `who`; tell whether it ended well. What was said against it is `said`."""
        outer = self.world.who, self.forcing
        self.world.who, said, done = who, "", False
        self.world.now += timedelta(seconds=7)
        with self.world.mortal(kill):
            try:
                action()
                done = True
            except CloudbackupError as error:
                said = str(error)
        self.world.who, self.forcing = outer
        self.place.unlock()
        self.done, self.said = done, said
        assert not self.violation, self.violation
        assert "unexpected" not in said, said
        ended()
        self.after()
        self.done, self.said = done, said
        return done

    def meanwhile(self, pause: Iterable[Step]) -> None:
        """Let others act while a question waits."""
        mine = self.world.who, self.world.steps_left, self.forcing
        for name, *arguments in pause:
            getattr(self, name)(*arguments)
        self.world.who, self.world.steps_left, self.forcing = mine

    def _backup(self, source: str, made: list[tuple[str, Saved]], *, whole: bool) -> None:
        opened = self.opened()
        guard_clock(opened)
        name = str(ArchiveName("shop", source, self.world.clock))
        host = opened.session.repository(self.app, Side.HOST)
        done = create.make(opened.session, self.app, host, StreamOptions(name, Stream("printf data"), "data"))
        seen = removal.seen(guard.look(opened.session, self.app, opened.repository, patience=guard.AT_ONCE))
        details = seen if whole else {**seen, "left_out": {"count": 1, "first": ["/srv/a: is not there"]}}
        outcome = Outcome(
            "shop", source, "ok" if whole else "incomplete", self.world.clock, 0, 9, 9, name, done.id, details=details
        )
        made.append((done.id, Saved(name, source, whole)))
        recorded(opened.session, self.app, [outcome])
        self.counted = self.place.listed()

    def _free(  # noqa: PLR0917
        self, who: str, action: str, names: Sequence[str], force: bool, pause: Sequence[Step], kill: int | None
    ) -> None:
        announced, saved = [self.place.announced()], [self.place.recorded(f"{action}-known")]

        def ended() -> None:
            if self.place.recorded(f"{action}-known") > saved[0]:
                self._freed_for_good(action)
            if self.place.announced() > announced[0]:
                self.counted = frozenset() if not self.done else self.counted
                if self.lines:  # what a person was told and forced
                    self.overwritten.clear()

        def waits() -> None:
            lines = self.lines
            self.meanwhile(pause)
            self.lines, announced[0] = lines, self.place.announced()
            saved[0] = self.place.recorded(f"{action}-known")

        self.lines = []
        self.act(who, lambda: self._freed(action, names, force, waits), kill, ended)

    def _freed(self, action: str, names: Sequence[str], force: bool, waits: Callable[[], None]) -> None:
        opened = self.opened()
        with recorder.noted(opened.session, self.app, action) as note:
            target = removal.Target(opened.session, self.app, opened.repository)
            note.wanted = False
            intend = {"prune": removal.intend_prune, "compact": removal.intend_compact}
            if action == "delete":
                intention = removal.intend_delete(target, names, force=force)
            else:
                intention = intend[action](target, force=force)
            if action != "compact" and not intention.needed:
                return
            told = {each.kind for each in intention.reasons}
            self.lines = sorted(told)
            waits()
            note.answered()
            self.forcing = bool(told)
            consent = {each.id for each in intention.removed}
            self.consent |= consent
            done = removal.carry_out(intention, compacting=action != "delete")
            note.wanted = True
            note.add({**done.details, "space": done.space} if action != "delete" else dict(done.details))

    def _freed_for_good(self, action: str) -> None:
        """Note what holds once its record is there, also where it was killed just after that."""
        if self.lines:  # what a person forced through is how it should be from now on
            self.consent |= self.stolen - self.place.listed()
            self.stolen &= self.place.listed()
            self.forged &= self.place.listed()
        if action != "delete":
            self.overwritten &= self.place.listed()
            self.freed, self.back = [*self.freed, *self.back], []

    def _rolled(
        self, who: str, run: Callable[[Callable[[str], bool]], Iterable[str]], pause: Sequence[Step], kill: int | None
    ) -> None:
        asked: list[str] = []
        lines: list[str] = []
        before: list[frozenset[str]] = []

        def ask(question: str) -> bool:
            self.meanwhile(pause)
            announced.append(self.place.announced())
            recorded_then.append(self.place.recorded("rollback"))
            asked.append(question)
            before.append(self.place.listed())
            timelines.append(dict(self.place.timeline))
            return True

        timelines: list[Timeline] = []
        recorded_then: list[int] = []
        announced = [self.place.announced()]

        def ended() -> None:
            if asked and not self.said:  # also where it was killed just after its record
                self.done = self.done or self.place.recorded("rollback") > recorded_then[-1]
            self._half("rollback", announced[-1])
            if asked and self.done:
                if not self._promised_nothing(asked[0], lines):
                    self._is_back(asked[0], timelines[0], before[0], self.killed)
                self.killed = None
            elif asked and "rollback" in self.half and not asked[0].startswith("Undo"):
                self._stopped(asked[0], (timelines[0], before[0]))
            elif asked:
                self._failed(asked[0], (timelines[0], before[0]), began=self.place.announced() > announced[-1])

        self.act(who, lambda: lines.extend(run(ask)), kill, ended)

    def _stopped(self, question: str, asked: Half) -> None:
        """Note a rollback that was killed, or found damage: in the middle, or once all was moved."""
        half = self.killed or asked  # one that was killed before is gone on with
        self.killed = half if self.place.locked() else None
        if self.killed:
            return
        timeline, before = half
        to, there = _to(question), self.place.listed()
        again = self.moved and before == there  # it went on with the one that was stopped before
        self.moved = there == timeline.get(to)
        if self.moved:
            self.place.timeline = {number: ids for number, ids in timeline.items() if number <= to}
            self.back += [] if again else [(to, timeline, before)]

    def _failed(self, question: str, asked: Half, *, began: bool) -> None:
        """Note a rollback that did not bring what it foretold, which can be undone, or an undoing that was stopped."""
        if question.startswith("Undo"):
            if began:
                self._undoing_stopped(question, asked)
        elif "not what was foretold" in self.said:
            self.back.append((_to(question), *(self.killed or asked)))
            self.killed = None

    def _undoing_stopped(self, question: str, half: Half) -> None:
        """Note an undoing that was killed, or that did not bring what it foretold."""
        if "rollback" in self.half:
            self.undoing = self.undoing or half
        elif "not what was foretold" in self.said:
            self.back = [*self.back[:-1], (_to(question), *(self.undoing or half))]
            self.undoing = None

    def _promised_nothing(self, question: str, lines: Sequence[str]) -> bool:
        """Note an undoing that could not say what it would bring, and brought something else; tell whether it was one."""
        promised = not question.startswith("Undo") or not any(NOT_RECORDED in line for line in lines)
        if promised or (self.back and self.back[-1][2] == self.place.listed()):
            return False
        self.back, self.undoing, self.moved = self.back[:-1], None, False
        return True

    def _is_back(self, question: str, timeline: Timeline, before: frozenset[str], half: Half | None) -> None:
        to, there = _to(question), self.place.listed()
        if question.startswith("Undo"):
            if half:
                self.back.append((to, *half))
                timeline = {number: ids for number, ids in half[0].items() if number <= to}
                before = timeline[to]  # undone again, it is as if it had ended
            if not self.back and self.freed:  # nothing was freed in fact, and a clock hides that it was tried
                self.back.append(self.freed.pop())
            assert self.back, "it undoes what nobody did"
            _, self.place.timeline, listed = self.back.pop()
            assert there == listed, "it says that the rollback is undone, and it is not"
            if self.undoing and not half:  # it goes on with one that was killed
                timeline, before = self.undoing
            self.undoing = None
        else:
            timeline, before = half or (timeline, before)
            assert to in self.place.timeline, f"it went back to transaction {to}, which is not there"
            assert there == self.place.timeline[to], f"it says that it is as it was after transaction {to}, and is not"
            self.place.timeline = {number: ids for number, ids in timeline.items() if number <= to}
        if not (self.moved and before == there):
            self.back.append((to, timeline, before))
        self.moved = False
        earlier = set().union(*(ids for number, ids in self.place.timeline.items() if number <= to))
        later = set(self.made) - earlier
        self.consent = (self.consent | (before - there) | (later - there)) - there
        self.stolen -= there
        self.stolen -= self.consent
        self.forged &= there
        self.overwritten = {key for key in self.overwritten if key in there and not self.place.whole(key)}

    def _checked(self, deep: bool) -> None:
        try:
            list(verbs.show_check(self.opened(), CheckOptions(verify_data=deep)))
        except CloudbackupError as error:
            if "is damaged" in str(error):
                self._tell("check", failed=True)
            raise
        self._tell("check", failed=False)
        if deep:
            self.overwritten.clear()

    def _drilled(self, key: str, source: str) -> None:
        opened = self.opened()
        guard_clock(opened)
        whole = self.place.whole(key)
        saved = self.made[key]
        outcome = Outcome(
            "shop", source, "ok" if whole else "failed", self.world.clock, 0, archive=saved.name, archive_id=key
        )
        recorded(opened.session, self.app, [outcome], "verify")
        if self._tell(source, failed=not whole):
            (self.bad.discard if whole else self.bad.add)(key)
        if whole:
            self.proven = [*(each for each in self.proven if each != key), key]
        elif key in self.proven:
            self.proven.remove(key)

    def _accepted(self) -> None:
        opened = self.opened()
        guard_clock(opened)
        for each in list(
            accept._found(opened.session, self.app, accept._sources(self.app, accept.Options("shop", "")))
        ):
            opened.session.write_record(self.app, accept.record_of(each, "seen"))
            key = each.archive.id
            self.accepted.add(key)
            self.forged.discard(key)
            if key in self.bad:  # what it names counts, whatever its clock
                self._tell(each.source, failed=False)
                self.failed.discard(each.source)
                self.bad.discard(key)
            saved = self.made.get(key, Saved(each.archive.name, each.source, good=True))
            self.made[key] = replace(saved, good=True)


def _to(question: str) -> int:
    return int(question.rstrip("?").split("transaction ")[1])


def guard_clock(opened: Opened) -> None:
    """Compare the clocks as every command does that writes."""
    from tasks.run import clocks

    clocks.compared(opened.session, opened.app, host=False)
