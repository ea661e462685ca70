"""Publishing, interrupted after every single object over real S3 and real SFTP, with both borgs."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.borg.client.compact import compact
from tasks.borg.client.create import FilesOptions, create
from tasks.borg.client.delete import delete
from tasks.borg.client.init import init
from tasks.borg.client.runner import run
from tests.fault.published.site import KINDS, Moment, Site, checksum, digest, restorable


class Story:
    """One repository, published to both storages after each step, every moment of it kept."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site = site
        self.patch = monkeypatch
        self.repository = site.repository("bucket")
        self.content: dict[str, dict[str, str]] = {}
        self.moments: dict[str, Moment] = {}
        self.names: frozenset[str] = frozenset()
        self.count = dict.fromkeys(KINDS, 0)

    def save(self, name: str) -> None:
        create(self.repository, FilesOptions(name, (str(self.site.files),)))
        self.content[name] = {path.name: checksum(path) for path in self.site.files.iterdir()}

    def step(self, action: Callable[[], object], names: set[str], *, frees: bool = False) -> None:
        """Do something with the repository; keep every moment of what that publishes to either storage."""
        self._recorded("bucket", names, action)
        self._recorded("files", names, lambda: self._publish("files", frees=frees))
        self.names = frozenset(names)

    def _publish(self, kind: str, *, frees: bool) -> None:
        publication = self.site.repository(kind).publication
        assert publication is not None
        published = publication.publish()
        assert published is not None
        if frees:
            publication.free(published)

    def _recorded(self, kind: str, names: set[str], action: Callable[[], object]) -> None:
        record = self.site.folder / "moments" / f"{kind}-{sum(self.count.values())}"
        record.mkdir(parents=True)
        self.patch.setenv("RECORD", str(record))
        self.patch.setenv("SERVED", str(self.site.served(kind)))
        action()
        self.patch.delenv("RECORD")
        found = sorted(record.iterdir())
        self.count[kind] += len(found)
        for folder in found:
            self.moments.setdefault(digest(folder), Moment(folder, (self.names, frozenset(names))))


def fill(folder: Path, first: int, last: int) -> None:
    for number in range(first, last):
        (folder / f"f{number}").write_bytes(os.urandom(8_000))


def test_the_copy_is_restorable_whenever_publishing_is_interrupted(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repository = site.repository("bucket")
    site.storage("bucket").make_directory(site.app)
    init(repository, tmp_path / "escrow")
    for setting in ("max_segment_size=8000", "segments_per_dir=10"):
        run(repository, ("config", repository.url, *setting.split("=")))
    site.staging("files").parent.mkdir()
    site.staging("files").symlink_to(site.staging("bucket"))
    story = Story(site, monkeypatch)
    fill(site.files, 0, 90)
    story.save("first")
    story.names = frozenset({"first"})
    story._publish("files", frees=False)
    for number in range(3):
        (site.files / f"f{number}").unlink()
    fill(site.files, 90, 93)
    story.step(lambda: story.save("second"), {"first", "second"})
    story.step(lambda: delete(repository, ["first"]), {"second"})
    story.step(lambda: compact(repository), {"second"}, frees=True)
    segments = {int(path.name) for path in (site.staging("bucket") / "data").glob("*/*")}
    assert min(segments) < 99 < max(segments)
    assert min(story.count.values()) > 25
    assert restorable(site.borg, list(story.moments.values()), story.content) == []
