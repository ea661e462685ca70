"""A stolen host, with its own key and the passphrase, against its repository on the box.

Whatever it does shows in the next report and in `app.check`, nothing that the operator runs makes it final, and
`borg.rollback` brings back every archive. What the key cannot do at all is tried in tests/contract/test_host_key.py.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tasks.app.checks import checks
from tasks.borg import freeing, work
from tasks.borg.compact import compact
from tasks.borg.delete import delete
from tasks.borg.runner import run
from tasks.errors import RefusedError
from tasks.fleet import saving
from tasks.remote.secret import Secret
from tests.integration.attack.support import QUICK, Scene

MANIFEST = "repository.put(bytes(32), b'rubbish' * 20); repository.commit(compact=False)"
CHUNK = (
    "ids = [each for each in repository.list(limit=50) if each != bytes(32)]; "
    "repository.put(ids[0], b'rubbish' * 20); repository.commit(compact=False)"
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


def change_passphrase(scene: Scene) -> None:
    given = replace(scene.host, environment={**scene.host.environment, "BORG_NEW_PASSPHRASE": Secret("mine")})
    run(given, ("key", "change-passphrase"), QUICK)


def replace_key(scene: Scene) -> None:
    scene.raw(KEY)


def everything(scene: Scene) -> None:
    """Wait for the operator's own backup to record the damage as seen, and go on."""
    delete_one_lazily(scene)
    forge_before(scene)
    assert saving.run(str(scene.lab.inventory), saving.Options()) == 0
    overwrite_chunk(scene)
    change_passphrase(scene)


Attack = Callable[[Scene], None]


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (delete_all, "recorded, and are not in the repository"),
        (rename, "recorded, and is not in the repository"),
        (prune, "recorded, and are not in the repository"),
        (forge_in_place, "is not the recorded one"),
        (forge_ahead_and_before, "dated in the future"),
        (overwrite_chunk, "overwritten or deleted"),
        (overwrite_manifest, ""),
        (change_passphrase, "key was changed"),
        (replace_key, "key was changed"),
        (everything, "key was changed"),
    ],
)
def test_it_shows_is_never_made_final_and_is_undone(scene: Scene, attack: Attack, told: str) -> None:
    attack(scene)

    row = scene.row()
    assert row.status != "ok"
    assert told in (row.error or "")
    assert any(each.level == "error" for each in checks(scene.session, scene.opened.app))
    data = scene.lab.box.home() / "cloudbackup/shop/data"
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    with pytest.raises(RefusedError, match="nothing is freed") as caught:
        freeing.intend_compact(scene.target)
    assert caught.value.exit_code == 5
    assert {path: path.read_bytes() for path in before} == before

    said = list(work.roll_back(scene.opened, scene.transaction, None, ask=lambda _: True))
    again = freeing.intend_compact(scene.target)
    assert {each.name: each.id for each in again.found.listing.archives} == scene.before, said
    assert again.reasons == ()


def test_the_row_is_well_again_after_a_rollback(scene: Scene) -> None:
    delete_all(scene)
    assert scene.row().status == "missing"
    list(work.roll_back(scene.opened, scene.transaction, None, ask=lambda _: True))
    row = scene.row()
    assert (row.status, row.error) == ("ok", None)
