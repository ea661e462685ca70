"""The random sequences on real borg, once for each borg: the one on PATH, and those in CLOUDBACKUP_BORGS.

`CLOUDBACKUP_DEEP=100 python -m pytest tests/model/test_depth.py --timeout 0` is the long form, for each borg.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model import box, world
from tests.model.machine import Sequences
from tests.model.play import Play
from tests.model.real import RealBox

BORGS = [path for path in (shutil.which("borg"), *os.environ.get("CLOUDBACKUP_BORGS", "").split(":")) if path]
COUNT = int(os.environ.get("CLOUDBACKUP_DEEP", "0"))
DEEP = settings(
    max_examples=COUNT or 1,
    derandomize=not COUNT,
    stateful_step_count=10 if COUNT else 5,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("borg", BORGS)
def test_nothing_is_lost_on_real_borg(borg: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = os.environ["PATH"]

    class Deep(Sequences):
        def first(self, now: world.World, database: bool, tells_time: bool) -> Play:
            self.folder = Path(tempfile.mkdtemp(prefix="cloudbackup-model-"))
            (self.folder / "home").mkdir()
            monkeypatch.setenv("HOME", str(self.folder / "home"))
            monkeypatch.setenv("PATH", f"{self.folder / 'bin'}:{path}")
            places = box.inventory(self.folder, database=database, directory=str(self.folder / "box"))
            return Play(now, places, RealBox(self.folder, borg, now, tells_time))

        def teardown(self) -> None:
            shutil.rmtree(self.folder, ignore_errors=True)

    run_state_machine_as_test(Deep, settings=DEEP)
