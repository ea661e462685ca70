"""Sequences that once lost something, or said what was not so; each is named by what must happen instead."""

import pytest

from tasks.fleet.recorder import recorded
from tasks.records.ledger import ledger
from tasks.run.outcome import Outcome
from tests.model.steps import BACKUP, played
from tests.model.truth import Step


def test_after_a_failed_check_of_the_newest_the_older_whole_ones_stay() -> None:
    play = played(BACKUP, ("drill", "ann", "files"), ("overwrite", 1, True), ("check", "ann"), ("prune", "bob"))
    assert "the check of" in play.said
    assert len(play.place.listed()) == 2


def test_after_a_failed_drill_of_the_newest_the_older_whole_ones_stay() -> None:
    play = played(
        BACKUP, ("drill", "ann", "files"), ("overwrite", 1, True), ("drill", "ann", "files"), ("prune", "bob")
    )
    assert "the restore drill of" in play.said
    assert len(play.place.listed()) == 2


def test_a_second_rollback_goes_back_to_what_is_there_now() -> None:
    """The number of the theft is one that the first rollback undid, and higher ones were undone as well."""
    play = played(*[BACKUP] * 5, ("rollback_to", "ann", 4), BACKUP, ("steal", 0), ("rollback", "bob", 75))
    assert play.done
    assert not play.stolen
    assert len(play.place.listed()) == 3


@pytest.mark.parametrize("meanwhile", [("delete", "bob", 1), ("rollback", "bob", 150)])
def test_what_should_stay_and_goes_while_the_question_waits_lets_nothing_else_go(meanwhile: Step) -> None:
    play = played(BACKUP, ("drill", "ann", "files"), ("prune", "ann", False, [meanwhile]))
    assert "should stay, and is gone" in play.said
    assert len(play.place.listed()) == 1


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


def test_accepting_what_took_an_archives_place_does_not_hide_that_the_archive_is_gone() -> None:
    play = played(BACKUP, ("replace", 0), ("accept", "ann"), ("compact", "ann"))
    assert "was recorded, and is not in the repository" in play.said


def test_nothing_is_freed_by_force_while_all_that_was_saved_is_gone() -> None:
    play = played(("steal", 0), ("compact", "ann", True))
    assert "no good archive of files is there" in play.said
    play.rollback("ann", 5)
    assert len(play.place.listed()) == 0  # it was gone an hour ago as well
    play.rollback("ann", 75)
    assert len(play.place.listed()) == 1


def test_a_change_of_the_passphrase_after_a_theft_is_ours() -> None:
    play = played(BACKUP, ("steal", 0), ("passphrase", "ann"), ("prune", "bob"))
    assert "not in the repository" in play.said
    assert "key was changed" not in play.said


def test_what_has_not_ended_is_still_told_when_older_records_are_no_longer_read() -> None:
    play = played(BACKUP, ("passphrase", "ann", 3), ("wait", 3000), ("rollback", "ann", 5))
    assert play.half == {"passphrase"}


def test_what_was_gone_before_the_point_of_a_rollback_is_still_missed_after_it() -> None:
    play = played(BACKUP, ("steal", 0), BACKUP, BACKUP, ("rollback_to", "ann", 0), ("prune", "ann"))
    assert "not in the repository" in play.said


def test_what_a_rollback_brought_back_is_missed_when_it_is_stolen_again() -> None:
    play = played(
        *(("steal", 0), ("forge", "files"), ("rollback", "ann", 0), ("rollback", "ann", 0)),
        *(("rollback_to", "ann", 2), ("steal", 0), ("prune", "ann")),
    )
    assert "not in the repository" in play.said


def test_one_of_two_forged_archives_is_removed_by_force_and_the_other_is_still_strange() -> None:
    play = played(BACKUP, ("forge", "files"), ("forge", "files"), ("delete", "ann", 2, True), ("prune", "ann"))
    assert len(play.place.listed()) == 3
    assert "no record tells of it" in play.said


def test_what_a_person_forced_makes_no_forged_archive_good() -> None:
    """Or a prune would let our own go in its favour."""
    forged: Step = ("forge", "files")
    play = played(BACKUP, ("drill", "ann", "files"), forged, forged, ("delete", "ann", 2, True), ("prune", "ann", True))
    assert {key for key in play.made if key not in play.place.listed()} <= play.consent
    assert play.good("files") & play.place.listed()


def test_a_passphrase_is_changed_just_after_a_rollback() -> None:
    play = played(BACKUP, BACKUP, BACKUP, ("wait", 60), BACKUP, ("rollback_to", "ann", 4))
    play.passphrase("ann")
    assert play.done


def test_what_was_dropped_is_not_freed_while_what_stays_is_not_good() -> None:
    play = played(
        BACKUP, ("drill", "ann", "files"), ("delete", "ann", 0), ("overwrite", 0, True), ("drill", "ann", "files")
    )
    play.compact("ann", force=True)
    assert "no good archive of files is there" in play.said


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


def test_nothing_is_brought_back_onto_a_repository_whose_space_was_freed() -> None:
    """The record of the compact seems to be older than that of the rollback, by a clock that is ahead."""
    play = played(BACKUP, BACKUP, ("delete", "ann", 0), BACKUP, ("clock", "bob", 3))
    play.rollback_to("bob", 1)
    play.compact("ann")
    assert play.done
    play.undo("ann")
    assert "there is no rollback that can be undone" in play.said


def test_the_newest_is_deleted_by_name_only_where_what_is_left_is_not_late() -> None:
    """Or it would be gone and refused: not freed, and not as it was."""
    play = played(BACKUP, ("wait", 1600), BACKUP, ("delete", "ann", 2))
    assert "is late" in play.said
    assert len(play.place.listed()) == 3


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


def test_the_announcement_of_an_archive_that_has_its_record_excuses_no_other_in_its_place() -> None:
    """Whoever made it died before the announcement was removed, and a milestone knows the archive by its id alone."""
    play = played(BACKUP, ("backup", "ann", "files", True, 5), ("delete", "ann", 0), ("replace", 1), ("prune", "ann"))
    assert "is not the recorded one" in play.said


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


def test_an_archive_whose_operator_died_before_its_record_displaces_no_good_one() -> None:
    """It was incomplete, which nobody knows; a milestone vouched for it, and prune let the good one go."""
    play = played(BACKUP, ("backup", "bob", "files", False, 4), ("check", "ann"), ("prune", "ann"))
    assert play.done
    assert play.good("files") <= play.place.listed()


def test_a_check_beside_a_backup_leaves_its_archive_good_once_the_record_is_there() -> None:
    play = played(BACKUP, ("backup", "bob", "files", True, 4), ("check", "ann"))
    ours = play.place.listed() - set(play.made)
    opened = play.opened()
    (late,) = ours
    name = next(name for name in play.place.names() if play.place.id_of(name) == late)
    outcome = Outcome("shop", "files", "ok", play.world.clock, 0, 9, 9, name, late)
    recorded(opened.session, play.app, [outcome])
    known = ledger(opened.session.storage_of(play.app).read_history(play.app), play.world.now)
    assert late in known.made
    assert late not in known.not_good


@pytest.mark.parametrize("kill", range(6, 12))
def test_the_undoing_of_an_undone_half_of_a_rollback_accuses_nobody(kill: int) -> None:
    """It is as if the rollback had ended, and the counts of what that took away hold no more."""
    play = played(BACKUP, ("rollback", "ann", 90, [], kill), ("undo", "bob"), ("undo", "ann"))
    play.check("ann")
    assert play.said == ""


def test_space_that_a_colleagues_borg_freed_is_told_and_a_check_of_all_data_settles_it() -> None:
    """What was moved and what was overwritten look the same until all of it is read."""
    play = played(BACKUP, BACKUP, ("delete", "ann", 0))
    play.honest = False  # for the model it is somebody else's work
    play.place.repository.compact()
    play.prune("ann")
    assert "or a borg other than ours freed space" in play.said
    assert "`inv borg.check --app shop --verify-data`" in play.said
    play.check("ann", deep=True)
    play.prune("ann")
    assert play.done
    assert len(play.place.listed()) == 1


def test_an_undoing_is_refused_once_a_colleagues_borg_freed_what_it_continues_from() -> None:
    play = played(BACKUP, BACKUP, ("delete", "ann", 0), BACKUP, ("rollback_to", "ann", 1))
    play.honest = False
    play.place.repository.compact()
    before = play.place.listed()
    play.undo("ann")
    assert "there is no rollback that can be undone" in play.said
    assert play.place.listed() == before


@pytest.mark.parametrize("kill", range(8))
def test_what_was_forced_holds_once_its_record_is_there_wherever_it_was_killed(kill: int) -> None:
    played(
        BACKUP, ("backup", "ann", "files", True, 1), ("steal", 0), ("wait", 4000), ("compact", "bob", True, [], kill)
    )
