"""A published copy that lost objects, and a staging that was not mounted: the host still saves, and one command mends."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tasks.borg.apps import Opened
from tasks.borg.client.create import FilesOptions, create
from tasks.borg.publish import publish
from tasks.errors import AppError
from tasks.storage.published.host.rclone import STATE
from tasks.storage.published.publication import LostObjectsError
from tasks.storage.repository import Side
from tests.fault.published.site import Moment, Site, checksum, digest, restorable
from tests.fault.published.test_published_copy import (
    NEWEST,
    OLDEST,
    begin,
    kind_of,
    names,
    recorded,
    row_of,
    save,
)


def lose(site: Site, kind: str, chosen: Callable[[str], bool]) -> int:
    """Delete objects of the copy as a rule of the storage would; return how many."""
    files = site.storage(kind).files()
    folder = site.storage(kind).path(site.app)
    gone = [name for name in files.tree(folder) if chosen(name)]
    for name in gone:
        files.remove(f"{folder}/{name}")
    return len(gone)


def published(site: Site, kind: str, *, dry_run: bool = False, yes: bool = True) -> list[str]:
    """Do what `borg.publish` does, and return what it says."""
    app = site.app.model_copy(update={"storage": kind})
    opened = Opened(site.session, app, site.repository(kind))
    return list(publish(opened, dry_run=dry_run, ask=lambda _: yes))


def whole(site: Site, kind: str, expected: dict[str, dict[str, str]]) -> None:
    """Hold a plain copy of what is published against what was saved."""
    assert restorable(site.borg, [Moment(site.served(kind), (frozenset(expected),))], expected) == []


@NEWEST
@pytest.mark.parametrize(
    ("kind", "chosen", "first"),
    [
        ("bucket", lambda name: name == "data/0/1", "data/0/1"),
        ("bucket", lambda _: True, "data/0/"),
        ("files", lambda name: name in ("config", "nonce"), "config and 1 more"),
        ("files", lambda name: name == STATE, STATE),
    ],
    ids=["one", "all", "config", "state"],
)
def test_a_copy_that_lost_objects_is_named_so_and_published_again_by_one_command(
    site: Site, tmp_path: Path, kind: str, chosen: Callable[[str], bool], first: str
) -> None:
    begin(site, kind, tmp_path / "escrow")
    content = {"one": {"first": checksum(site.files / "first")}}
    lose(site, kind, chosen)
    (site.files / "second").write_bytes(os.urandom(20_000))
    with pytest.raises(LostObjectsError) as told:
        save(site, kind, "two")
    assert "saved on the host, and not published" in told.value.what
    assert f": {first}" in told.value.what
    assert "lifecycle rule" in told.value.remedy
    assert "`inv borg.publish --app shop`" in told.value.remedy
    row = row_of(site, kind)
    assert (row.status, "missing in" in (row.error or "")) == ("unknown", True), row
    before = digest(site.served(kind)) if site.served(kind).exists() else ""
    (said,) = published(site, kind, dry_run=True)
    assert "are missing" in said
    assert published(site, kind, yes=False)[-1] == "shop: nothing was published"
    assert (digest(site.served(kind)) if site.served(kind).exists() else "") == before
    assert "published, up to transaction" in published(site, kind)[-1]
    content["two"] = {path.name: checksum(path) for path in site.files.iterdir()}
    assert names(site, kind) == ["one", "two"]
    whole(site, kind, content)
    save(site, kind, "three")
    assert names(site, kind) == ["one", "two", "three"]
    assert "whole" in published(site, kind, dry_run=True)[0]


@OLDEST
def test_a_publishing_again_that_is_killed_at_any_object_shows_and_is_ended_by_the_same_command(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = kind_of(site)
    begin(site, kind, tmp_path / "escrow")
    lose(site, kind, lambda name: name != "README")
    for sent in range(0, 50, 3):
        with monkeypatch.context() as patch, suppress(AppError):
            patch.setattr(site.session, "write_record", lambda *_, **__: None)  # killed: no end is recorded
            recorded(site, kind, patch, f"cut-{sent}")
            patch.setenv("FAIL", str(sent))
            published(site, kind)
            break
    assert sent > 5
    content = {"one": {"first": checksum(site.files / "first")}}
    whole(site, kind, content)
    assert "a publishing by" in (row_of(site, kind).error or "")
    published(site, kind)
    assert "a publishing by" not in (row_of(site, kind).error or "")
    save(site, kind, "two")
    assert names(site, kind) == ["one", "two"]


@OLDEST
def test_a_staging_that_is_older_or_lacks_archives_replaces_nothing(site: Site, tmp_path: Path) -> None:
    kind = kind_of(site)
    begin(site, kind, tmp_path / "escrow")
    former, staging = tmp_path / "former", site.folder / "staging"
    shutil.copytree(staging, former)
    (site.files / "second").write_bytes(os.urandom(20_000))
    save(site, kind, "two")
    lose(site, kind, lambda name: name == "data/0/1")
    before = digest(site.served(kind))
    newest = tmp_path / "newest"
    staging.rename(newest)
    former.rename(staging)  # as a backup of the host's own disk brings it back
    with pytest.raises(AppError, match="this host itself published to"):
        published(site, kind)
    shutil.copytree(newest / kind / ".cloudbackup", staging / kind / ".cloudbackup", dirs_exist_ok=True)
    with pytest.raises(AppError, match="is older than what was published from it"):
        published(site, kind)
    assert digest(site.served(kind)) == before


@OLDEST
def test_a_staging_that_is_damaged_is_not_published(site: Site, tmp_path: Path) -> None:
    kind = kind_of(site)
    begin(site, kind, tmp_path / "escrow")
    lose(site, kind, lambda name: name == "config")
    before = digest(site.served(kind))
    segment = max((site.staging(kind) / "data/0").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.chmod(0o600)
    segment.write_bytes(data)
    with pytest.raises(AppError, match=r"the repository in .* is damaged"):
        published(site, kind)
    assert digest(site.served(kind)) == before


@OLDEST
def test_a_staging_that_was_not_mounted_is_said_and_no_stranger(site: Site, tmp_path: Path) -> None:
    kind = kind_of(site)
    begin(site, kind, tmp_path / "escrow")
    staging, disk = site.folder / "staging", tmp_path / "disk"
    staging.rename(disk)
    staging.mkdir()
    made = create(site.repository(kind, Side.HOST), FilesOptions("two", (str(site.files),)))
    (warning,) = made.warnings
    assert "kB of it were fetched from the published copy: is the disk there mounted" in warning
    assert str(site.staging(kind)) in warning
    staging.rename(tmp_path / "below")
    disk.rename(staging)
    with pytest.raises(AppError) as told:
        save(site, kind, "three")
    assert "this host itself published to" in told.value.what
    assert "not mounted" in told.value.what
    assert "somebody else" not in told.value.what
    assert f"move {site.staging(kind)} away" in told.value.remedy
    site.staging(kind).rename(tmp_path / "aside")  # as it says
    save(site, kind, "four")
    assert names(site, kind) == ["one", "two", "four"]
