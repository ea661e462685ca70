"""The probe of a container: of a PostgreSQL server one database is named only if all of its tables are in that."""

import subprocess
from pathlib import Path

import pytest

from tasks.sources.dumps.container import PROBE


@pytest.mark.parametrize(
    ("databases", "tables_in_postgres", "named"),
    [("shop", "", True), ("shop", "1", False), ("shop\\nblog", "", False), ("", "1", False)],
)
def test_tables_in_the_database_postgres_are_not_left_out(
    tmp_path: Path, databases: str, tables_in_postgres: str, named: bool
) -> None:
    texts = {
        "grep": "case $2 in *postgres*) exit 0 ;; *) exit 1 ;; esac",
        "psql": f"""\
case "$*" in
*pg_database*) printf '{databases}\\n' ;;
*pg_class*) echo '{tables_in_postgres}' ;;
esac""",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", PROBE], env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert "cloudbackup postgresql login own" in lines
    assert ("cloudbackup postgresql database shop" in lines) == named
