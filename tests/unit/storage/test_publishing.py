"""What a publishing does before it sends anything, and how it tells a full storage and one that never answers."""

import os
import time
from pathlib import Path

import pytest

from tasks.remote.host import LocalHost
from tasks.remote.running import ScriptTimeoutError
from tasks.storage.publication import Folders, Publication, Way
from tasks.storage.publishing import ABANDONED, swept
from tasks.storage.rclone import failed


def test_only_what_drills_left_long_ago_goes(tmp_path: Path) -> None:
    old = time.time() - ABANDONED - 60
    for name in ("drill-01", "drill-02", "borg"):
        (tmp_path / name / "repository").mkdir(parents=True)
    for name in ("drill-01", "borg"):
        os.utime(tmp_path / name, (old, old))
    swept(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["borg", "drill-02"]


@pytest.mark.parametrize(
    "said",
    [
        "ERROR : 5: Failed to copy: QuotaExceeded: The quota is exceeded\n\tstatus code: 403, request id: tx0",
        "api error XMinioStorageFull: Storage backend has reached its minimum free drive threshold.",
        "Failed to copyto: write /srv/5: no space left on device",
    ],
)
def test_a_full_storage_is_told(said: str) -> None:
    what, remedy = failed(f"2026/11/24 20:00:00 {said}".encode()).args
    assert what.startswith("the storage is full: ")
    assert "make room" in remedy
    assert failed(b"AccessDenied: no").args[0].startswith("rclone: ")


def test_one_that_never_ends_is_ended_on_its_host(tmp_path: Path) -> None:
    way = Way(LocalHost(), "store:shop", {}, time_limit=0.5, first=f"echo $BASHPID >{tmp_path}/pid; sleep 300")
    folders = Folders(str(tmp_path), str(tmp_path), str(tmp_path))
    with pytest.raises(ScriptTimeoutError, match=r"shop: the published copy: .*\n.*the next backup sends the rest"):
        Publication("shop", way, way, folders).confirm()
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
