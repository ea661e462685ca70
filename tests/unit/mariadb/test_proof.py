"""What a drill takes from an archive, and what it makes of CHECK TABLE's words."""

from pathlib import Path

import pytest

from tasks.mariadb import private, proof
from tasks.mariadb.private import DrillFault


def backup_file(folder: Path, **values: str) -> Path:
    file = folder / "backup-my.cnf"
    file.write_text("# comment\n[mysqld]\n" + "".join(f"{name}={value}\n" for name, value in values.items()))
    return file


def test_only_options_that_the_data_needs_are_taken(tmp_path: Path) -> None:
    """Whoever made the archive must not choose what the drill's server reads, writes or loads."""
    file = backup_file(
        tmp_path, innodb_page_size="65536", innodb_undo_tablespaces="3", innodb_undo_directory="/var/lib/mysql",
        plugin_dir="/evil", init_file="/evil", datadir="/var/lib/mysql", tmpdir="/var/lib/mysql",
    )  # fmt: skip
    assert private.options(file) == ["--innodb_page_size=65536", "--innodb_undo_tablespaces=3"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"plugin_load": "file_key_management.so"}, "file_key_management.so and its keys"),
        ({"innodb_data_file_path": "/disk/ibdata1:12M:autoextend"}, "lies elsewhere: /disk/ibdata1"),
    ],
)
def test_data_that_needs_more_than_the_archive_is_refused_by_name(
    values: dict[str, str], says: str, tmp_path: Path
) -> None:
    with pytest.raises(DrillFault, match=says):
        private.options(backup_file(tmp_path, **values))


def test_a_table_is_sound_only_by_its_status() -> None:
    said = {
        "shop.fine": [("status", "OK")],
        "shop.old": [("status", "Table is already up to date")],
        "shop.open": [("warning", "1 client is using or hasn't closed the table properly"), ("status", "OK")],
        "shop.hole": [("note", "The storage engine for the table doesn't support check")],
    }
    assert proof.judged(said, 4) == [
        "shop.open: 1 client is using or hasn't closed the table properly",
        "shop.hole: its storage engine checks nothing",
    ]


@pytest.mark.parametrize(
    "rows",
    [
        [("warning", "InnoDB: The B-tree of index PRIMARY is corrupted."), ("error", "Corrupt")],
        [("error", "Table 'shop.t' doesn't exist"), ("status", "Operation failed")],
        [("error", "Incorrect key file"), ("status", "OK")],
        [("warning", "Size of indexfile is: 8192"), ("status", "Corrupt")],
    ],
)
def test_whatever_else_check_table_says_is_damage_told_by_name(rows: list[tuple[str, str]]) -> None:
    with pytest.raises(DrillFault, match=r"1 of 2 tables are damaged: shop\.t: ") as caught:
        proof.judged({"shop.fine": [("status", "OK")], "shop.t": rows}, 2)
    assert rows[0][1] in str(caught.value)


def test_a_table_of_which_nothing_was_said_was_not_checked() -> None:
    with pytest.raises(DrillFault, match="2 tables were to be checked, and 1 were"):
        proof.judged({"shop.fine": [("status", "OK")]}, 2)
