"""Sequences that once lost something, or said what was not so; each is named by what must happen instead."""

import random

import pytest

from tasks.fleet.recorder import recorded
from tasks.records.ledger import ledger
from tasks.run.outcome import Outcome
from tests.model.repository import BOX
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


@pytest.mark.parametrize("meanwhile", [("delete", "bob", 1), ("rollback", "bob", 150)])
def test_what_should_stay_and_goes_while_the_question_waits_lets_nothing_else_go(meanwhile: Step) -> None:
    play = played(BACKUP, ("drill", "ann", "files"), ("prune", "ann", False, [meanwhile]))
    assert "should stay, and is gone" in play.said
    assert len(play.place.listed()) == 1


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


def test_what_was_dropped_is_not_freed_while_what_stays_is_not_good() -> None:
    play = played(
        BACKUP, ("drill", "ann", "files"), ("delete", "ann", 0), ("overwrite", 0, True), ("drill", "ann", "files")
    )
    play.compact("ann", force=True)
    assert "no good archive of files is there" in play.said


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


def test_the_announcement_of_an_archive_that_has_its_record_excuses_no_other_in_its_place() -> None:
    """Whoever made it died before the announcement was removed, and a milestone knows the archive by its id alone."""
    play = played(BACKUP, ("backup", "ann", "files", True, 5), ("delete", "ann", 0), ("replace", 1), ("prune", "ann"))
    assert "is not the recorded one" in play.said


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


@pytest.mark.parametrize("kill", range(8))
def test_what_was_forced_holds_once_its_record_is_there_wherever_it_was_killed(kill: int) -> None:
    played(
        BACKUP, ("backup", "ann", "files", True, 1), ("steal", 0), ("wait", 4000), ("compact", "bob", True, [], kill)
    )


@pytest.mark.parametrize("seed", range(8))
def test_records_of_which_half_are_lost_let_nothing_good_go(seed: int) -> None:
    """The model looks before anything is freed: what it did not see made or failed may be told or not."""
    drill: Step = ("drill", "ann", "files")
    chance = random.Random(seed)  # noqa: S311  # the same each time
    steps: list[Step] = [BACKUP, drill, BACKUP, ("check", "ann"), ("prune", "ann"), BACKUP, drill, ("delete", "ann", 0)]
    chance.shuffle(steps)
    play = played(*steps)
    play.honest = False
    files, folder = play.place.repository.files, f"{BOX}/records/shop"
    for name in chance.sample(sorted(files.tree[folder]), len(files.tree[folder]) // 2):
        files.drop(f"{folder}/{name}")
    good = play.good("files") & play.place.listed()
    play.prune("ann")
    assert not good or good & play.place.listed()
