"""Sequences with rollbacks that once lost something, or said what was not so; each is named by what must happen instead."""

import pytest

from tests.model.steps import BACKUP, played
from tests.model.truth import Step


def test_a_second_rollback_goes_back_to_what_is_there_now() -> None:
    """The number of the theft is one that the first rollback undid, and higher ones were undone as well."""
    play = played(*[BACKUP] * 5, ("rollback_to", "ann", 4), BACKUP, ("steal", 0), ("rollback", "bob", 75))
    assert play.done
    assert not play.stolen
    assert len(play.place.listed()) == 3


@pytest.mark.parametrize("kill", range(5, 17))
def test_a_rollback_that_was_killed_can_be_undone(kill: int) -> None:
    play = played(BACKUP, BACKUP, ("rollback_to", "bob", 2, [], kill), ("undo", "ann"))
    assert len(play.place.listed()) == 3 or not play.done


@pytest.mark.parametrize("kill", range(3, 20))
def test_an_undoing_that_was_killed_is_ended_by_the_same_command(kill: int) -> None:
    """Of a rollback that was killed as well."""
    play = played(BACKUP, BACKUP, ("rollback_to", "bob", 2, [], 13), ("undo", "ann", [], kill), ("undo", "bob"))
    assert not play.half
    assert len(play.place.listed()) in (1, 3)  # undone twice, where the first came to its end


@pytest.mark.parametrize("meanwhile", [BACKUP, ("prune", "ann"), ("steal", 0), ("rollback", "ann", 90)])
def test_what_changes_while_a_rollback_asks_is_not_taken_back_unseen(meanwhile: Step) -> None:
    play = played(BACKUP, ("drill", "ann", "files"), ("rollback_to", "bob", 0, [meanwhile]))
    assert "changed the repository while the question waited" in play.said


def test_a_rollback_to_after_a_forgery_does_not_vouch_for_it() -> None:
    play = played(("forge", "files"), BACKUP, BACKUP, ("rollback_to", "ann", 0), ("prune", "ann"))
    assert "no record tells of it" in play.said


def test_a_rollback_to_after_an_object_was_overwritten_does_not_hide_it() -> None:
    play = played(BACKUP, ("overwrite", 0), BACKUP, BACKUP, ("rollback_to", "ann", 1), ("prune", "ann"))
    assert "overwritten or deleted" in play.said


def test_what_was_gone_before_the_point_of_a_rollback_is_still_missed_after_it() -> None:
    play = played(BACKUP, ("steal", 0), BACKUP, BACKUP, ("rollback_to", "ann", 0), ("prune", "ann"))
    assert "not in the repository" in play.said


def test_what_a_rollback_brought_back_is_missed_when_it_is_stolen_again() -> None:
    play = played(
        *(("steal", 0), ("forge", "files"), ("rollback", "ann", 0), ("rollback", "ann", 0)),
        *(("rollback_to", "ann", 2), ("steal", 0), ("prune", "ann")),
    )
    assert "not in the repository" in play.said


def test_a_passphrase_is_changed_just_after_a_rollback() -> None:
    play = played(BACKUP, BACKUP, BACKUP, ("wait", 60), BACKUP, ("rollback_to", "ann", 4))
    play.passphrase("ann")
    assert play.done


def test_nobody_writes_while_a_rollback_is_half_done_and_it_is_gone_on_with() -> None:
    play = played(BACKUP, BACKUP, ("rollback_to", "ann", 2, [], 9), ("backup", "bob", "files"), ("steal", 0))
    assert play.place.locked()
    play.undo("bob")
    assert not play.place.locked()
    assert len(play.place.listed()) == 3


def test_a_rollback_that_somebody_else_ended_meanwhile_is_not_gone_on_with() -> None:
    play = played(BACKUP, ("rollback", "ann", 5, [], 7), ("rollback_to", "ann", 0, [("rollback", "bob", 90)]))
    assert "changed the repository while the question waited" in play.said


def test_what_was_saved_after_a_rollback_was_killed_goes_when_that_is_run_again() -> None:
    """All had been moved by then, and the same command went on without a look at what came since."""
    play = played(BACKUP, ("rollback_to", "ann", 0, [], 15), BACKUP, ("rollback_to", "bob", 1))
    assert play.done
    assert len(play.place.listed()) == 2
    play.undo("ann")
    assert len(play.place.listed()) == 3


@pytest.mark.parametrize("kill", [6, 14])
def test_an_undoing_forgets_no_theft(kill: int) -> None:
    play = played(("steal", 0), ("rollback_to", "ann", 0, [], kill), ("undo", "ann", [], 14), ("undo", "ann"))
    play.wait(180)
    play.rollback("bob", 90)
    play.prune("ann")
    assert "not in the repository" in play.said


@pytest.mark.parametrize("kill", [9, None])
def test_an_undoing_forgets_no_overwritten_object(kill: int | None) -> None:
    """The count that shows it is of a transaction that the rollback took away, and the undoing brought back."""
    play = played(("forge", "mariadb"), BACKUP, ("overwrite", 3), ("rollback_to", "bob", 3, [], kill), ("undo", "ann"))
    assert play.done
    play.prune("ann")
    assert "overwritten or deleted" in play.said


def test_what_a_person_deletes_stays_away_after_a_rollback_to_later() -> None:
    played(BACKUP, BACKUP, ("delete", "ann", 1, False, [], 4), BACKUP, ("rollback_to", "ann", 0), ("check", "bob"))


def test_an_undoing_that_is_killed_at_its_beginning_leaves_no_moment_without_the_lock() -> None:
    for kill in range(12):
        play = played(BACKUP, BACKUP, ("rollback_to", "ann", 2, [], 9), ("undo", "ann", [], kill), BACKUP)
        assert len(play.place.listed()) <= 3 or not play.half


def test_an_accepted_archive_that_was_stolen_is_missed_after_a_rollback() -> None:
    """No other record saw it, so none tells since when it was there."""
    play = played(("forge", "files"), ("accept", "ann"), ("compact", "ann", False, [("steal", 1)]))
    play.wait(60)
    play.passphrase("ann")
    play.rollback("ann", 30)
    play.prune("ann")
    assert "not in the repository" in play.said


@pytest.mark.parametrize("kill", range(1, 5))
def test_a_rollback_that_was_killed_before_it_moved_anything_goes_on_from_what_is_there_now(kill: int) -> None:
    """It was announced, and two backups came; undone, both must come back."""
    play = played(("rollback_to", "ann", 0, [], kill), BACKUP, BACKUP, ("rollback_to", "ann", 2))
    assert (play.done, len(play.place.listed())) == (True, 1)
    play.undo("ann")
    assert (play.done, len(play.place.listed())) == (True, 3), play.said


def test_what_an_undoing_brings_back_is_ours_however_old_its_records_are() -> None:
    play = played(BACKUP, ("wait", 3 * 24 * 60), ("rollback_to", "ann", 1), ("undo", "bob"), ("check", "ann"))
    assert (len(play.place.listed()), play.said) == (2, "")


def test_what_an_undoing_brings_back_is_as_incomplete_as_before_however_old_its_records_are() -> None:
    play = played(("backup", "ann", "files", False), ("wait", 3 * 24 * 60), ("rollback_to", "ann", 1), ("undo", "bob"))
    play.delete("ann", 0)
    assert "no good archive of files would remain" in play.said


def test_what_a_rollback_brings_back_after_it_was_deleted_long_ago_is_ours() -> None:
    play = played(BACKUP, BACKUP, ("delete", "ann", 1), ("wait", 3 * 24 * 60), ("check", "ann"), ("wait", 3 * 24 * 60))
    play.rollback_to("bob", 1)
    assert (play.done, len(play.place.listed())) == (True, 3)
    play.check("ann")
    assert play.said == ""


def test_an_undoing_of_an_undone_half_of_a_rollback_is_compared_with_what_its_end_would_have_left() -> None:
    play = played(("overwrite", 0, True), ("steal", 0), ("rollback_to", "ann", 1, [], 10), ("undo", "ann"))
    play.undo("ann")
    play.steal(0)
    play.undo("ann")
    assert "did not come back" in play.said


def test_an_undoing_that_could_not_list_what_was_there_promises_nothing() -> None:
    """Begun by somebody who did not know the half-changed passphrase; what a thief added since is still told."""
    play = played(
        ("passphrase", "ann", 4),
        ("rollback", "ann", 1),
        ("undo", "ann"),
        ("passphrase", "ann"),
        ("forge", "files"),
        ("undo", "ann"),
    )
    assert play.done
    assert len(play.place.listed()) == 2


@pytest.mark.parametrize("kill", range(6, 12))
def test_the_undoing_of_an_undone_half_of_a_rollback_accuses_nobody(kill: int) -> None:
    """It is as if the rollback had ended, and the counts of what that took away hold no more."""
    play = played(BACKUP, ("rollback", "ann", 90, [], kill), ("undo", "bob"), ("undo", "ann"))
    play.check("ann")
    assert play.said == ""


def test_an_undoing_is_refused_once_a_colleagues_borg_freed_what_it_continues_from() -> None:
    play = played(BACKUP, BACKUP, ("delete", "ann", 0), BACKUP, ("rollback_to", "ann", 1))
    play.honest = False
    play.place.repository.compact()
    before = play.place.listed()
    play.undo("ann")
    assert "there is no rollback that can be undone" in play.said
    assert play.place.listed() == before


def test_an_undoing_that_was_refused_for_a_theft_during_its_question_continues_nothing_later() -> None:
    """The archive came back by a rollback of its own, whose undoing said that it goes, and was let go by that."""
    play = played(
        *(("overwrite", 0, True), ("rollback_to", "ann", 0), ("undo", "ann", [("steal", 0)])),
        *(("rollback_to", "ann", 1), ("undo", "bob")),
    )
    assert (play.done, play.stolen, len(play.place.listed())) == (True, set(), 0)


def test_what_is_stolen_after_a_rollback_that_was_killed_twice_is_what_its_undoing_sets_aside() -> None:
    """The first stopped in the middle, the second, which went on with it, once all was moved and the lock was free."""
    play = played(("rollback_to", "bob", 0, [], 10), ("rollback_to", "bob", 0, [], 8), ("steal", 0), ("undo", "ann"))
    assert (play.done, len(play.place.listed())) == (True, 1)
    play.undo("ann")
    assert (play.done, len(play.place.listed())) == (True, 0)
