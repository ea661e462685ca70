"""A stolen host, with its own key and the passphrase, against its repository on the box.

Whatever it does shows in the next report and in `app.check`, nothing that the operator runs makes it final, and
`borg.rollback` brings back every archive. What the key cannot do at all is tried in tests/contract/test_host_key.py.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import tasks.fleet.backup as fleet_backup
import tasks.fleet.check as fleet_check
from tasks.app.checks import checks
from tasks.borg import removal, verbs
from tasks.borg.catalog import looked_anew
from tasks.borg.client.compact import compact
from tasks.borg.client.delete import delete
from tasks.borg.client.extract import ExtractOptions, extract
from tasks.borg.client.runner import BorgError, run
from tasks.borg.refusals import Evidence
from tasks.errors import AppError, RefusedError
from tasks.remote.secret import Secret
from tasks.run.view import Telling
from tasks.storage.survey import Seen
from tests.integration.attack.support import QUICK, Scene
from tests.integration.fleet.support import Operator

EXCHANGE = """
from borg.helpers import Manifest
manifest, _ = Manifest.load(repository, (Manifest.Operation.WRITE,))
oldest, *_, newest = manifest.archives.list(sort_by=["ts"])
for place, put in ((oldest, newest), (newest, oldest)):
    manifest.archives[place.name] = put.id, place.ts.strftime("%Y-%m-%dT%H:%M:%S.%f")
manifest.write()
repository.commit(compact=False)
"""
MANIFEST = "repository.put(bytes(32), b'rubbish' * 20); repository.commit(compact=False)"
CHUNK = (
    "ids = [each for each in repository.list(limit=50) if each != bytes(32)]; "
    "content = max(ids, key=lambda each: len(repository.get(each))); "
    "repository.put(content, b'rubbish' * 20); repository.commit(compact=False)"
)
KEY = "repository.save_key(b'rubbish')"


def first(scene: Scene) -> str:
    return min(scene.before)


def delete_all(scene: Scene) -> None:
    delete(scene.host, sorted(scene.before), QUICK)
    compact(scene.host, QUICK)


def delete_one_lazily(scene: Scene) -> None:
    delete(scene.host, [first(scene)], QUICK)


def rename(scene: Scene) -> None:
    run(scene.host, ("rename", f"::{first(scene)}", "shop-files-2020-01-01T00-00-00"), QUICK)


def prune(scene: Scene) -> None:
    run(scene.host, ("prune", "--keep-last=1"), QUICK)


def forge_in_place(scene: Scene) -> None:
    delete(scene.host, [first(scene)], QUICK)
    taken = datetime.strptime(first(scene)[-19:], "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
    scene.forge(first(scene), f"{taken:%Y-%m-%dT%H:%M:%S}")


def forge_ahead_and_before(scene: Scene) -> None:
    scene.forge("shop-files-2036-01-01T00-00-00", "2036-01-01T00:00:00")
    forge_before(scene)


def forge_before(scene: Scene) -> None:
    scene.forge("shop-files-2020-01-01T00-00-00", "2020-01-01T00:00:00")


def overwrite_chunk(scene: Scene) -> None:
    scene.raw(CHUNK)


def overwrite_manifest(scene: Scene) -> None:
    scene.raw(MANIFEST)


def exchange(scene: Scene) -> None:
    """The oldest archive gets name and date of the newest: none is missing, and `keep` would drop the wrong one."""
    scene.raw(EXCHANGE)


def change_passphrase(scene: Scene, new: str | Secret = Secret("mine")) -> None:  # noqa: B008
    given = replace(scene.host, environment={**scene.host.environment, "BORG_NEW_PASSPHRASE": new})
    run(given, ("key", "change-passphrase"), QUICK)


def change_passphrase_to_the_same(scene: Scene) -> None:
    """Borg opens the repository as before: only what `config` holds is another one."""
    change_passphrase(scene, scene.host.environment["BORG_PASSPHRASE"])


def replace_key(scene: Scene) -> None:
    scene.raw(KEY)


def everything(scene: Scene) -> None:
    """Wait for the operator's own backup to record the damage as seen, and go on."""
    delete_one_lazily(scene)
    forge_before(scene)
    assert fleet_backup.run(str(scene.lab.inventory), fleet_backup.Options()) in (0, 3)
    overwrite_chunk(scene)
    change_passphrase(scene)


Attack = Callable[[Scene], None]


NO_KEY = "the repository's key is not the one in"
# What `app.check` says where it is not what the report says: borg no longer opens these repositories.
CHECKED: dict[Attack, str] = {change_passphrase: NO_KEY, replace_key: NO_KEY, everything: NO_KEY}


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (delete_all, "recorded, and are not in the repository"),
        (rename, "recorded, and is not in the repository"),
        (prune, "recorded, and are not in the repository"),
        (forge_in_place, "is not the recorded one"),
        (forge_ahead_and_before, "dated in the future"),
        (overwrite_chunk, "overwritten or deleted"),
        (overwrite_manifest, "manifest cannot be read: somebody overwrote it"),
        (exchange, "recorded with another name or date"),
        (change_passphrase, "key was changed"),
        (change_passphrase_to_the_same, "key was changed"),
        (replace_key, "key was changed"),
        (everything, "key was changed"),
    ],
)
def test_it_shows_is_never_made_final_and_is_undone(
    scene: Scene, attack: Attack, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    attack(scene)

    row = scene.row()
    assert row.status != "ok"
    said = [each.text for each in checks(scene.session, scene.opened.app) if each.level == "error"]
    assert told in (row.error or "")
    assert any(CHECKED.get(attack, told) in each for each in said), said
    data = scene.lab.box.home() / "cloudbackup/shop/data"
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(removal, "look", once(removal.look))  # what one of them sees, all of them see
        for intend in (removal.intend_compact, removal.intend_prune, lambda target: removal.intend_delete(target, [])):
            with pytest.raises(RefusedError, match="nothing is freed") as caught:
                intend(scene.target)
            assert caught.value.exit_code == 5
    assert {path: path.read_bytes() for path in before} == before

    said = list(verbs.roll_back(scene.opened, scene.transaction, None, ask=lambda _: True))
    again = removal.intend_compact(scene.target)
    assert {each.name: each.id for each in again.found.listing.archives} == scene.before, said
    assert again.reasons == ()
    extract(scene.opened.repository, ExtractOptions(first(scene), [scene.new]), str(tmp_path), QUICK)
    assert (tmp_path / scene.new.lstrip("/")).read_bytes() == scene.content


def once(look: Callable[[removal.Target], Evidence]) -> Callable[[removal.Target], Evidence]:
    """Return a look that is had once, and given again, refusals too."""
    had: list[Evidence | RefusedError] = []

    def again(target: removal.Target) -> Evidence:
        if not had:
            try:
                had.append(look(target))
            except RefusedError as error:
                had.append(error)
        if isinstance(had[0], RefusedError):
            raise had[0]
        return had[0]

    return again


def test_a_rollback_at_the_command_line_and_the_next_backup(scene: Scene) -> None:
    operator = Operator(scene.lab.inventory)
    delete_all(scene)
    assert scene.row().status == "missing"
    asked = operator.inv("borg.rollback", "--app=shop", f"--to={scene.transaction}")
    assert (asked.returncode, "--yes" in asked.stderr, scene.listed()) == (2, True, {})
    escrow = scene.session.inventory.escrow / "box-shop.key"
    kept = escrow.read_bytes()
    escrow.write_bytes(b"")  # a copy that is none is no reason to break off when all is moved aside
    said = operator.done("borg.rollback", "--app=shop", f"--to={scene.transaction}", "--yes")
    escrow.write_bytes(kept)
    assert "the key in the repository stays" in said
    assert all(f"comes back: {name}" in said for name in scene.before)
    row = scene.row()
    assert (row.status, row.error) == ("ok", None)
    printed = operator.done("backup")
    assert ("1 of 1 saved" in printed, "looks wrong" in printed) == (True, False)
    row = scene.row()
    assert (row.status, row.error, row.archives) == ("ok", None, 4)


def test_neither_a_backup_nor_a_check_makes_an_attack_good(scene: Scene) -> None:
    forge_before(scene)
    overwrite_chunk(scene)
    folder = str(scene.lab.inventory)
    assert fleet_check.run(folder, fleet_check.Options()) == 4
    assert fleet_backup.run(folder, fleet_backup.Options()) == 3
    row = scene.row()
    assert row.status == "failed"
    assert "overwritten or deleted" in (row.error or "")
    assert "no record tells of it" in (row.error or "")
    with pytest.raises(RefusedError, match=r"overwritten or deleted.*no record tells of it"):
        removal.intend_compact(scene.target)


def test_a_backup_says_what_looks_wrong_and_saves_all_the_same(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    for attack in (delete_one_lazily, forge_ahead_and_before, overwrite_chunk, change_passphrase_to_the_same):
        attack(scene)
    folder = str(scene.lab.inventory)
    assert fleet_backup.run(folder, fleet_backup.Options(telling=Telling(quiet=True))) == 3
    printed = capsys.readouterr().out
    assert printed.count("the repository looks wrong: ") == 1
    for told in (
        f"{first(scene)} was recorded, and is not in the repository",
        "shop-files-2020-01-01T00-00-00 and shop-files-2036-01-01T00-00-00 are in the repository, and no record tells",
        "shop-files-2036-01-01T00-00-00: dated in the future",
        "the repository's key was changed",
        "overwritten or deleted",
        "; `inv app.check --app shop` tells more",
    ):
        assert told in printed
    record = scene.session.storage_of(scene.opened.app).read_records(scene.opened.app).newest("backup", "files")
    assert record is not None
    assert (record.outcome, record.error, len(record.details["doubts"])) == ("ok", None, 5)
    assert record.archive in scene.listed()


def test_a_record_that_comes_while_it_looks_raises_no_alarm(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What announced an archive goes when its own record is there: who read the names before misses both."""
    assert fleet_backup.run(str(scene.lab.inventory), fleet_backup.Options()) == 0
    app = scene.opened.app
    storage = scene.session.storage_of(app)
    survey = storage.survey

    def told(hidden: int) -> list[str]:
        """Return what is doubted when so many looks miss the newest backup's record."""
        looks = count(1)

        def look(*given: Any) -> list[Seen]:
            (seen,) = survey(*given)
            assert not isinstance(seen.records, AppError)
            newest = max(name for name in seen.records if "-backup-" in name)
            rest = {name: text for name, text in seen.records.items() if name != newest}
            return [replace(seen, records=rest) if next(looks) <= hidden else seen]

        monkeypatch.setattr(storage, "survey", look)
        shutil.rmtree(scene.session.inventory.cache / "report", ignore_errors=True)
        return [doubt.text for doubt in looked_anew(scene.session, app, QUICK, {}).doubts]

    assert [told(0), told(1)] == [[], []]
    assert "no record tells of it" in told(2)[0]


def test_the_key_verbs_do_not_take_a_thiefs_key_for_ours(scene: Scene) -> None:
    escrow = scene.session.inventory.escrow / "box-shop.key"
    kept = escrow.read_bytes()
    change_passphrase_to_the_same(scene)
    config = scene.lab.box.home() / "cloudbackup/shop/config"
    changed = config.read_bytes()
    with pytest.raises(RefusedError, match="changed already, and not by us"):
        list(verbs.change_passphrase(scene.opened, Secret("another"), ask=lambda _: True))
    with pytest.raises(RefusedError, match="is not the one in"):
        list(verbs.export_key(scene.opened, replace=False))
    assert (config.read_bytes(), escrow.read_bytes()) == (changed, kept)


def test_what_the_key_cannot_do_at_all(scene: Scene) -> None:
    """Also with borg's own questions answered, and with another server command asked for."""
    other = scene.host.url.replace("/shop", "/other")
    far = {"BORG_REPO": other}
    yes = {"BORG_DELETE_I_KNOW_WHAT_I_AM_DOING": "YES", "BORG_CHECK_I_KNOW_WHAT_I_AM_DOING": "YES"}
    files, serve = str(scene.lab.apps["shop"].files), "borg-1.4 serve --restrict-to-path /home"
    pool = scene.lab.box.home() / "cloudbackup"
    before = {path: path.read_bytes() for path in (pool / "shop").rglob("*") if path.is_file()}
    for words, environment, told in (
        (("init", "--encryption=none"), far, "another repository only"),
        (("create", "::x", "--", files), far, "another repository only"),
        (("delete",), far, "another repository only"),
        (("list",), {**far, "BORG_REMOTE_PATH": serve}, "shop: "),
        (("list",), {**far, "BORG_REMOTE_PATH": f"{serve};"}, "shop: "),
        (("init", "--encryption=repokey"), {}, "there is already a repository"),
        (("delete",), {}, "this key may only append"),
        (("check", "--repair"), {}, "this key may only append"),
    ):
        mine = replace(scene.host, environment={**scene.host.environment, **yes, **environment})
        with pytest.raises(BorgError, match=told):
            run(mine, words, QUICK)
    run(scene.host, ("break-lock",), QUICK)
    assert {path.name for path in pool.iterdir()} == {"shop", "records"}
    assert {path: path.read_bytes() for path in before} == before
    assert scene.row().error is None
