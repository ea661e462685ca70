"""What changes more than one place is announced; killed before any of its steps, it is told and ended by the same command.

The steps are found by running the task (tests/fault/killed.py): whatever a task changes outside of itself is one. Before
the announcement nothing may be different, and from then on, until the end, the report and `app.check` tell of it.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.app.checks import checks
from tasks.borg.announcement import ANNOUNCED
from tasks.records.ledger import ledger
from tasks.remote.ssh import fingerprint
from tasks.run.session import Session
from tasks.storage.registry import load
from tests.fault.killed import Forking
from tests.integration.attack.support import EVERY, LONG, Place, Scene
from tests.integration.fleet.support import Operator


def shop(scene: Scene) -> Path:
    return scene.lab.inventory / "apps/shop.yml"


def report(scene: Scene) -> str:
    return Operator(scene.lab.inventory).inv("report", "--app", "shop").stdout


def checked(scene: Scene) -> str:
    """Return what `app.check` says is wrong."""
    with Session(load(scene.lab.inventory)) as session:
        found = checks(session, session.inventory.app("shop"))
        return "; ".join(f"{each.text}: {each.remedy}" for each in found if each.level == "error")


def unfinished(scene: Scene) -> list[str]:
    """Return what was announced of shop, and has not ended; nothing once shop is out of the inventory."""
    if not shop(scene).exists():
        return []
    with Session(load(scene.lab.inventory)) as session:
        app = session.inventory.app("shop")
        known = ledger(session.storage_of(app).read_history(app))
    return [str(each.details["of"]) for each in known.unfinished]


def begin_anew(place: Place) -> None:
    """Take all of shop away but its file and its passphrase, as on the first day."""
    home, lab = place.scene.lab.box.home(), place.scene.lab
    for folder in (home / "cloudbackup/shop", home / "cloudbackup/records/shop"):
        shutil.rmtree(folder)
    for path in (lab.folder / "operator/escrow").iterdir():
        path.unlink()


def change_the_key(place: Place) -> None:
    """Leave another form of the key in escrow than the repository has, as an earlier version's change did."""
    for path in (place.scene.lab.folder / "operator/escrow").iterdir():
        path.write_bytes(path.read_bytes().replace(b"A", b"B", 1))


def spoil_two(place: Place) -> None:
    """Make two archives that no record knows."""
    for number in (1, 2):
        place.scene.forge(f"shop-files-2026-11-0{number}T03-00-00", f"2026-11-0{number}T03:00:00")


@dataclass(frozen=True)
class Verb:
    """A command, what it announces, how its scene is set, and how many steps it has at the least."""

    words: tuple[str, ...]
    of: str
    least: int
    before: Callable[[Place], None] = lambda _: None
    every: int = 1  # in the short form so many steps lie from one that is tried to the next
    passphrase: str = ""  # by which it is opened in the end


VERBS = {
    "init": Verb(("borg.init", "--app=shop"), "init", 5, begin_anew),
    "key-export": Verb(("borg.key-export", "--app=shop", "--replace"), "key-export", 4, change_the_key),
    "accept": Verb(("report.accept", "--app=shop", "--reason=ours", "--yes"), "accept", 4, spoil_two),
    "change-passphrase": Verb(
        ("borg.change-passphrase", "--app=shop", "--new=env:ANOTHER", "--yes"),
        "change-passphrase",
        5,
        passphrase="other",
    ),
    "remove": Verb(("app.remove", "--app=shop", "--yes"), "remove", 4),
    "renew": Verb(("borg.renew", "--app=shop", "--yes"), "renew", 10, every=3),
}


@LONG
@pytest.mark.parametrize("name", VERBS)
def test_killed_before_any_step_it_is_told_and_ended_by_the_same_command(
    place: Place, program: Forking, name: str
) -> None:
    verb, scene = VERBS[name], place.scene
    environment = {**Operator(scene.lab.inventory).environment(), "ANOTHER": "other"}
    seen: list[str] = []
    for amid in (False, True) if EVERY else (False,):
        for stop in range(1, 200, 1 if EVERY else verb.every):
            place.restore()
            verb.before(place)
            before = place.content()
            end = program.run(environment, verb.words, stop, amid=amid)
            if not end.killed:
                break
            at = f"{end.steps}\n{end.printed}"
            if verb.of in unfinished(scene):
                assert ANNOUNCED[verb.of] in report(scene), at
                assert seen or ANNOUNCED[verb.of] in checked(scene), at
                seen.append(at)
            elif stop < verb.least:
                assert place.content() == before, at
            again = program.run(environment, verb.words)
            assert again.code == 0, (at, again)
            if verb.passphrase:
                (scene.lab.folder / "operator/secrets/shop").write_text(verb.passphrase)
            assert verb.of not in unfinished(scene), (at, again)
            assert "failed" not in report(scene), (at, again)
        assert end.code == 0, end
        if verb.passphrase:
            (scene.lab.folder / "operator/secrets/shop").write_text(verb.passphrase)
        assert name == "remove" or checked(scene) == ""
        assert stop > verb.least, end.steps
    assert len(seen) >= (verb.least - 2) // verb.every


@LONG
def test_an_app_that_is_added_is_told_of_from_its_file_on_and_ended_by_the_same_command(
    place: Place, program: Forking
) -> None:
    scene, lab = place.scene, place.scene.lab
    host = lab.apps["shop"]
    words = ["app.add", "--app=shop", "--host=127.0.0.1", f"--ssh-port={host.port}", f"--key={lab.operator_key}"]
    words += [f"--fingerprint={fingerprint(host.host_key)}", f"--files={host.files}", "--yes"]
    environment = Operator(lab.inventory).environment()
    told = 0
    for stop in range(1, 200, 1 if EVERY else 4):
        place.restore()
        begin_anew(place)
        for path in (shop(scene), lab.folder / "operator/secrets/shop", host.home / ".ssh/cloudbackup_shop"):
            path.unlink()
        keys = lab.box.home() / ".ssh/authorized_keys"
        keys.write_text("".join(line for line in keys.open() if "--append-only" not in line))
        before = place.content()
        end = program.run(environment, words, stop)
        if not end.killed:
            break
        at = f"{end.steps}\n{end.printed}"
        if shop(scene).exists():
            strict = Operator(lab.inventory).inv("report", "--app", "shop", "--strict")
            assert strict.returncode != 0 or "never" in strict.stdout or checked(scene), at  # saved, and not proven
            told += 1
        else:
            assert place.content() == before, at
        again = program.run(environment, words)
        assert again.code == 0, (at, again)
    assert end.code == 0, end
    assert told > 3
    done = Operator(lab.inventory).inv("report", "--app", "shop")
    assert " ok " in done.stdout, done
    assert "never" not in done.stdout, done
    assert checked(scene) == ""
