"""A redo log that a thief wrote: whatever preparing makes of it, nothing outside is touched and nothing runs on."""

import random
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tasks.errors import CloudbackupError
from tasks.mariadb import drill
from tests.integration.mariadb.conftest import Running
from tests.integration.mariadb.hostile.test_walls import inside
from tests.integration.mariadb.hostile.walls import person
from tests.integration.mariadb.test_drill import content, packed, saved


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_hostile_redo_log_harms_nothing_but_its_own_drill(seed: int, shop: Running, folder: Path) -> None:
    files = folder / "files"
    files.mkdir()
    with saved(shop, folder / "backup").open("rb") as stream:
        subprocess.run(("mbstream", "-x", "-C", files), stdin=stream, check=True)
    (files / "cloudbackup_padding").unlink(missing_ok=True)
    log, chance = files / "ib_logfile0", random.Random(seed)  # noqa: S311 (the same each time)
    data = bytearray(log.read_bytes())
    name = b"../../home/evil.ibd"
    for _ in range(200):
        place = chance.randrange(len(data) - len(name))
        data[place : place + len(name)] = chance.choice([chance.randbytes(len(name)), name])
    log.write_bytes(data)
    hostile = packed(files)
    shutil.rmtree(files)
    with person(folder, "root") as (host, _), suppress(CloudbackupError):  # what was overwritten may be of no use
        drill.run(host, content(hostile), drill.DrillOptions(1000, (), str(folder), time_limit=120))
    assert {path.name for path in folder.iterdir()} == {"backup", hostile.name, "home"}
    assert not inside(folder)
