"""What may be freed: everything that looks wrong is refused, and nothing that several operators do in turn is."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.borg.client.archive_name import ArchiveName
from tasks.borg.client.list import Archive, Listing
from tasks.borg.guard import may_free
from tasks.borg.refusals import Evidence
from tasks.borg.removal import vouched
from tasks.errors import RefusedError
from tasks.inventory.models import App
from tasks.records.ledger import ledger
from tasks.records.record import Record, Records
from tasks.storage.state import State

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHOP = App.model_validate(
    {
        "name": "shop",
        "host": "local",
        "passphrase": {"env": "P"},
        "storage": "box",
        "max_age": timedelta(hours=26),
        "compression": "lz4",
        "files": {"paths": ("/srv",)},
        "mariadb": {},
    }
)


def archive(source: str, hours: float, key: str = "") -> Archive:
    start = NOW - timedelta(hours=hours)
    return Archive(str(ArchiveName("shop", source, start)), f"{source}{hours}{key}", start)


FILES, OLD_FILES, DATABASE = archive("files", 2), archive("files", 50), archive("mariadb", 20)
ALL = (OLD_FILES, DATABASE, FILES)
STATE = State(10, "c0ffee", 9, {3: 5, 7: 2, 9: 1})


def saved(of: Archive, **more: Any) -> Record:
    values: dict[str, Any] = {"app": "shop", "action": "backup", "time": of.start, "outcome": "ok"}
    values |= {"source": of.name.split("-")[1], "archive": of.name, "archive_id": of.id, "config_sha256": "c0ffee"}
    return Record(**(values | more))


def record(action: str, hours: float, **more: Any) -> Record:
    return Record("shop", action, NOW - timedelta(hours=hours), **({"outcome": "ok"} | more))


PROOF = record("verify", 1, source="mariadb", archive_id=DATABASE.id)
RECORDS = (*(saved(each) for each in ALL), PROOF)


def evidence(
    archives: tuple[Archive, ...] = ALL, records: tuple[Record, ...] = RECORDS, state: State = STATE, **more: Any
) -> Evidence:
    ordered = tuple(sorted(records, key=lambda each: each.time))
    return Evidence(SHOP, Listing("id", "repokey", archives), state, Records(ordered, **more), NOW)


def test_a_repository_that_looks_right_may_free() -> None:
    assert may_free(evidence()) == ()


AHEAD, DATED = archive("files", -48), Archive(FILES.name, "dated", NOW - timedelta(days=300))
FORGED, RENAMED = archive("files", 2, "forged"), Archive("shop-files-my-own", OLD_FILES.id, OLD_FILES.start)
PAIR = saved(OLD_FILES, transaction=6, objects=5)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (evidence((FILES, OLD_FILES), (RECORDS[0], RECORDS[2])), "no archive of mariadb"),
        (evidence((OLD_FILES, DATABASE)), f"{FILES.name} was recorded, and is not in the repository"),
        (evidence((*ALL, archive("files", 30))), "is in the repository, and no record tells of it"),
        (evidence((OLD_FILES, DATABASE, FORGED)), f"{FILES.name} is not the recorded one"),
        (evidence((*ALL, AHEAD), (*RECORDS, saved(AHEAD))), "dated in the future"),
        (evidence((OLD_FILES, DATABASE, DATED), (*RECORDS, saved(DATED))), "dated otherwise than the name says"),
        (evidence(state=State(10, "bad", 9, STATE.segments)), "key was changed"),
        (
            evidence(records=(PAIR, *RECORDS), state=State(10, "c0ffee", 9, {3: 4, 7: 2, 9: 1})),
            "1 object .* overwritten",
        ),
        (
            evidence(records=(PAIR, *RECORDS), state=State(5, "c0ffee", 5, {3: 5, 5: 1})),
            "is at transaction 5, and was at 6",
        ),
        (evidence(records=(PAIR, *RECORDS), state=State(config_sha256="c0ffee")), "`hints` and `index` cannot be read"),
        (
            evidence((OLD_FILES, DATABASE), (saved(OLD_FILES), saved(DATABASE), PROOF)),
            "newest archive of files is late",
        ),
        (evidence(records=(*RECORDS, record("backup", 1, source="files", outcome="failed"))), "backup of files failed"),
        (evidence(records=RECORDS[:-1]), "no proven backup of mariadb would remain"),
        (evidence(broken=("x.json",)), "record x.json cannot be read"),
        (evidence(records=()), "no record tells of it"),
    ],
)
def test_nothing_is_freed_when_something_looks_wrong(found: Evidence, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason) as caught:
        may_free(found)
    assert caught.value.exit_code == 5
    assert any(reason.split(" .*", maxsplit=1)[0] in told.text for told in may_free(found, force=True))


LATE = archive("files", 1, "unheard")
BEGUN = record("begun", 1, source="files", archive=LATE.name)


def test_an_archive_whose_operator_died_before_its_record_is_known_by_what_was_announced() -> None:
    found = evidence((*ALL, LATE), (*RECORDS, BEGUN))
    assert may_free(found) == ()
    vouching = record("check", 0, details=vouched(found))
    assert LATE.id in ledger(Records((*RECORDS, BEGUN, vouching))).made


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (evidence((*ALL, archive("files", 3)), (*RECORDS, BEGUN)), "no record tells of it"),
        (evidence((*ALL, Archive(LATE.name, "x", NOW - timedelta(days=9))), (*RECORDS, BEGUN)), "dated otherwise"),
        (evidence((*ALL, LATE), (*RECORDS, BEGUN, saved(LATE, archive_id="its own"))), "is not the recorded one"),
    ],
)
def test_what_was_announced_excuses_nothing_else(found: Evidence, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        may_free(found)


def test_the_proven_one_must_be_among_those_that_remain() -> None:
    with pytest.raises(RefusedError, match="no proven backup of mariadb would remain"):
        may_free(evidence(), {FILES.id})


def test_what_a_later_record_saw_is_not_known_by_it() -> None:
    forged = archive("files", 30)
    seen = record("backup", 1, source="files", archive_ids=(*(each.id for each in ALL), forged.id))
    with pytest.raises(RefusedError, match="no record tells of it"):
        may_free(evidence((*ALL, forged), (*RECORDS, seen)))


def test_a_theft_stays_known_though_later_records_did_not_see_the_archive() -> None:
    later = record("backup", 1, source="files", archive_ids=(DATABASE.id, FILES.id))
    with pytest.raises(RefusedError, match="was recorded"):
        may_free(evidence((DATABASE, FILES), (*RECORDS, later)))


def test_what_we_removed_is_not_missed_and_is_strange_when_it_comes_back() -> None:
    intent = record("intent", 1, details={"removing_ids": [OLD_FILES.id], "recount": True})
    done = record("prune", 1, details={"removed_ids": [OLD_FILES.id], "known_ids": [DATABASE.id, FILES.id]})
    assert may_free(evidence(records=(*RECORDS, intent))) == ()  # not removed yet
    assert may_free(evidence((DATABASE, FILES), (*RECORDS, intent))) == ()
    assert may_free(evidence((DATABASE, FILES), (*RECORDS, done))) == ()
    with pytest.raises(RefusedError, match="no record tells of it"):
        may_free(evidence(records=(*RECORDS, intent, done)))
    rollback = record("rollback", 0.5, details={"known_ids": [each.id for each in ALL]})
    assert may_free(evidence(records=(*RECORDS, intent, done, rollback))) == ()


def test_a_changed_key_is_right_when_we_changed_it() -> None:
    changed = record("change-passphrase", 1, config_sha256="bad", details={"known_ids": [each.id for each in ALL]})
    assert may_free(evidence(records=(*RECORDS, changed), state=State(10, "bad", 9, STATE.segments))) == ()


def test_objects_that_our_own_prune_dropped_are_not_missed() -> None:
    fewer = State(14, "c0ffee", 13, {3: 2, 13: 1})
    prune = record("prune", 1, transaction=12, objects=2, details={"recount": True})
    at_once = saved(FILES, time=NOW - timedelta(hours=1.1), transaction=11, objects=7)  # another operator's, meanwhile
    assert may_free(evidence(records=(PAIR, *RECORDS, at_once, prune), state=fewer)) == ()
    with pytest.raises(RefusedError, match="1 object"):
        may_free(evidence(records=(PAIR, *RECORDS, prune), state=State(14, "c0ffee", 13, {3: 1, 13: 1})))


def test_a_broken_record_that_a_person_set_aside() -> None:
    forced = record("prune", 1, details={"ignored_records": ["x.json"]})
    assert may_free(evidence(records=(*RECORDS, forced), broken=("x.json",))) == ()


def test_two_operators_at_once_never_look_like_a_thief() -> None:
    """Backups, prunes and drills of two operators, each ending and recorded at any time after it began."""
    for seed in range(200):
        chance = random.Random(seed)  # noqa: S311  # a dice, not a secret
        there: dict[str, Archive] = {}
        objects: dict[int, int] = {}
        written: list[Record] = [saved(DATABASE), PROOF]
        there[DATABASE.id] = DATABASE
        pending: list[Record] = []
        for number in range(1, 30):
            now = NOW - timedelta(hours=24) + timedelta(minutes=number * 40)
            if chance.random() < 0.7:
                made = Archive(str(ArchiveName("shop", "files", now)), f"id{seed}.{number}", now)
                there[made.id] = made
                objects[number] = 3
                pending.append(saved(made, archive_ids=tuple(there), transaction=number, objects=sum(objects.values())))
            else:
                files = [each for each in there if each != DATABASE.id]
                gone = chance.sample(files, min(len(files), 2))
                details = {"removing_ids": gone, "recount": True}
                written.append(Record("shop", "intent", now, "ok", transaction=number - 1, details=details))
                known = list(set(there) & set(ledger(Records(tuple(written))).expected) - set(gone))
                for each in gone:
                    del there[each]
                    objects[min(objects)] = max(objects[min(objects)] - 1, 0)
                done = {"removed_ids": gone, "known_ids": known, "recount": True}
                count = sum(objects.values())
                pending.append(Record("shop", "prune", now, "ok", transaction=number, objects=count, details=done))
            chance.shuffle(pending)
            while pending and chance.random() < 0.6:
                written.append(pending.pop())
        written += pending
        segments = {**objects, 30: 1}
        found = evidence(tuple(there.values()), tuple(written), State(31, "c0ffee", 30, segments))
        assert found.doubts == [], seed


def test_a_host_whose_clock_is_an_hour_off_is_no_forger() -> None:
    name = FILES.name
    for hours in (-1, 1):  # borg starts some seconds after the time in the name
        start = FILES.start + timedelta(hours=hours, minutes=hours)
        here = (OLD_FILES, DATABASE, Archive(name, FILES.id, start))
        may_free(evidence(here))
    with pytest.raises(RefusedError, match="dated"):
        may_free(evidence((OLD_FILES, DATABASE, Archive(name, FILES.id, FILES.start - timedelta(hours=2)))))
