"""Paths inside the jail, and those that try to leave it."""

from pathlib import Path

import pytest

from lab.jail import Jail


@pytest.fixture
def jail(tmp_path: Path) -> Jail:
    home = tmp_path / "home"
    (home / "inside").mkdir(parents=True)
    (home / "inside/file").touch()
    (tmp_path / "secret").write_text("secret")
    (home / "out").symlink_to(tmp_path)
    (home / "in").symlink_to("inside")
    return Jail(home)


@pytest.mark.parametrize(
    ("visible", "place"),
    [
        (".", "."),
        ("", "."),
        ("/home", "."),
        ("inside/file", "inside/file"),
        ("/home/inside//../inside/./file", "inside/file"),
        ("in/file", "in/file"),
        ("not-there", "not-there"),
    ],
)
def test_names_a_place(jail: Jail, visible: str, place: str) -> None:
    assert jail.locate(visible) == jail.home / place


@pytest.mark.parametrize(
    "visible", ["..", "/", "/etc/passwd", "inside/../../secret", "/home/../secret", "/homework", "out/secret", "out"]
)
def test_refuses_what_lies_outside(jail: Jail, visible: str) -> None:
    with pytest.raises(PermissionError):
        jail.locate(visible)


def test_a_link_itself_has_a_name_even_when_it_leads_outside(jail: Jail) -> None:
    assert jail.locate("out", follow=False) == jail.home / "out"


@pytest.mark.parametrize("name", ["etc", "lib", "/home/etc", "out/new"])
def test_refuses_new_names_of_the_skeleton_and_outside(jail: Jail, name: str) -> None:
    with pytest.raises(PermissionError):
        jail.locate_new(name)


def test_shows_places_as_the_account_knows_them(jail: Jail) -> None:
    assert jail.show(jail.home / "in" / "file") == "/home/inside/file"
    assert jail.show(jail.home) == "/home"
    with pytest.raises(PermissionError):
        jail.show(jail.home.parent)


class TestSnapshots:
    @pytest.fixture
    def jail(self, jail: Jail, tmp_path: Path) -> Jail:
        """A jail that shows one snapshot."""
        (tmp_path / "kept/snapshot/one").mkdir(parents=True)
        (tmp_path / "kept/snapshot/one/file").touch()
        (jail.home / ".zfs").symlink_to(tmp_path / "kept")
        return Jail(jail.home, tmp_path / "kept")

    def test_can_be_read_by_their_name(self, jail: Jail, tmp_path: Path) -> None:
        assert jail.locate("/home/.zfs/snapshot/one/file").samefile(tmp_path / "kept/snapshot/one/file")
        assert jail.show(jail.locate(".zfs/snapshot/one/file")) == "/home/.zfs/snapshot/one/file"
        assert jail.show(jail.locate(".zfs")) == "/home/.zfs"

    @pytest.mark.parametrize("visible", [".zfs", ".zfs/new", ".zfs/snapshot/one/file", ".zfs/snapshot/one/new"])
    @pytest.mark.parametrize("follow", [True, False])
    def test_cannot_be_changed(self, jail: Jail, visible: str, follow: bool) -> None:
        with pytest.raises(OSError, match="Read-only file system"):
            jail.locate_changed(visible, follow)
        with pytest.raises(OSError, match="Read-only file system"):
            jail.locate_new(visible)

    def test_of_another_home_are_outside(self, jail: Jail) -> None:
        with pytest.raises(PermissionError):
            Jail(jail.home).locate(".zfs/snapshot/one/file")
