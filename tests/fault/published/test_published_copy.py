"""A published copy and its host: what is sent, who may write, and how a host goes on that lost everything."""

import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab import s3
from tasks.app.checks import checks
from tasks.borg.client.archive_name import ArchiveName
from tasks.borg.client.create import FilesOptions, create
from tasks.borg.client.init import init
from tasks.borg.client.list import archives
from tasks.errors import AppError
from tasks.report.gather import gather
from tasks.report.rows import Row
from tasks.storage.published.host.rclone import STATE
from tasks.storage.published.host.refill import JUMP
from tasks.storage.repository import Side
from tests.fault.published.conftest import BORGS
from tests.fault.published.site import KINDS, Moment, Site, checksum, digest, restorable, sent

OLDEST = pytest.mark.parametrize("site", BORGS[:1], indirect=True)
NEWEST = pytest.mark.parametrize("site", BORGS[-1:], indirect=True)


def begin(site: Site, kind: str, escrow: Path) -> None:
    """Make the repository, with one archive."""
    site.storage(kind).make_directory(site.app)
    init(site.repository(kind), escrow)
    (site.files / "first").write_bytes(os.urandom(100_000))
    save(site, kind, "one")


def save(site: Site, kind: str, name: str) -> None:
    create(site.repository(kind, Side.HOST), FilesOptions(name, (str(site.files),)))


def names(site: Site, kind: str) -> list[str]:
    return [archive.name for archive in archives(site.repository(kind)).archives]


def nonce(folder: Path) -> int:
    return int((folder / "nonce").read_text(), 16)


def recorded(site: Site, kind: str, monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    """Return where every moment of what is published from now on is kept."""
    record = site.folder / name
    record.mkdir()
    monkeypatch.setenv("RECORD", str(record))
    monkeypatch.setenv("SERVED", str(site.served(kind)))
    return record


def kind_of(site: Site) -> str:
    """Return one kind for each borg."""
    return KINDS["1.4" in site.borg]


@NEWEST
def test_little_is_sent_for_a_small_change_nothing_for_none_and_no_secret_is_shown(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, log = kind_of(site), tmp_path / "log"
    monkeypatch.setenv("LOG", str(log))
    begin(site, kind, tmp_path / "escrow")
    record = recorded(site, kind, monkeypatch, "change")
    before = sum(path.stat().st_size for path in (site.staging(kind) / "data").rglob("*") if path.is_file())
    start = site.folder / "start"
    subprocess.run(("cp", "-al", site.served(kind), start), check=True)
    (site.files / "second").write_bytes(os.urandom(20_000))
    save(site, kind, "two")
    grown = sum(path.stat().st_size for path in (site.staging(kind) / "data").rglob("*") if path.is_file()) - before
    assert 20_000 < sent([start, *sorted(record.iterdir())]) < 1.5 * grown
    shutil.rmtree(record)
    record.mkdir()
    publication = site.repository(kind).publication
    assert publication is not None
    publication.publish()
    assert list(record.iterdir()) == []
    secrets = [site.servers.s3.secret_key, "secret words"]
    texts = [path.read_bytes() for path in (log, *site.folder.rglob("*")) if path.is_file()]
    assert not any(secret.encode() in text for secret in secrets for text in texts)


@pytest.mark.parametrize(("site", "lost"), [(BORGS[0], "repository"), (BORGS[-1], "all")], indirect=["site"])
def test_a_host_that_lost_its_staging_goes_on_and_reuses_no_nonce(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    kind = kind_of(site)
    begin(site, kind, tmp_path / "escrow")
    (site.files / "second").write_bytes(os.urandom(50_000))
    recorded(site, kind, monkeypatch, "cut")
    monkeypatch.setenv("FAIL", "4")
    with pytest.raises(AppError, match="published copy"):
        save(site, kind, "two")
    monkeypatch.delenv("RECORD")
    monkeypatch.delenv("FAIL")
    with pytest.raises(AppError, match="not published yet"):
        names(site, kind)
    used = nonce(site.staging(kind))
    shutil.rmtree(site.staging(kind) if lost == "repository" else site.staging(kind).parent)
    save(site, kind, "three")
    assert names(site, kind) == ["one", "three"]
    assert nonce(site.staging(kind)) >= nonce(site.served(kind)) >= used + JUMP - 2**20
    content = {path.name: checksum(path) for path in site.files.iterdir()}
    expected = {"one": {"first": content["first"]}, "three": content}
    assert restorable(site.borg, [Moment(site.served(kind), (frozenset(expected),))], expected) == []


@OLDEST
def test_what_was_interrupted_is_published_by_the_next_run(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = kind_of(site)
    begin(site, kind, tmp_path / "escrow")
    (site.files / "second").write_bytes(os.urandom(10_000))
    for number in (1, 3, 5):  # the first time after borg, then before it
        recorded(site, kind, monkeypatch, f"cut-{number}")
        monkeypatch.setenv("FAIL", str(number))
        with pytest.raises(AppError, match="published copy"):
            save(site, kind, "two")
        monkeypatch.delenv("RECORD")
        monkeypatch.delenv("FAIL")
    save(site, kind, "three")
    assert names(site, kind) == ["one", "two", "three"]


@OLDEST
@pytest.mark.parametrize("left", ["", '{"state": nu'])
def test_what_a_host_remembers_may_be_lost_with_its_power(site: Site, tmp_path: Path, left: str) -> None:
    kind = kind_of(site)
    begin(site, kind, tmp_path / "escrow")
    (memory,) = site.staging(kind).parent.rglob(STATE)
    memory.write_text(left)
    before = digest(site.served(kind))
    with pytest.raises(AppError) as told:
        save(site, kind, "two")
    assert f"{memory} is not to be understood" in told.value.what
    assert f"move {site.staging(kind)} away" in told.value.remedy
    assert digest(site.served(kind)) == before
    site.staging(kind).rename(tmp_path / "aside")  # as it says
    save(site, kind, "three")
    assert names(site, kind) == ["one", "three"]


@NEWEST
def test_a_second_writer_is_found_and_nothing_is_touched(site: Site, tmp_path: Path) -> None:
    kind = kind_of(site)
    begin(site, kind, tmp_path / "escrow")
    other = Site(tmp_path / "other", site.servers, site.borg, site.store)
    host = other.session.host(other.app)
    host._facts = replace(host.facts(), machine="another machine")
    init(other.repository(kind), tmp_path / "escrow")  # a host that has no repository yet takes over the published one
    assert names(other, kind) == ["one"]
    save(other, kind, "two")
    before = digest(site.served(kind))
    for act in (lambda: save(site, kind, "three"), lambda: names(site, kind)):
        with pytest.raises(AppError, match=r"somebody else wrote to .*: another machine at"):
            act()
    assert digest(site.served(kind)) == before
    other.session.__exit__(None, None, None)


@OLDEST
def test_a_strange_or_a_missing_object_is_found(site: Site, tmp_path: Path) -> None:
    begin(site, "bucket", tmp_path / "escrow")
    way = site.storage("bucket")._operators("shop")
    shown = {name: value if isinstance(value, str) else value.reveal() for name, value in way.environment.items()}
    address = f"published:backups/{site.store}/shop/data/0"

    def rclone(*words: str) -> None:
        subprocess.run((s3.rclone(), "--config=", *words), env=shown, input=b"x", check=True)

    rclone("rcat", f"{address}/99")
    with pytest.raises(AppError, match="data/0/99 is not from here"):
        save(site, "bucket", "two")
    rclone("deletefile", f"{address}/99")
    rclone("deletefile", f"{address}/1")
    with pytest.raises(AppError, match=r"1 object is missing in .*: data/0/1"):
        save(site, "bucket", "three")


def row_of(site: Site, kind: str) -> Row:
    """Return the report's row of the app, of what is kept and of what is there now."""
    (row,) = gather(site.session, [site.app.model_copy(update={"storage": kind})]).apps
    return row


@NEWEST
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_that_its_host_damages_is_told_by_the_next_report(site: Site, kind: str) -> None:
    begin(site, kind, site.session.inventory.escrow)
    save(site, kind, str(ArchiveName("shop", "files", datetime.now(UTC))))
    app, files = site.app.model_copy(update={"storage": kind}), site.storage(kind).files()
    copy = site.storage(kind).path(app)
    assert [row_of(site, kind).archives for _ in range(2)] == [1, 1]  # the second of what the first one kept
    segment = max((site.staging(kind) / "data/0").iterdir(), key=lambda path: path.stat().st_size)
    for name, damage in (
        (f"data/0/{segment.name}", b""),
        (f"data/0/{segment.name}", b"something else"),
        ("config", b""),
        ("config", b"something else"),
    ):
        files.rename(f"{copy}/{name}", f"{copy}.whole")
        if damage:
            files.replace(f"{copy}/{name}", damage)
        row = row_of(site, kind)
        what = (
            f"{name} is not as it was published" if damage else f"1 object is missing in {site.address(kind)}: {name}"
        )
        told = [str(check) for check in checks(site.session, app) if check.level == "error"]
        assert (row.status, what in (row.error or "")) == ("unknown", True), row
        assert any(what in each for each in told), told
        if damage:
            files.remove(f"{copy}/{name}")
        files.rename(f"{copy}.whole", f"{copy}/{name}")
        assert row_of(site, kind).archives == 1
