"""A publishing is killed at any moment: the copy is restorable, or is named as unfinished, and the same again ends it.

A moment is just before a request to the storage, or just after it, when nothing has noted its end yet; each object that
is sent is a request. What changes two places is announced, can be killed anywhere, and is ended by the same command:

- publishing, by a backup, a prune, and by what a host does that lost its staging; `borg.publish`: this file
- `borg.init`, `borg.key-export`, `borg.change-passphrase`, `borg.renew`, `report.accept`, `app.remove`, `app.add`:
  tests/integration/attack/test_killed.py, before each step
- `app.rename`: tests/integration/attack/test_renamed.py; `app.move`: tests/integration/fleet/test_moved_host.py, before each
  step as well
- `borg.rollback`, its undoing, `prune`, `borg.delete`, `borg.compact`, `backup`: tests/model, in any order, and
  tests/integration/attack
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab import s3
from tasks.app.checks import checks
from tasks.borg.announcement import ANNOUNCED
from tasks.borg.client.compact import compact
from tasks.borg.client.delete import delete
from tasks.errors import AppError
from tests.fault.killed import forking
from tests.fault.published.site import Moment, Site, checksum, restorable
from tests.fault.published.test_lost_objects import lose, published
from tests.fault.published.test_published_copy import NEWEST, OLDEST, begin, kind_of, names, row_of, save
from tests.integration.fleet.support import Operator

LONG = pytest.mark.timeout(1800)  # seconds: each moment is a try of its own, on whatever machine
EVERY = os.environ.get("CLOUDBACKUP_KILLS") == "every"
TOLD = f"{ANNOUNCED['publish']} by"
Names = frozenset[str]


@dataclass
class Scene:
    """A host with its staging and the copy in the storage, as they are before each try."""

    site: Site
    kept: Path
    saved: dict[str, dict[str, str]] = field(default_factory=dict)  # of each archive the checksums of its files

    @property
    def kind(self) -> str:
        return kind_of(self.site)

    def keep(self) -> None:
        shutil.copytree(self.site.folder, self.kept, symlinks=True)

    @contextmanager
    def again(self) -> Iterator[Site]:
        """Yield all as it was kept, the copy in a place of its own: servers remember what they had in a folder."""
        shutil.rmtree(self.site.folder)
        shutil.copytree(self.kept, self.site.folder, symlinks=True)
        site = Site(self.site.folder, self.site.servers, self.site.borg, secrets.token_hex(4))
        _copied(self.site, site, self.kind)
        try:
            yield site
        finally:
            site.session.__exit__(None, None, None)


def _copied(before: Site, now: Site, kind: str) -> None:
    """Copy what the storage has of a site to another's place there, by the storage's own server."""
    places = []
    for site in (before, now):
        storage = site.storage(kind)
        way = storage._operators("")
        places.append(storage.address(storage.directory))
    shown = {name: value if isinstance(value, str) else value.reveal() for name, value in way.environment.items()}
    subprocess.run((s3.rclone(), "--config=", "copy", *places), env={**os.environ, **shown}, check=True)


def _first(scene: Scene) -> None:
    """Save one archive."""
    begin(scene.site, scene.kind, scene.site.session.inventory.escrow)
    scene.saved["one"] = {"first": checksum(scene.site.files / "first")}
    (scene.site.files / "second").write_bytes(os.urandom(20_000))
    for name in ("two", "three"):
        scene.saved[name] = {path.name: checksum(path) for path in scene.site.files.iterdir()}


def _second(scene: Scene) -> None:
    """Save two archives."""
    _first(scene)
    save(scene.site, scene.kind, "two")


def _damaged(scene: Scene) -> None:
    """Save one archive, and let the storage lose nearly all of it."""
    _first(scene)
    lose(scene.site, scene.kind, lambda name: name != "README")


def _staging_lost(scene: Scene) -> None:
    _first(scene)
    shutil.rmtree(scene.site.staging(scene.kind).parent)


def _saves(site: Site, kind: str) -> None:
    """Save another archive; where a killed run has saved it already, one more."""
    config = site.staging(kind) / "config"
    there = config.exists() and "two" in scene_names(site, kind)
    save(site, kind, "three" if there else "two")


def scene_names(site: Site, kind: str) -> Names:
    """Return the archives that the host has, published or not."""
    done = subprocess.run(
        (site.borg, "list", "--short", str(site.staging(kind))),
        env={**os.environ, "BORG_PASSPHRASE": "secret words", "BORG_BASE_DIR": str(site.folder / "looking")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return frozenset(done.stdout.split())


def _frees(site: Site, kind: str) -> None:
    """Drop the first archive, where that was not done yet, and free its space, as a prune does."""
    repository = site.repository(kind)
    if "one" in scene_names(site, kind):
        delete(repository, ["one"])
    compact(repository)


def _publishes(site: Site, kind: str) -> None:
    published(site, kind)


@dataclass(frozen=True)
class Way:
    """What publishes: how its scene is set, what it does, the archives before and after it, the moments at the least."""

    before: Callable[[Scene], None]
    act: Callable[[Site, str], None]
    archives: tuple[Names, ...]
    least: int


ONE, BOTH = frozenset({"one"}), frozenset({"one", "two"})
THREE = frozenset({"one", "two", "three"})
WAYS = {
    "backup": Way(_first, _saves, (ONE, BOTH, THREE), 20),
    "prune": Way(_second, _frees, (BOTH, frozenset({"two"})), 30),
    "host that lost its staging": Way(_staging_lost, _saves, (ONE, BOTH, THREE), 20),
    "borg.publish": Way(_damaged, _publishes, (ONE,), 20),
}


@LONG
@pytest.mark.parametrize(
    ("site", "name"),
    [
        pytest.param(*borg.args[1], name, id=name)
        for borg, name in zip((OLDEST, NEWEST, NEWEST, OLDEST), WAYS, strict=True)
    ],
    indirect=["site"],
)
def test_killed_at_any_moment_the_copy_is_restorable_or_told_of_and_the_same_again_ends_it(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    way, scene = WAYS[name], Scene(site, tmp_path / "kept")
    way.before(scene)
    scene.keep()
    found: list[Moment] = []
    with scene.again() as now:
        count = _moments(monkeypatch, way, now, scene.kind)
    assert count >= way.least
    for moment in range(count) if EVERY else (count // 3, 2 * count // 3, count - 1):
        with scene.again() as now:
            with monkeypatch.context() as patch:
                patch.setenv("KILL", str(moment))
                patch.setenv("MOMENTS", str(tmp_path / f"moments-{moment}"))
                assert not _ends(way, now, scene.kind), moment
            left = tmp_path / f"left-{moment}"
            if name != "borg.publish":
                shutil.copytree(now.served(scene.kind), left)
                found.append(Moment(left, way.archives))
            _told_or_whole(now, scene.kind, way)
            way.act(now, scene.kind)
            assert frozenset(names(now, scene.kind)) in way.archives[-2:], moment
            assert TOLD not in (row_of(now, scene.kind).error or "")
            ended = tmp_path / f"ended-{moment}"
            shutil.copytree(now.served(scene.kind), ended)
            found.append(Moment(ended, way.archives[-2:]))
    assert restorable(site.borg, found, scene.saved) == []


def _moments(monkeypatch: pytest.MonkeyPatch, way: Way, now: Site, kind: str) -> int:
    """Return how many moments it has."""
    moments = now.folder.with_name("moments")
    with monkeypatch.context() as patch:
        patch.setenv("KILL", "10000")
        patch.setenv("MOMENTS", str(moments))
        assert _ends(way, now, kind)
    return len(moments.read_bytes())


def _ends(way: Way, now: Site, kind: str) -> bool:
    """Return whether it came to its end; False for one that was killed."""
    try:
        way.act(now, kind)
    except AppError:
        return False
    return True


def _told_or_whole(now: Site, kind: str, way: Way) -> None:
    """Assert that the report and `app.check` tell of what has not ended, or that nothing is unfinished."""
    row = row_of(now, kind)
    app = now.app.model_copy(update={"storage": kind})
    wrong = "; ".join(str(each) for each in checks(now.session, app) if each.level == "error")
    if row.archives is None:
        assert row.error, row
        assert wrong, row
    else:
        assert row.status != "ok" or frozenset(names(now, kind)) in way.archives
    if way.act is _publishes and "missing in" not in wrong:
        assert TOLD in (row.error or ""), row
        assert TOLD in wrong, wrong


@LONG
@OLDEST
def test_an_operator_killed_before_any_step_of_a_publishing_leaves_it_told_of_and_the_same_again_ends_it(
    site: Site, tmp_path: Path
) -> None:
    scene = Scene(site, tmp_path / "kept")
    _damaged(scene)
    scene.keep()
    told = 0
    with forking(tmp_path / "printed") as program:
        for stop in range(1, 100):
            with scene.again() as now:
                operator = Operator(now.folder / "inventory")
                words = ("borg.publish", "--app=shop", "--yes")
                end = program.run(operator.environment(), words, stop)
                if not end.killed:
                    break
                row = row_of(now, scene.kind)
                announced = TOLD in (row.error or "")
                told += announced
                assert announced or "missing in" in (row.error or ""), (end, row)
                if announced:
                    app = now.app.model_copy(update={"storage": scene.kind})
                    assert any(TOLD in str(each) for each in checks(now.session, app) if each.level == "error"), end
                again = program.run(operator.environment(), words)
                assert again.code == 0, (end, again)
                assert TOLD not in (row_of(now, scene.kind).error or ""), (end, again)
                assert names(now, scene.kind) == ["one"]
    assert end.code == 0, end
    assert told > 0
    assert stop > 4, end.steps
