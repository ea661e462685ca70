"""What a lost drill left on a host goes with a later publishing, and nothing else does."""

import os
import time
from pathlib import Path

from tasks.storage.publishing import ABANDONED, swept


def test_only_what_drills_left_long_ago_goes(tmp_path: Path) -> None:
    old = time.time() - ABANDONED - 60
    for name in ("drill-01", "drill-02", "borg"):
        (tmp_path / name / "repository").mkdir(parents=True)
    for name in ("drill-01", "borg"):
        os.utime(tmp_path / name, (old, old))
    swept(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["borg", "drill-02"]
