"""`restore --path`: one file, one folder or a pattern comes back on the host, and all else stays as it is."""

from pathlib import Path

import pytest

from tests.integration.fleet.support import Operator
from tests.integration.local import local_inventory, records

EVIL = "evil\x1b[2J\nshop  files  ok"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def shop(tmp_path: Path, data: Path) -> Operator:
    """Return the operator of an app whose files were saved, and then changed."""
    operator = Operator(local_inventory(tmp_path, tmp_path / "fault"))
    (operator.inventory / "apps/new.yml").unlink()
    for name in ("a.conf", "b.conf", "c.txt", "odd [1] *.conf", EVIL):
        (data / "etc" / name).parent.mkdir(exist_ok=True)
        (data / "etc" / name).write_text(f"saved {name}")
    (data / "releases" / "41").mkdir(parents=True)
    (data / "releases" / "41" / "app.yml").write_text("saved 41")
    (data / "current").symlink_to("releases/41")
    operator.done("borg.init")
    operator.done("backup")
    for file in data.rglob("*"):
        if file.is_file():
            file.write_text("broken")
    return operator


def kept(file: Path) -> str:
    """Return what is in the file that a restore moved aside."""
    (aside,) = (each for each in file.parent.iterdir() if each.name.startswith(f"{file.name}.before-restore-"))
    return aside.read_text()


def test_one_file_comes_back_and_nothing_else_changes(shop: Operator, data: Path, tmp_path: Path) -> None:
    file = data / "etc" / "a.conf"
    asked = shop.inv("restore", "--app", "shop", "--path", str(file))
    assert (asked.returncode, file.read_text()) == (2, "broken")
    assert f"Put {file} of shop-files-" in asked.stderr
    told = shop.done("restore", "--app", "shop", "--path", str(file), "--dry-run")
    assert (f"would restore {file} of shop-files-" in told, "1 file or folder, 12 B" in told) == (True, True)
    assert file.read_text() == "broken"
    assert not records(tmp_path, "restore")

    told = shop.done("restore", "--app", "shop", "--path", f"{data}//etc/./a.conf", "--yes")
    assert (file.read_text(), kept(file), (data / "etc" / "b.conf").read_text()) == ("saved a.conf", "broken", "broken")
    assert (f"{file} is back; what was there is in {file}.before" in told, "1 file or folder, 12 B" in told) == (
        True,
        True,
    )
    assert records(tmp_path, "restore")[-1]["details"]["paths"] == [str(file)]


def test_patterns_and_folders_come_back_as_a_shell_means_them(shop: Operator, data: Path, tmp_path: Path) -> None:
    odd, target = data / "etc" / "odd [1] *.conf", tmp_path / "out"
    words = ("restore", "--app", "shop", "--path")
    shop.done(*words, str(odd), "--target", str(target))  # a file of that very name comes before the pattern
    assert [each.name for each in target.rglob("*.conf")] == [odd.name]
    shop.done(*words, f"{data}/etc/[ab].conf", "--path", f"{data}/etc/a.conf", "--yes")
    assert [(data / "etc" / name).read_text() for name in ("a.conf", "b.conf", "c.txt")] == [
        "saved a.conf",
        "saved b.conf",
        "broken",
    ]
    asked = shop.inv(*words, f"{data}/etc/evil*")
    assert (asked.returncode, "\nshop  files  ok" in asked.stderr, "\x1b" in asked.stderr) == (2, False, False), asked
    shop.done(*words, f"{data}/**/c.*", "--yes")
    assert (data / "etc" / "c.txt").read_text() == "saved c.txt"
    told = shop.done(*words, str(tmp_path), "--target", str(tmp_path / "all"))  # above what was saved
    assert f"of {tmp_path} the archive holds {data}" in told
    assert (tmp_path / "all" / str(odd)[1:]).read_text() == f"saved {odd.name}"

    (data / "etc" / "new").write_text("made since")
    shop.done(*words, f"{data}/etc/", "--yes")
    assert sorted(each.name for each in (data / "etc").iterdir()) == ["a.conf", "b.conf", "c.txt", EVIL, odd.name]


def test_a_release_is_not_turned_back_with_a_file_of_it(shop: Operator, data: Path) -> None:
    (data / "current").unlink()
    (data / "releases" / "42").mkdir()
    (data / "current").symlink_to("releases/42")
    asked = data / "current" / "app.yml"
    told = shop.done("restore", "--app", "shop", "--path", str(asked), "--yes")
    assert f"{asked} is {data}/releases/41/app.yml there: a folder on the way was a link" in told
    assert ((data / "releases" / "41" / "app.yml").read_text(), (data / "current").readlink()) == (
        "saved 41",
        Path("releases/42"),
    )
    shop.done("restore", "--app", "shop", "--path", str(data / "current"), "--yes")  # the link itself
    assert (data / "current").readlink() == Path("releases/41")


NOT_THERE = [
    ("etc/a.cnf", "etc/a.conf"),  # a slip
    ("a.conf", "etc/a.conf"),  # elsewhere
    ("etc/*.cfg", "holds nothing of"),
    ("etc/[z-a]", "a range that goes backwards"),
    ("../data/etc/a.conf", "is not a path on the host"),
]


def test_what_the_archive_does_not_hold_changes_nothing(shop: Operator, data: Path) -> None:
    for path, says in NOT_THERE:
        end = shop.inv("restore", "--app", "shop", "--path", f"{data}/{path}", "--path", f"{data}/etc/a.conf", "--yes")
        assert (end.returncode, says in end.stderr, "Traceback" in end.stderr) == (2, True, False), end.stderr
    assert (data / "etc" / "a.conf").read_text() == "broken"

    (data / "etc").rename(data / "gone")
    told = shop.done("restore", "--app", "shop", "--path", f"{data}/etc/a.conf", "--yes")
    assert f"{data}/etc was not there, and is new" in told
    assert (data / "etc" / "a.conf").read_text() == "saved a.conf"
