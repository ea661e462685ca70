"""A stolen host, with its own key and the passphrase, against its repository on the box.

Whatever it does shows in the next report and in `app.check`, nothing that the operator runs makes it final, and
`borg.rollback` brings back every archive. What the key cannot do at all is tried in tests/contract/test_host_key.py.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.app.checks import checks
from tasks.borg import freeing, work
from tasks.borg.apps import Opened
from tasks.borg.compact import compact
from tasks.borg.delete import delete
from tasks.borg.list import archives
from tasks.borg.runner import How, environment, run
from tasks.errors import RefusedError
from tasks.fleet import saving
from tasks.inventory import load
from tasks.lab.lab import Lab, scratch_folder
from tasks.lab.plan import AppPlan, BoxPlan
from tasks.remote.script import Script, quote
from tasks.remote.secret import Secret
from tasks.report.gather import gather
from tasks.report.rows import Row
from tasks.storage.repository import Repository, Side
from tasks.storage.session import Session
from tasks.storagebox import prepare
from tests.contract.support import quick_borg

QUICK = How(lock_wait=20, timeout=120)
RAW = """
import os, sys
sys.argv[0] = "borg"
from argparse import Namespace
from borg.helpers import Location
from borg.logger import setup_logging
from borg.remote import RemoteRepository
args = Namespace(rsh=None, remote_path=None, umask=0o077, upload_ratelimit=None, remote_ratelimit=None,
                 upload_buffer=None, remote_buffer=None, log_json=False, debug_topics=[], progress=False, info=False,
                 debug_profile=None, log_level="warning", consider_part_files=False, iec=False)
setup_logging()
with RemoteRepository(Location(os.environ["BORG_REPO"]), args=args, exclusive=True) as repository:
    exec(os.environ["ATTACK"])
"""
MANIFEST = "repository.put(bytes(32), b'rubbish' * 20); repository.commit(compact=False)"
CHUNK = (
    "ids = [each for each in repository.list(limit=50) if each != bytes(32)]; "
    "repository.put(ids[0], b'rubbish' * 20); repository.commit(compact=False)"
)
KEY = "repository.save_key(b'rubbish')"


@dataclass
class Scene:
    """A repository with three archives, all well, as it was before each attack."""

    lab: Lab
    session: Session
    before: dict[str, str]
    transaction: int

    @property
    def opened(self) -> Opened:
        app = self.session.inventory.app("shop")
        return Opened(self.session, app, self.session.repository(app, Side.OPERATOR))

    @property
    def host(self) -> Repository:
        return self.session.repository(self.session.inventory.app("shop"), Side.HOST)

    @property
    def target(self) -> freeing.Target:
        return freeing.Target(self.session, self.opened.app, self.opened.repository, QUICK)

    def listed(self) -> dict[str, str]:
        return {each.name: each.id for each in archives(self.opened.repository, how=QUICK).archives}

    def row(self) -> Row:
        return gather(self.session, [self.opened.app]).apps[0]

    def raw(self, attack: str) -> None:
        """Speak borg's own protocol, past borg's client."""
        program = Path(shutil.which("borg") or "").read_text().splitlines()[0].removeprefix("#!").split()
        given = {**environment(self.host), "ATTACK": attack}
        output = self.host.host.run(Script(quote((*program, "-c", RAW)), given), timeout=60)
        assert output.ok, output.error_text

    def forge(self, name: str, timestamp: str) -> None:
        files = str(self.lab.apps["shop"].files)
        run(self.host, ("create", f"--timestamp={timestamp}", f"::{name}", "--", files), QUICK)


@pytest.fixture(scope="module")
def stage() -> Iterator[Scene]:
    folder = scratch_folder()
    beside = folder.with_name(folder.name + "-beside")
    borg = quick_borg(beside / "borg")
    box = BoxPlan(borg={"borg-1.4": borg})
    lab = Lab.start(folder, [AppPlan("shop", mariadb=False, files_megabytes=1, borg=borg)], box)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BORG_SELFTEST", "disabled")
            prepare.run(str(lab.inventory), [], lambda *_: True, lambda _: None)
            with Session(load(lab.inventory)) as session:
                scene = Scene(lab, session, {}, 0)
                list(work.initialise(scene.opened))
                for number in range(3):
                    (lab.apps["shop"].files / "new").write_bytes(os.urandom(50_000 + number))
                    assert saving.run(str(lab.inventory), saving.Options()) == 0
                    scene.before = scene.listed()
                scene.transaction = session.storage_of(scene.opened.app).state(scene.opened.app).transaction or 0
                yield scene
    finally:
        lab.remove()
        shutil.rmtree(folder)
        shutil.rmtree(beside)


@pytest.fixture
def scene(stage: Scene, tmp_path: Path) -> Iterator[Scene]:
    """Put back what the last attack may have left: the storage, and what both sides' borg remember."""
    pool = stage.lab.box.home() / "cloudbackup"
    shutil.copytree(pool, tmp_path / "pool", symlinks=True)
    yield stage
    shutil.rmtree(pool)
    shutil.copytree(tmp_path / "pool", pool, symlinks=True)
    shutil.rmtree(stage.session.inventory.cache, ignore_errors=True)
    for rest in (".cache/borg", ".config/borg/security"):
        shutil.rmtree(stage.lab.apps["shop"].home / rest, ignore_errors=True)


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


def forge_ahead(scene: Scene) -> None:
    for month in range(1, 4):
        scene.forge(f"shop-files-2036-{month:02}-01T00-00-00", f"2036-{month:02}-01T00:00:00")


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
        (delete_one_lazily, "recorded, and is not in the repository"),
        (rename, "recorded, and is not in the repository"),
        (prune, "recorded, and are not in the repository"),
        (forge_in_place, "is not the recorded one"),
        (forge_ahead, "dated in the future"),
        (forge_before, "no record tells of it"),
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
    for intend in (freeing.intend_prune, freeing.intend_compact):
        with pytest.raises(RefusedError, match="nothing is freed") as caught:
            intend(scene.target)
        assert caught.value.exit_code == 5
    assert {path: path.read_bytes() for path in before} == before

    said = list(work.roll_back(scene.opened, scene.transaction, None, ask=lambda _: True))
    assert scene.listed() == scene.before, said
    row = scene.row()
    assert (row.status, row.error) == ("ok", None)
    assert freeing.intend_compact(scene.target).reasons == ()
