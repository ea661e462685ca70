"""A badly damaged repository behind ssh: the server says more than a pipe holds, and the check ends all the same.

borg waits for its ssh without reading on, and an ssh that still has more than 64 KiB of standard error waits for borg
(seen with borg 1.2.4 on a busy machine).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.borg.client.check import CheckOptions, check
from tasks.borg.client.runner import BorgError
from tests.integration.borg.conftest import PASSPHRASE, MakeRepository

# Hands standard error on last, as an ssh does whose reader is slower than the server.
SSH = """#!{python}
import subprocess, sys
server = subprocess.Popen(sys.argv[sys.argv.index("borg"):], stderr=subprocess.PIPE)
said = server.stderr.read()
open({said!r}, "wb").write(said)
sys.stderr.buffer.write(said)
"""
FILES = 2000  # a damaged segment loses most of them, with a line of 200 bytes each


def test_a_check_of_a_badly_damaged_repository_ends(make_repository: MakeRepository, tmp_path: Path) -> None:
    rsh, data, place = tmp_path / "ssh", tmp_path / "data", tmp_path / "storage"
    rsh.write_text(SSH.format(python=sys.executable, said=str(tmp_path / "said")))
    rsh.chmod(0o755)
    data.mkdir()
    for number in range(FILES):
        (data / str(number)).write_bytes(os.urandom(20))
    own = {"BORG_REPO": str(place), "BORG_PASSPHRASE": PASSPHRASE, "BORG_BASE_DIR": str(tmp_path / "base")}
    for words in (("init", "-e", "repokey"), ("create", "::all", str(data))):
        subprocess.run(("borg", *words), env={**os.environ, **own}, check=True, capture_output=True)
    segment = max(place.glob("data/*/*"), key=lambda path: path.stat().st_size)
    with segment.open("r+b") as file:
        file.seek(segment.stat().st_size // 20)
        file.write(os.urandom(100))
    behind = make_repository(url=f"ssh://u@box:23{place}", BORG_RSH=str(rsh), BORG_BASE_DIR=str(tmp_path / "other"))
    with pytest.raises(BorgError, match="ended with code 1 and no word"):  # borg had read none of them
        check(behind, CheckOptions(repository_only=True))
    assert (tmp_path / "said").stat().st_size > 1 << 18
