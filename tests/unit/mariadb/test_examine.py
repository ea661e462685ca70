"""What a drill takes from an archive, and what it makes of CHECK TABLE's words."""

import os
from pathlib import Path

import pytest

from tasks.mariadb.host import check_table, data_options
from tasks.mariadb.host.ordinary_user import DrillFault


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
    assert data_options.options(file) == ["--innodb_page_size=65536", "--innodb_undo_tablespaces=3"]


def test_keys_reach_the_server_in_memory_and_not_as_the_files_that_its_user_may_not_read(tmp_path: Path) -> None:
    assert data_options.encryption(backup_file(tmp_path, innodb_encrypt_tables="OFF")) == ([], [])
    for name in ("keys", "password"):
        (tmp_path / name).write_text(name)
    file = backup_file(
        tmp_path, plugin_load="provider_lz4=provider_lz4;file_key_management=file_key_management",
        file_key_management_filename=str(tmp_path / "keys"), file_key_management_encryption_algorithm="aes_ctr",
        file_key_management_filekey=f"FILE:{tmp_path}/password",
    )  # fmt: skip
    words, files = data_options.encryption(file)
    keys, password = (f"/proc/self/fd/{each}" for each in files)
    assert words == [
        "--plugin-load-add=file_key_management",
        f"--file_key_management_filename={keys}",
        f"--file_key_management_filekey=FILE:{password}",
        "--file_key_management_encryption_algorithm=aes_ctr",
    ]
    assert [Path(each).read_text() for each in (keys, password)] == ["keys", "password"]
    for each in files:
        os.close(each)


def test_a_file_that_innodb_knows_of_and_that_is_not_there_is_named(tmp_path: Path) -> None:
    spaces = {
        "shop/items": 5, "shop/inside": 0, "shop/parts#P#p0": 6, "shop/parts#P#p1": 7, "shop/#sql-alter-1": 8,
        "shop/FTS_0000000000000015_CONFIG": 9,
    }  # fmt: skip
    (tmp_path / "shop").mkdir()
    files = ["items.ibd", "items.frm", "inside.frm", "parts#P#p0.ibd", "parts#P#p1.ibd", "parts.frm"]
    files.append("FTS_0000000000000015_CONFIG.ibd")
    for name in files:
        (tmp_path / "shop" / name).touch()
    assert check_table.lost(tmp_path, spaces) == []
    for name in files:
        (tmp_path / "shop" / name).unlink()
        assert check_table.lost(tmp_path, spaces) == [f"shop/{name}"]
        (tmp_path / "shop" / name).touch()


def test_a_table_is_sound_only_by_its_status() -> None:
    said = {
        "shop.fine": [("status", "OK")],
        "shop.old": [("status", "Table is already up to date")],
        "shop.open": [("warning", "1 client is using or hasn't closed the table properly"), ("status", "OK")],
        "shop.hole": [("note", "The storage engine for the table doesn't support check")],
    }
    assert check_table.judged(said, 4, {}) == [
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
        check_table.judged({"shop.fine": [("status", "OK")], "shop.t": rows}, 2, {})
    assert rows[0][1] in str(caught.value)


def test_a_table_of_which_nothing_was_said_was_not_checked() -> None:
    with pytest.raises(DrillFault, match="2 tables were to be checked, and 1 were"):
        check_table.judged({"shop.fine": [("status", "OK")]}, 2, {})
