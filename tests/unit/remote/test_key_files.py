"""Which files an option file out of an archive may have read as its encryption keys, with whose rights ever."""

from pathlib import Path

import pytest

from tasks.remote.key_files import DangerError, key_files

KEYS = b"# of 2026\n1;" + b"a7" * 16 + b"\n2;" + b"0B" * 32 + b"\n"


def named(folder: Path, *lines: str) -> dict[str, bytes]:
    own = folder / "backup-my.cnf"
    own.write_text("\n".join(["[mysqld]", *lines, ""]))
    return key_files(own)


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


def test_keys_and_their_passphrase_are_read(tmp_path: Path, place: Path) -> None:
    (place / "keys").write_bytes(KEYS)
    (place / "phrase").write_bytes(b"correct horse\n")
    (place / "sealed").write_bytes(b"Salted__" + bytes(range(64)))
    plain, sealed, phrase = (str(place / name) for name in ("keys", "sealed", "phrase"))
    assert named(tmp_path, f"file_key_management_filename={plain}") == {plain: KEYS}
    lines = (f"file_key_management_filename={sealed}", f"file_key_management_filekey=FILE:{phrase}")
    assert set(named(tmp_path, *lines)) == {sealed, phrase}


def test_a_passphrase_that_stands_in_the_option_itself_and_a_file_that_is_not_there_are_no_files(
    tmp_path: Path,
) -> None:
    lines = ("file_key_management_filekey=a secret", "file_key_management_filename=/srv/nowhere/keys", "datadir=/srv/x")
    assert named(tmp_path, *lines) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        b"root:$y$j9T$x:20000:0:99999:7:::\n",
        b"1;xyz\n",
        b"1;" + b"a7" * 16 + b"\nand a secret\n",
        b"\0" * 100,
    ],
)
def test_a_file_that_holds_no_keys_is_not_read(tmp_path: Path, place: Path, content: bytes) -> None:
    (place / "file").write_bytes(content)
    with pytest.raises(DangerError, match="it holds none"):
        named(tmp_path, f"file_key_management_filename={place / 'file'}")


@pytest.mark.parametrize("content", [b"two\nlines\n", b"x" * 300])
def test_a_passphrase_is_one_short_line(tmp_path: Path, place: Path, content: bytes) -> None:
    (place / "file").write_bytes(content)
    with pytest.raises(DangerError, match="it holds none"):
        named(tmp_path, f"file_key_management_filekey=FILE:{place / 'file'}")


@pytest.mark.parametrize(
    "path",
    ["/root/.ssh/token", "/home/me/token", "/proc/self/environ", "/srv/../root/token", "/dev/sda", "/keys", "/run/x/y"],
)
def test_nothing_is_read_from_a_home_or_a_device(tmp_path: Path, path: str) -> None:
    for option in ("file_key_management_filename=", "file_key_management_filekey=FILE:"):
        with pytest.raises(DangerError, match="wants the file"):
            named(tmp_path, option + path)


def test_a_link_into_a_home_is_not_followed(tmp_path: Path, place: Path) -> None:
    (place / "keys").symlink_to("/root/.ssh/id_ed25519")
    with pytest.raises(DangerError, match="wants the file"):
        named(tmp_path, f"file_key_management_filename={place / 'keys'}")


def test_an_option_file_that_is_a_link_or_endless_names_nothing(tmp_path: Path) -> None:
    (tmp_path / "backup-my.cnf").symlink_to("/etc/passwd")
    assert key_files(tmp_path / "backup-my.cnf") == {}
    (tmp_path / "large").write_text("x\n" * 100_000)
    assert key_files(tmp_path / "large") == {}
