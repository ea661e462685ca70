"""Paths inside the jail, and those that try to leave it."""

from pathlib import Path

import pytest

from tasks.lab.jail import Jail


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
