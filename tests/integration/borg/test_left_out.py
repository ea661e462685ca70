"""What an archive of files lacks, on real borgs: every warning in the table, and every state that a path can be in."""

import json
import os
import random
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.borg.client.archive_name import ArchiveName
from tasks.borg.client.create import Created, FilesOptions, create
from tasks.borg.client.list import contents, look_up
from tasks.borg.client.recreate import annotate
from tasks.borg.client.runner import BorgError
from tasks.borg.host.patterns import Rules, styled
from tasks.records.verdict import Verdict, verdict_of_comment
from tasks.storage.repository import Repository

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a file at each of two levels."""
    top = tmp_path / "srv" / "shop"
    (top / "media").mkdir(parents=True)
    (top / "index").write_text("index")
    (top / "media" / "photo").write_text("photo")
    return top


def saved(repository: Repository, *paths: Path | str, **more: Any) -> Created:
    return create(repository, FilesOptions("one", tuple(map(str, paths)), **more))


def held(repository: Repository) -> dict[str, str]:
    """Return what the archive holds: type by absolute path."""
    return {"/" + entry.path: entry.type for entry in contents(repository, "one")}


# Root may read everything, and a disk that fails is hard to have: so borg's own call fails, as it does for such files.
# One named errno-N-x cannot be opened for the reason N; one named vanish-x is gone, and one named replace-x is another
# one, by the time it is opened.
FAULTS = """
import os
real = os.open
def faulty(path, flags, mode=0o777, *, dir_fd=None):
    name = os.path.basename(os.fsdecode(path))
    if name.startswith("errno-"):
        raise OSError(int(name.split("-")[1]), os.strerror(int(name.split("-")[1])), name)
    if name.startswith("vanish-"):
        os.unlink(path, dir_fd=dir_fd)
    if name.startswith("replace-"):
        os.rename("other", path, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    return real(path, flags, mode, dir_fd=dir_fd)
os.open = faulty
"""


@pytest.fixture
def faulty(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "faults").mkdir()
    (tmp_path / "faults" / "sitecustomize.py").write_text(FAULTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "faults"))
    return shop


@pytest.mark.parametrize("number", [13, 1, 5, 116, 40])
def test_a_file_that_cannot_be_read_is_left_out(repository: Repository, faulty: Path, number: int) -> None:
    bad, odd = (faulty / "media" / f"errno-{number}-{name}" for name in ("plain", "odd: [Errno 2] No such file: x"))
    bad.write_text("x")
    odd.write_text("x")
    made = saved(repository, faulty)
    assert made.verdict.left_out == 2
    assert f"{bad}: {os.strerror(number)}" in made.verdict.first
    assert made.warnings == made.remarks == ()
    assert {str(bad), str(odd)}.isdisjoint(held(repository))


def test_a_folder_that_cannot_be_read_is_left_out(repository: Repository, faulty: Path) -> None:
    bad = faulty / "errno-13-private"
    bad.mkdir()
    (bad / "key").write_text("key")
    assert saved(repository, faulty).verdict == Verdict(1, (f"{bad}: Permission denied",))


def test_a_path_whose_folder_cannot_be_read_is_left_out(repository: Repository, faulty: Path) -> None:
    bad = faulty / "errno-13-private"
    bad.mkdir()
    (bad / "key").write_text("key")
    assert saved(repository, faulty / "index", bad).verdict == Verdict(1, (f"{bad}: Permission denied",))


def test_a_file_that_vanishes_before_it_is_read_is_harmless(repository: Repository, faulty: Path) -> None:
    (faulty / "vanish-session").write_text("x")
    made = saved(repository, faulty)
    assert (made.verdict, made.warnings) == (Verdict(), ())
    assert "1 changed or vanished while they were read" in made.remarks[0]
    assert "vanish-session" in made.remarks[0]


def test_a_file_that_is_another_one_when_it_is_opened_is_left_out(repository: Repository, faulty: Path) -> None:
    (faulty / "replace-me").write_text("old")
    (faulty / "other").write_text("new")
    made = saved(repository, faulty)
    assert made.verdict.left_out == 1
    assert made.verdict.first[0].startswith(f"{faulty}/replace-me: file ")


def test_a_file_that_changes_while_it_is_read_is_harmless(repository: Repository, shop: Path) -> None:
    log = shop / "log"
    with log.open("wb") as file:
        for _ in range(40):
            file.write(os.urandom(1 << 20))
    done = threading.Event()

    def write() -> None:
        with log.open("ab") as file:
            while not done.wait(0.002):
                file.write(b"line\n")
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = saved(repository, shop)
    finally:
        done.set()
        writer.join()
    assert (made.verdict, made.warnings) == (Verdict(), ())
    assert f"{log}: file changed while we backed it up" in made.remarks[0]


def test_what_is_left_out_is_counted_whole_and_kept_in_part(repository: Repository, faulty: Path) -> None:
    for number in range(1100):
        (faulty / f"errno-13-{number}").write_text("x")
    made = saved(repository, faulty, "/no/such")
    assert (made.verdict.left_out, len(made.verdict.first)) == (1101, 1000)
    assert made.verdict.first[0] == "/no/such: is not there"


def test_a_missing_path_is_left_out(repository: Repository, shop: Path) -> None:
    made = saved(repository, "/no/such thing", shop)
    assert made.verdict == Verdict(1, ("/no/such thing: is not there",))
    assert made.files == 2


def test_no_archive_is_made_when_none_of_the_paths_can_be_had(repository: Repository, shop: Path) -> None:
    with pytest.raises(BorgError, match="none of the paths to back up exists"):
        saved(repository, "/no/such", shop / "index" / "x")


def test_an_optional_path_may_be_absent_or_empty(repository: Repository, shop: Path) -> None:
    empty = shop.parent / "empty"
    empty.mkdir()
    made = saved(repository, shop, "/no/such", empty, optional=("/no/such", str(empty)))
    assert made.verdict == Verdict()
    assert str(empty) in held(repository)


@pytest.mark.parametrize("excludes", [["*/shop/*"], ["sh:**/shop/**"], ["pp:{shop}"], ["re:shop/"], ["{shop}/"], ["*"]])
def test_a_path_of_which_all_is_excluded_is_left_out(
    repository: Repository, shop: Path, tmp_path: Path, excludes: list[str]
) -> None:
    (tmp_path / "other").write_text("x")
    made = saved(repository, tmp_path / "other", shop, exclude=[each.format(shop=shop) for each in excludes])
    assert [each.split(": ")[0] for each in made.verdict.first if each.startswith(str(shop))] == [str(shop)]


def test_a_path_with_nothing_in_it_is_left_out(repository: Repository, shop: Path) -> None:
    disk, tagged, plug = (shop.parent / name for name in ("disk", "tagged", "plug"))
    (disk / "mount" / "point").mkdir(parents=True)
    tagged.mkdir()
    (tagged / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
    (tagged / "data").write_text("x")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(plug))
        made = saved(repository, shop / "index", disk, tagged, plug)
    assert [each.partition(": ")[0] for each in made.verdict.first] == [str(disk), str(tagged), str(plug)]
    assert "socket" in made.verdict.first[2]


def test_a_device_or_a_fifo_as_a_path_holds_no_data(repository: Repository, shop: Path) -> None:
    """Borg saves their names; also through a link, as LVM's names are."""
    disk, terminal, pipe, volume = (shop.parent / name for name in ("disk", "terminal", "pipe", "volume"))
    os.mknod(disk, 0o600 | stat.S_IFBLK, os.makedev(7, 99))
    os.mknod(terminal, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.mkfifo(pipe)
    volume.symlink_to(disk)
    made = saved(repository, shop / "index", terminal, pipe, volume)
    assert made.verdict.first == (
        f"{terminal}: is a character device: borg saves no data of it",
        f"{pipe}: is a FIFO: borg saves no data of it",
        f"{volume}: is a block device: borg saves no data of it",
    )


def test_an_empty_file_is_a_path_like_others(repository: Repository, shop: Path) -> None:
    (shop / "empty").touch()
    assert saved(repository, shop / "empty").verdict == Verdict()


def test_a_link_and_what_it_leads_to_are_saved(repository: Repository, shop: Path) -> None:
    release = shop / "releases" / "7"
    (release / "cache").mkdir(parents=True)
    (release / "code").write_text("code")
    (release / "cache" / "junk").write_text("junk")
    (shop / "current").symlink_to("releases/7")
    (shop / "live").symlink_to(shop / "current")
    alias = shop.parent / "alias"
    alias.symlink_to("shop")
    path = alias / "live"
    made = saved(repository, path, exclude=[f"{path}/cache"])
    assert made.verdict == Verdict()
    assert made.remarks == (f"{path} is a link: {release}, where it leads, is saved as well",)
    types = held(repository)
    assert {each: types[str(each)] for each in (alias, shop / "live", shop / "current")} == {
        alias: "l", shop / "live": "l", shop / "current": "l"}  # fmt: skip
    assert types[str(release / "code")] == "-"
    assert str(release / "cache" / "junk") not in types


def test_a_link_that_leads_nowhere_is_left_out(repository: Repository, shop: Path) -> None:
    dead, first, second = (shop / name for name in ("dead", "first", "second"))
    dead.symlink_to("/no/such")
    first.symlink_to("second")
    second.symlink_to("first")
    made = saved(repository, shop / "index", dead, first)
    assert made.verdict.left_out == 2
    assert made.verdict.first[0] == f"{dead}: is a link to /no/such, which is not there"
    assert "Too many levels" in made.verdict.first[1]
    assert held(repository)[str(dead)] == "l"


def test_what_lies_in_another_path_is_saved_once(repository: Repository, shop: Path) -> None:
    (shop / "current").symlink_to("media")
    saved(repository, shop, shop / "media", shop / "current")
    names = [entry.path for entry in contents(repository, "one")]
    assert len(names) == len(set(names)) == 5


@pytest.fixture
def mounts(shop: Path) -> Iterator[Path]:
    """`uploads` is a file system of its own in the path, with a second one in it, beside a bind mount of the same."""
    inside = [shop / "uploads", shop / "uploads" / "deep", shop / "same"]
    for place in inside:
        place.mkdir()
        kind = ("--bind", str(shop / "media")) if place.name == "same" else ("-t", "tmpfs", "none")
        subprocess.run(("mount", *kind, str(place)), check=True)
        if place.name != "same":
            (place / "scan").write_text("scan")
    yield shop
    for place in reversed(inside):
        subprocess.run(("umount", "-l", str(place)), check=True)


@dataclass(frozen=True)
class Case:
    """What the inventory says, what becomes of the file systems inside, and how many files are saved."""

    options: Mapping[str, Any]
    left_out: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    files: int = 3


@pytest.mark.parametrize(
    "case",
    [
        Case({}, left_out=("{}/uploads: is a file system of its own (tmpfs)",)),
        Case({"mounts": "leave"}, left=("{}/uploads (tmpfs)",)),
        Case({"exclude": ["*/uploads"]}),
        Case({"exclude": ["pf:{}/uploads"]}),
        Case({"mounts": "cross"}, files=5),
        Case({"mounts": "cross", "exclude": ["sh:**/deep/"]}, files=4),
    ],
    ids=str,
)
def test_a_file_system_inside_a_path_is_left_out_by_name(repository: Repository, mounts: Path, case: Case) -> None:
    exclude = [each.format(mounts) for each in case.options.get("exclude", ())]
    made = saved(repository, mounts, **{**case.options, "exclude": exclude})
    assert made.verdict.first == tuple(each.format(mounts) for each in case.left_out)
    assert made.left == tuple(each.format(mounts) for each in case.left)
    assert made.files == case.files
    assert {f"{mounts}/same/photo", f"{mounts}/media/photo"} <= set(held(repository))


def test_a_file_system_that_is_a_path_of_its_own_is_saved(repository: Repository, mounts: Path) -> None:
    made = saved(repository, mounts, mounts / "uploads")
    assert made.verdict.first == (f"{mounts}/uploads/deep: is a file system of its own (tmpfs)",)
    assert held(repository)[f"{mounts}/uploads/scan"] == "-"


def test_what_must_be_mounted_is_looked_at(repository: Repository, mounts: Path) -> None:
    made = saved(repository, mounts / "media", mounted=[str(mounts / "uploads"), str(mounts / "media"), "/no/such"])
    assert made.verdict == Verdict(2, (f"{mounts}/media: is not mounted", "/no/such: is not mounted"))


def test_patterns_match_as_borgs_own_do(borg: Path) -> None:
    """Against the patterns module of each borg, on the paths and patterns that people write and on random ones."""
    rng = random.Random(7)  # noqa: S311
    parts = ["srv", "shop", "a", "*", "**", "?", "[ab]", "[!a]", "[", "]", "x.log", "*.log", "", ".", "ä", "\\", "^a$"]
    patterns = [
        rng.choice(["", "fm:", "sh:", "pp:", "pf:"])
        + rng.choice(["", "/"])
        + "/".join(rng.choices(parts, k=rng.randint(1, 4)))
        for _ in range(600)
    ]
    patterns += ["re:^srv/[^/]+$", "re:[.]log", "*/cache/*", "sh:**/cache/", "/srv/shop/", "+x"]
    names = ["srv", "shop", "a", "b", "x.log", "cache", "ä", "[", "\\", "^a$"]
    paths = ["/" + "/".join(rng.choices(names, k=rng.randint(1, 4))) for _ in range(60)]
    ask = (
        "import json,sys; from borg.patterns import PatternMatcher, parse_exclude_pattern as p\n"
        "patterns, paths = json.load(sys.stdin)\n"
        "def f(e):\n m = PatternMatcher(fallback=True); m.add_inclexcl([p(e)]); return [not m.match(x) for x in paths]\n"
        "print(json.dumps([f(e) for e in patterns]))"
    )
    python = borg.resolve().read_text().splitlines()[0].removeprefix("#!").split()[0]
    answer = subprocess.run(
        [python, "-c", ask], input=json.dumps([patterns, paths]), capture_output=True, text=True, check=True
    )
    wrong = [
        (pattern, path)
        for pattern, row in zip(patterns, json.loads(answer.stdout), strict=True)
        for path, expected in zip(paths, row, strict=True)
        if Rules([f"! {styled(pattern, 'fm')}"]).match(path) != expected
    ]
    assert wrong == []


def test_the_verdict_is_added_to_the_comment(repository: Repository, shop: Path) -> None:
    name = str(ArchiveName("shop", "files", NOW))
    made = create(repository, FilesOptions(name, (str(shop),), comment="MariaDB {10}"))
    before = list(contents(repository, name))
    verdict = Verdict(2, ("/a {b}: is not there", "/c\nd: is not there"))
    after = annotate(repository, name, verdict)
    assert after != made.id
    assert annotate(repository, name, verdict) == after  # nothing to change, nothing changed
    found = look_up(repository, ("shop",), "files", name)
    assert found is not None
    assert (found.id, found.start) == (after, made.start)
    assert found.comment is not None
    assert found.comment.startswith("MariaDB {10} cloudbackup: incomplete: 2 left out: /a {b}: is not there")
    assert verdict_of_comment(found.comment).left_out == 2
    assert list(contents(repository, name)) == before
    annotate(repository, name, Verdict())
    found = look_up(repository, ("shop",), "files", name)
    assert found is not None
    assert found.comment == "MariaDB {10}"


def test_what_each_path_is_or_leads_to_is_told(repository: Repository, shop: Path) -> None:
    link = shop.parent / "current"
    link.symlink_to(shop)
    pipe = shop.parent / "pipe"
    os.mkfifo(pipe)
    gone = shop.parent / "gone"

    made = saved(repository, link, shop / "index", pipe, gone, optional=(str(pipe), str(gone)))

    assert dict(made.types) == {str(link): "folder", str(shop / "index"): "file", str(pipe): "FIFO"}
    assert made.verdict == Verdict()
