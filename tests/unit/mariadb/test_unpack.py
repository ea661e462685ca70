"""What is left of the option file that comes in an archive: mariadb-backup --prepare does whatever stands there."""

import subprocess
from pathlib import Path

import pytest

from tasks.mariadb import damage, errors, unpack
from tasks.mariadb.access import BACKUP
from tasks.mariadb.dump import NOT_COMPLETED
from tasks.mariadb.host.align import PADDING
from tasks.remote import walls


def kept(folder: Path, *lines: str, restored: str = "/srv/restored") -> list[str]:
    """Return the lines that are left, of an archive restored to `restored`. Raises AssertionError with what is said of a file that is refused."""
    (folder / "backup-my.cnf").write_text("\n".join(["# made by mariadb-backup", "[mysqld]", *lines, ""]))
    words = ("sh", "-c", unpack.SCRIPT, "sh", restored, "0", "", "options")
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, errors.error(done.stderr, "shop").what
    assert [path.name for path in folder.iterdir()] == ["backup-my.cnf"]
    return (folder / "backup-my.cnf").read_text().splitlines()


def test_what_the_data_needs_stays_and_no_path_or_other_option_does(tmp_path: Path) -> None:
    needed = ["innodb_data_file_path=ibdata1:12M:autoextend", "innodb_page_size=65536", "innodb_undo_directory=./"]
    others = [
        "innodb_undo_directory=/var/lib/mysql", "innodb_log_group_home_dir=..", "tmpdir=/var/lib/mysql", "[mariadb]",
        "datadir=/var/lib/mysql", "plugin_dir=/usr/lib/evil", "!include /etc/evil", "innodb_undo_directory=./../mysql",
    ]  # fmt: skip
    assert kept(tmp_path, *needed, *others) == ["[mysqld]", *needed]


@pytest.mark.parametrize(
    ("named", "taken"),
    [
        ('"/usr/lib64/mysql/plugin/"', "/usr/lib64/mysql/plugin/"),
        ("./", "/usr/lib/mysql/plugin"),
        ("/usr/../tmp/evil", "/usr/lib/mysql/plugin"),
        ("/tmp/evil", "/usr/lib/mysql/plugin"),
    ],
)
def test_a_known_plugin_is_loaded_from_where_programs_are_installed(named: str, taken: str, tmp_path: Path) -> None:
    load = "plugin_load=provider_lz4=provider_lz4;provider_snappy=provider_snappy.so"
    assert kept(tmp_path, f"plugin_dir={named}", load) == ["[mysqld]", load, f"plugin_dir={taken}"]


def test_a_directory_below_the_restored_one_is_not_where_programs_are_installed(tmp_path: Path) -> None:
    load = "plugin_load=provider_lz4=provider_lz4"
    left = kept(tmp_path, "plugin_dir=/opt/restored/x", load, restored="/opt/restored")
    assert left[-1] == "plugin_dir=/usr/lib/mysql/plugin"


def test_keys_that_are_there_are_taken(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text("1;aa\n")
    lines = ["plugin_load=file_key_management=file_key_management", f"file_key_management_filename={keys}"]
    assert kept(tmp_path, *lines)[1:-1] == lines


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("plugin_load=evil=evil.so",), "the data needs the server's plugin evil, and an archive does not say"),
        (("plugin_load=provider_lz4=evil.so",), "the server's plugin provider_lz4 from evil.so, and an archive"),
        (("plugin_load=provider_lz4=provider_lz4;evil=evil",), "the server's plugin evil, and an archive"),
        (
            ("plugin_load=file_key_management=file_key_management", "file_key_management_filename=/gone/keys"),
            "the data is encrypted with the keys in /gone/keys, which cannot be read there",
        ),
        (("innodb_data_file_path=/disk/ibdata1:12M",), "outside of the data directory: /disk/ibdata1:12M"),
    ],
)
def test_what_is_not_for_an_archive_to_say_is_refused_by_name(
    lines: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=says):
        kept(tmp_path, *lines)


def test_the_script_and_its_readers_use_the_same_words() -> None:
    names = (*BACKUP, PADDING.decode(), NOT_COMPLETED, damage.LIST, walls.NAME, f"unusable={unpack.UNUSABLE_DIRECTORY}")
    assert [name for name in names if name not in unpack.SCRIPT] == []
