"""The scripts of the compose example, run: what is due again and again, and an account that never lacks its password."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.examples.objects import CHECKOUT

EXAMPLE = CHECKOUT / "examples/docker-backup"
# As the entry point of MariaDB's image does it (docker-entrypoint.sh: `set -eo pipefail`, then `. "$f"`).
ENTRY_POINT = """
set -eo pipefail
docker_process_sql() { cat >sql; }
. ./backup-account.sh
echo goes on
"""


@pytest.mark.parametrize(
    ("secret", "made"),
    [("cGFzcw+/==\n", True), ("", False), ("\n", False), (None, False), ("it's\n", False), ("x\\\\\n", False)],
)
def test_no_account_is_made_without_its_password(tmp_path: Path, secret: str | None, made: bool) -> None:
    text = (EXAMPLE / "backup-account.sh").read_text().replace("/run/secrets", str(tmp_path))
    (tmp_path / "backup-account.sh").write_text(text)
    if secret is not None:
        (tmp_path / "shop-mariadb").write_text(secret)
    done = subprocess.run(["bash", "-c", ENTRY_POINT], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0, done.stdout == "goes on\n", (tmp_path / "sql").exists()) == (made, made, made)
    if made:
        assert f"IDENTIFIED BY '{(secret or '').strip()}';" in (tmp_path / "sql").read_text()
    else:
        assert "cannot be read, is empty" in done.stderr


def test_a_password_that_the_server_may_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "shop-mariadb"
    secret.write_text("cGFzcw")
    secret.chmod(0)
    text = (EXAMPLE / "backup-account.sh").read_text().replace("/run/secrets", str(tmp_path))
    script = ENTRY_POINT.replace(". ./backup-account.sh", text)
    user = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    words = [*user, "bash", "-c", script]
    done = subprocess.run(words, cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Permission denied" in done.stderr
    assert "chmod 0444" in done.stderr


# Ends with 3 at the first call of `nightly`, and of the report with what stands in the file `report`.
INV = """#!/bin/sh
echo "$*" >>"$STUB/calls"
case $1 in
nightly) [ "$(grep -c nightly "$STUB/calls")" -gt 1 ] || exit 3 ;;
report) exit "$(cat "$STUB/report")" ;;
esac
"""


def test_it_looks_again_and_keeps_how_it_ended(tmp_path: Path) -> None:
    inv = tmp_path / "inv"
    inv.write_text(INV)
    inv.chmod(0o755)
    (tmp_path / "report").write_text("0")
    environment = {**os.environ, "INV": str(inv), "STUB": str(tmp_path), "HOME": str(tmp_path)}
    sleeps = tmp_path / "bin"
    sleeps.mkdir()
    # Each pause: keep what stands there now; the third time, the report finds something late; then end.
    (sleeps / "sleep").write_text(
        '#!/bin/sh\ncat "$STUB/last-exit-code" >>"$STUB/codes"; echo "$1" >>"$STUB/pauses"\n'
        'case $(grep -c . "$STUB/codes") in 2) echo 3 >"$STUB/report" ;; 3) echo 0 >"$STUB/report" ;; 4) kill "$PPID" ;; esac\n'
    )
    (sleeps / "sleep").chmod(0o755)
    environment["PATH"] = f"{sleeps}:{environment['PATH']}"
    subprocess.run(["sh", str(EXAMPLE / "nightly")], env=environment, check=False, timeout=60)
    assert (tmp_path / "codes").read_text().split() == ["3", "0", "3", "0"]
    assert (tmp_path / "pauses").read_text().split() == ["3600"] * 4
    assert (tmp_path / "calls").read_text().splitlines() == ["nightly", "report --strict"] * 4


def test_between_two_looks_it_saves_new_binary_logs_where_asked_to(tmp_path: Path) -> None:
    inv, sleep = tmp_path / "inv", tmp_path / "sleep"
    inv.write_text('#!/bin/sh\necho "$*" >>"$STUB/calls"\n[ "$1" != mariadb.binlog ] || exit 4\n')
    sleep.write_text('#!/bin/sh\necho "$1" >>"$STUB/pauses"\n[ "$(grep -c . "$STUB/pauses")" -lt 4 ] || kill "$PPID"\n')
    for program in (inv, sleep):
        program.chmod(0o755)
    environment = {**os.environ, "INV": str(inv), "STUB": str(tmp_path), "HOME": str(tmp_path), "BINLOG": "300"}
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    subprocess.run(["sh", str(EXAMPLE / "nightly"), "900"], env=environment, check=False, timeout=60)
    assert (tmp_path / "pauses").read_text().split() == ["300"] * 4
    hour = ["nightly", "report --strict", *["mariadb.binlog"] * 3]
    assert (tmp_path / "calls").read_text().splitlines() == [*hour, "nightly", "report --strict"]
    assert (tmp_path / "last-exit-code").read_text() == "0\n"  # by the second look; until then the failed task's
