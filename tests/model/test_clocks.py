"""Sequences in which an operator's clock is wrong; each is named by what must happen all the same."""

import pytest

from tests.model import box, machine, world
from tests.model.play import Play
from tests.model.steps import BACKUP, played
from tests.model.truth import Step


def test_an_acceptance_by_a_clock_that_is_ahead_hides_no_drill_that_fails_after_it() -> None:
    play = played(("forge", "files"), ("clock", "bob", 3), ("accept", "bob"))
    play.clock("bob", 0)
    for number in range(len(play.place.names())):
        play.overwrite(number, rot=True)
    play.drill("bob", "files")
    play.prune("ann")
    assert "the restore drill of" in play.said


def test_space_freed_by_a_clock_that_is_ahead_does_not_make_a_rollback_forget_a_theft() -> None:
    play = played(("clock", "ann", 3), ("compact", "ann"))
    play.wait(1)
    play.backup("bob", "files")
    play.check("bob")
    play.steal(len(play.place.names()) - 1)
    stolen = set(play.stolen)
    play.accept("ann")
    play.wait(180)
    play.rollback("ann", 5)
    play.steal(0)
    play.undo("ann")
    assert stolen
    assert play.stolen == stolen
    play.prune("ann")
    assert "not in the repository" in play.said


def year_ahead(*steps: Step) -> Play:
    """Play steps with bob's clock a year ahead, where the storage tells no time by which that could be seen."""
    now = world.begin()
    play = Play(now, machine.inventory(database=False), box.Box(now, tells_time=False))
    for name, *arguments in (BACKUP, ("clock", "bob", 60 * 24 * 365), *steps):
        play.wait(60)
        getattr(play, name)(*arguments)
    return play


def test_a_rollback_by_a_clock_that_is_ahead_came_after_the_deletes_that_it_undid() -> None:
    play = year_ahead(BACKUP, BACKUP, ("delete", "ann", 1), BACKUP, ("rollback_to", "bob", 2))
    assert len(play.place.listed()) == 3
    play.steal(1)
    play.prune("ann")
    assert "not in the repository" in play.said


def test_of_two_rollbacks_the_later_one_is_undone_whatever_the_clocks() -> None:
    play = year_ahead(("rollback_to", "bob", 0), BACKUP, ("rollback_to", "ann", 1), ("undo", "bob"))
    assert (play.done, len(play.place.listed())) == (True, 2)


@pytest.mark.parametrize("action", [("check", "bob"), ("drill", "bob", "files")])
def test_what_succeeded_by_a_clock_that_is_ahead_is_older_than_what_failed_a_minute_later(action: Step) -> None:
    name, _, *arguments = action
    play = played(BACKUP, ("clock", "bob", 3), action)
    for number in range(len(play.place.names())):
        play.overwrite(number, rot=True)
    getattr(play, name)("ann", *arguments)
    play.prune("ann")
    assert "failed" in play.said
    assert play.failed


def test_of_two_rollbacks_to_one_transaction_the_later_one_is_undone_whatever_the_clocks() -> None:
    play = year_ahead(BACKUP, ("rollback_to", "ann", 1), ("rollback_to", "bob", 0), ("undo", "ann"))
    assert (play.done, len(play.place.listed())) == (True, 1)
    play.undo("ann")  # undone in turn: as the second left it
    assert len(play.place.listed()) == 1


def test_a_rollback_that_was_killed_is_gone_on_with_by_whoever_has_a_clock_that_is_ahead() -> None:
    """Its announcement is a year old by that clock, and older than that person's own milestones."""
    play = year_ahead(("replace", 0), ("rollback", "bob", 90), ("replace", 0), ("undo", "ann", [], 7), ("undo", "bob"))
    assert (play.done, play.place.locked()) == (True, False), play.said


def test_a_drill_by_a_clock_that_is_days_ahead_hides_no_drill_that_fails_after_it() -> None:
    """Of an archive that a person had accepted, so that the ledger's word alone counts."""
    now = world.begin()
    play = Play(now, machine.inventory(database=False), box.Box(now, tells_time=False))
    steps: list[Step] = [BACKUP, ("forge", "files"), ("accept", "ann"), ("clock", "bob", 4320)]
    for name, *arguments in (*steps, ("drill", "bob", "files"), ("overwrite", 1, True), ("drill", "ann", "files")):
        play.wait(60)
        getattr(play, name)(*arguments)
    play.prune("ann")
    assert "the restore drill of" in play.said


@pytest.mark.parametrize("minutes", [1.5, -1.5, 9])
def test_two_whose_clocks_differ_prune_at_once_and_neither_takes_the_other_for_a_thief(minutes: float) -> None:
    prune: Step = ("prune", "bob")
    play = played(
        BACKUP, BACKUP, ("drill", "ann", "files"), ("clock", "bob", minutes), ("prune", "ann", False, [prune])
    )
    play.check("bob")
    play.prune("bob")
    assert (play.done, len(play.place.listed())) == (True, 1)


def test_an_acceptance_of_the_future_settles_no_drill_that_fails_after_it() -> None:
    play = year_ahead(("forge", "files"), ("accept", "bob"))
    play.clock("bob", 0)
    for number in range(len(play.place.names())):
        play.overwrite(number, rot=True)
    play.drill("ann", "files")
    play.prune("ann")
    assert "the restore drill of" in play.said
