"""Archives that a thief makes with a host's own key: none writes outside its target or leaves what runs as root."""

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.borg.client.create import FilesOptions, create
from tasks.borg.client.runner import environment
from tasks.borg.restore import FOREIGN, OWN, restore_in_place, restore_to
from tasks.errors import AppError, RefusedError
from tasks.remote.secret import Secret
from tasks.storage.repository import Repository
from tests.integration.borg.conftest import BORGS

NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
Member = tuple[str, bytes, str, int]  # name, type, link or content, mode


def imported(repository: Repository, members: list[Member], name: str = "forged") -> None:
    """Make an archive of a tar with these members, in this order, by the borg that takes most of them: 1.2."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, kind, content, mode in members:
            info = tarfile.TarInfo(path)
            info.type, info.mode, info.devmajor, info.devminor = kind, mode, 7, 0
            data = content.encode() if kind == tarfile.REGTYPE else b""
            info.size = len(data)
            info.linkname = "" if kind == tarfile.REGTYPE else content
            tar.addfile(info, io.BytesIO(data))
    values = environment(repository).items()
    clear = {key: value.reveal() if isinstance(value, Secret) else value for key, value in values}
    base = f"{clear['BORG_BASE_DIR']}-thief"
    words, whole = (BORGS[0], "import-tar", f"::{name}", "-"), {**os.environ, **clear, "BORG_BASE_DIR": base}
    subprocess.run(words, input=stream.getvalue(), env=whole, check=True, capture_output=True)


def link(path: str, target: str) -> Member:
    return path, tarfile.SYMTYPE, target, 0o777


def file(path: str, content: str = "pwned", mode: int = 0o644) -> Member:
    return path, tarfile.REGTYPE, content, mode


def folder(path: str) -> Member:
    return path, tarfile.DIRTYPE, "", 0o755


def hard(path: str, target: str) -> Member:
    return path, tarfile.LNKTYPE, target, 0o644


SHAPES: dict[str, Callable[[str], list[Member]]] = {
    "below a link": lambda out: [link("srv/link", out), file("srv/link/pwned")],
    "below a link to a link": lambda out: [link("srv/a", out), link("srv/b", "a"), file("srv/b/pwned")],
    "deep below a link": lambda out: [link("srv/link", f"{out}/.."), file("srv/link/outside/pwned")],
    "a link for a parent of another": lambda out: [link("srv", out), file("srv/x/pwned")],
    "a link, then a folder of its name": lambda out: [
        link("srv/link", out),
        folder("srv/link"),
        file("srv/link/pwned"),
    ],
    "a folder, then a link of its name": lambda out: [folder("srv/d"), link("srv/d", out), file("srv/d/pwned")],
    "up and out": lambda out: [file("srv/../../../../../../../../.." + out + "/pwned")],
    "a hard link up and out": lambda out: [hard("srv/copy", "../../../../../../../../../.." + out + "/secret")],
    "a hard link to a link": lambda out: [link("srv/l", out), hard("srv/h", "srv/l"), file("srv/h/pwned")],
    "a hard link through a link": lambda out: [link("srv/l", out), hard("srv/h", "srv/l/secret")],
    "a dot between": lambda out: [link("srv/l", out), file("srv/./l/pwned")],
    "two slashes": lambda out: [link("srv/l", out), file("srv//l/pwned")],
    "a dot before": lambda out: [link("./srv/l", out), file("srv/l/pwned")],
    "by way of /proc": lambda out: [link("srv/l", f"/proc/self/root{out}"), file("srv/l/pwned")],
    "three links": lambda out: [link("srv/a", "b"), link("srv/b", "c"), link("srv/c", out), file("srv/a/pwned")],
    "a file, a link, a file": lambda out: [file("srv/l/x"), link("srv/l", out), file("srv/l/pwned")],
    "a FIFO below a link": lambda out: [link("srv/l", out), ("srv/l/pwned", tarfile.FIFOTYPE, "", 0o666)],
    "a hard link below a link": lambda out: [file("srv/x"), link("srv/l", out), hard("srv/l/pwned", "srv/x")],
    "behind a thousand others": lambda out: [
        link("srv/l", out),
        *(file(f"srv/f/{number}") for number in range(1000)),
        file("srv/l/pwned"),
    ],
    "a link removes a file": lambda out: [link("srv/l", out), folder("srv/l/secret")],
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    place = tmp_path / "outside"
    place.mkdir()
    (place / "secret").write_text("precious")
    return place


def unharmed(outside: Path) -> bool:
    return [each.name for each in outside.iterdir()] == ["secret"] and (outside / "secret").read_text() == "precious"


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_written_outside(repository: Repository, outside: Path, tmp_path: Path, shape: str) -> None:
    imported(repository, SHAPES[shape](str(outside)))
    (tmp_path / "live").mkdir()
    for trust in (FOREIGN, OWN):
        with pytest.raises((RefusedError, AppError), match="was not restored"):
            restore_to(repository, "forged", str(tmp_path / "target"), trust=trust)
        assert unharmed(outside)
        assert not (tmp_path / "target").exists()
    assert (outside / "secret").stat().st_nlink == 1


def test_the_wall_holds_what_the_look_lets_pass(
    repository: Repository, borg: Path, outside: Path, tmp_path: Path
) -> None:
    """The archive is another one when it is extracted: borg 1.2 would write through the link."""
    imported(repository, SHAPES["below a link"](str(outside)), "forged")
    imported(repository, [file("srv/link/pwned")], "harmless")
    (tmp_path / "bin/borg").unlink()
    wrapper = f'#!/bin/bash\nwords=("$@")\ncase " $* " in *" list "*) words=("${{words[@]/::forged/::harmless}}");; esac\nexec {borg} "${{words[@]}}"\n'
    (tmp_path / "bin/borg").write_text(wrapper)
    (tmp_path / "bin/borg").chmod(0o755)
    with pytest.raises(AppError, match="was not restored"):
        restore_to(repository, "forged", str(tmp_path / "target"), trust=OWN)
    assert unharmed(outside)


def test_a_device_comes_only_where_it_is_trusted(repository: Repository, tmp_path: Path) -> None:
    imported(repository, [folder("srv"), ("srv/disk", tarfile.BLKTYPE, "", 0o666)])
    with pytest.raises(RefusedError, match=r"1 device: srv/disk") as caught:
        restore_to(repository, "forged", str(tmp_path / "target"))
    assert "--trust-archive" in caught.value.remedy
    assert not (tmp_path / "target").exists()
    restore_to(repository, "forged", str(tmp_path / "target"), trust=OWN)
    assert stat.S_ISBLK((tmp_path / "target/srv/disk").stat().st_mode)


def test_a_setuid_file_comes_as_an_ordinary_one_and_it_is_said(repository: Repository, tmp_path: Path) -> None:
    imported(repository, [file("srv/sh", mode=0o6755), ("srv/fifo", tarfile.FIFOTYPE, "", 0o644)])
    done = restore_to(repository, "forged", str(tmp_path / "target"))
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "target/srv/sh").stat().st_mode & 0o7777 == 0o755
    assert done.doubts == ("without setuid, setgid bits and capabilities: 1 file: /srv/sh",)
    trusted = restore_to(repository, "forged", str(tmp_path / "trusted"), trust=OWN)
    assert (tmp_path / "trusted/srv/sh").stat().st_mode & 0o7777 == 0o6755
    assert trusted.doubts == ()


def test_a_capability_is_taken_away_as_well(repository: Repository, tmp_path: Path) -> None:
    program = tmp_path / "srv" / "program"
    program.parent.mkdir()
    program.write_text("runs")
    capability = bytes.fromhex("0000000201000000000000000000000000000000")  # version 2, cap_chown
    os.setxattr(program, "security.capability", capability)
    create(repository, FilesOptions("one", (str(program.parent),)))
    done = restore_to(repository, "one", str(tmp_path / "target"))
    restored = tmp_path / "target" / str(program)[1:]
    assert "security.capability" not in os.listxattr(restored)
    assert len(done.doubts) == 1
    restore_to(repository, "one", str(tmp_path / "trusted"), trust=OWN)
    assert os.getxattr(tmp_path / "trusted" / str(program)[1:], "security.capability")


def test_names_cannot_draw_on_a_terminal(repository: Repository, outside: Path, tmp_path: Path) -> None:
    imported(repository, [link("srv/\x1b[2J", str(outside)), file("srv/\x1b[2J/\u202epwned\n")])
    with pytest.raises(RefusedError) as caught:
        restore_to(repository, "forged", str(tmp_path / "target"))
    assert str(caught.value).replace("\n", "").isprintable()
    assert r"\x1b[2J" in str(caught.value)


def test_odd_names_that_a_file_system_takes_come_back(repository: Repository, tmp_path: Path) -> None:
    top = tmp_path / "srv"
    top.mkdir()
    names = [b"caf\xe9", b"\x1b[31m", b"line\nbreak", b"n" * 255, b"\xff\xfe", b"..dots", b"...", b" "]
    for name in names:
        Path(os.fsdecode(bytes(top) + b"/" + name)).write_bytes(name)
    create(repository, FilesOptions("one", (str(top),)))
    restore_to(repository, "one", str(tmp_path / "target"))
    back = tmp_path / "target" / str(top)[1:]
    assert {os.fsencode(each.name): each.read_bytes() for each in back.iterdir()} == {name: name for name in names}
    restore_in_place(repository, "one", (str(top),), NOW)
    assert {os.fsencode(each.name) for each in top.iterdir()} == set(names)


PARTS = st.lists(st.sampled_from(["a", "b", "..", ".", "c"]), min_size=1, max_size=3).map("/".join)


@given(
    members=st.lists(
        st.one_of(
            st.tuples(PARTS, st.just("file")),
            st.tuples(PARTS, st.just("folder")),
            st.tuples(PARTS, st.sampled_from(["OUT", "a", "../b", "."])),
            st.tuples(PARTS, PARTS.map(lambda path: f"hard {path}")),
        ),
        min_size=2,
        max_size=5,
    )
)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_in_an_archive_all_of_it_comes_or_none(
    repository: Repository, outside: Path, tmp_path: Path, members: list[tuple[str, str]]
) -> None:
    def member(path: str, what: str) -> Member:
        if what in ("file", "folder"):
            return file(path) if what == "file" else folder(path)
        return hard(path, what[5:]) if what.startswith("hard ") else link(path, what.replace("OUT", str(outside)))

    test_whatever_is_in_an_archive_all_of_it_comes_or_none.number += 1  # type: ignore[attr-defined]
    number = test_whatever_is_in_an_archive_all_of_it_comes_or_none.number  # type: ignore[attr-defined]
    try:
        imported(repository, [member(*each) for each in members], f"made-{number}")
    except subprocess.CalledProcessError:
        return  # borg itself takes no such tar
    target = tmp_path / f"target-{number}"
    try:
        restore_to(repository, f"made-{number}", str(target))
    except (RefusedError, AppError):
        assert not target.exists() or [each.name for each in target.iterdir()] == ["incomplete"]
    assert unharmed(outside)


test_whatever_is_in_an_archive_all_of_it_comes_or_none.number = 0  # type: ignore[attr-defined]
