"""A path that is a link, on real borgs: link and what it leads to come back, on the same host and on a bare one."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.borg.client.create import FilesOptions, create, create_words
from tasks.borg.client.runner import run
from tasks.borg.restore import OWN, restore_in_place, restore_to
from tasks.borg.roots import roots
from tasks.storage.repository import Repository

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)


@pytest.fixture
def srv(tmp_path: Path) -> Path:
    """`srv/app/current` is a link to a release, by way of a second link, and `srv/app` itself is one to a disk."""
    srv, disk = tmp_path / "srv", tmp_path / "disk"
    (disk / "app" / "releases" / "7").mkdir(parents=True)
    (disk / "app" / "releases" / "7" / "code").write_text("code 7")
    (disk / "app" / "latest").symlink_to("releases/7")
    (disk / "app" / "current").symlink_to("latest")
    srv.mkdir()
    (srv / "app").symlink_to("../disk/app")
    return srv


def restored(repository: Repository, *paths: Path, optional: tuple[str, ...] = ()) -> dict[str, str]:
    every = roots(repository, "one", list(map(str, paths)), optional)
    return dict(restore_in_place(repository, "one", every, NOW).moved)


def test_links_and_target_come_back_on_a_bare_host(repository: Repository, srv: Path, tmp_path: Path) -> None:
    create(repository, FilesOptions("one", (str(srv / "app" / "current"),)))
    shutil.rmtree(srv)
    shutil.rmtree(tmp_path / "disk")
    assert restored(repository, srv / "app" / "current") == {}
    assert (srv / "app").readlink() == Path("../disk/app")
    assert (srv / "app" / "current").readlink() == Path("latest")
    assert (srv / "app" / "current" / "code").read_text() == "code 7"
    assert not (tmp_path / "disk" / "app" / "releases" / "7").is_symlink()


def test_on_the_same_host_links_stay_and_the_data_is_replaced(
    repository: Repository, srv: Path, tmp_path: Path
) -> None:
    create(repository, FilesOptions("one", (str(srv / "app" / "current"),)))
    release = tmp_path / "disk" / "app" / "releases"
    (release / "7" / "code").write_text("broken")
    (release / "8").mkdir()
    (tmp_path / "disk" / "app" / "latest").unlink()
    (tmp_path / "disk" / "app" / "latest").symlink_to("releases/8")
    moved = restored(repository, srv / "app" / "current")
    assert (srv / "app" / "current" / "code").read_text() == "code 7"
    assert set(moved) == {str(release / "7"), str(tmp_path / "disk" / "app" / "latest")}
    assert (Path(moved[str(release / "7")]) / "code").read_text() == "broken"
    assert (release / "8").is_dir()
    assert list(srv.iterdir()) == [srv / "app"]  # a link that was right was not touched


def test_into_a_folder_both_come(repository: Repository, srv: Path, tmp_path: Path) -> None:
    create(repository, FilesOptions("one", (str(srv / "app" / "current"),)))
    restore_to(repository, "one", str(tmp_path / "new"), trust=OWN)
    inside = tmp_path / "new" / str(tmp_path).lstrip("/")
    assert (inside / "srv" / "app" / "current" / "code").read_text() == "code 7"


def test_an_optional_path_comes_back_where_it_was_saved(repository: Repository, srv: Path, tmp_path: Path) -> None:
    extra, none = tmp_path / "extra", str(tmp_path / "none")
    extra.mkdir()
    (extra / "file").write_text("extra")
    disk = tmp_path / "disk"
    create(repository, FilesOptions("one", (str(disk), str(extra), none), optional=(str(extra), none)))
    shutil.rmtree(extra)
    restored(repository, disk, optional=(str(extra), none))
    assert (extra / "file").read_text() == "extra"


def test_an_archive_of_an_earlier_version_is_restored_as_it_was(repository: Repository, srv: Path) -> None:
    plain = srv / "app" / "releases"  # saved through the link above it, by its own name
    run(repository, create_words(FilesOptions("one", (str(plain),))))
    assert roots(repository, "one", [str(plain)]) == (str(plain),)
    (plain / "7" / "code").write_text("broken")
    restored(repository, plain)
    assert (srv / "app" / "releases" / "7" / "code").read_text() == "code 7"
