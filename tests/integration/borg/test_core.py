"""init, create, list and extract on real borgs."""

import os
import re
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.borg.client.archive_name import ArchiveName
from tasks.borg.client.create import FilesOptions, StreamOptions, create
from tasks.borg.client.extract import ExtractOptions, content, extract, size
from tasks.borg.client.init import init
from tasks.borg.client.list import archives, contents, find, look_up
from tasks.borg.client.runner import BorgError, ContentError, How
from tasks.errors import RefusedError, UsageError
from tasks.remote.host import LocalHost
from tasks.remote.script import Script, Stream
from tasks.remote.secret import Secret
from tasks.storage.repository import Repository
from tasks.storage.state import config_sha256
from tests.integration.borg.conftest import MakeRepository

ODD_NAMES = ("plain", "with space", 'it\'s "quoted" $(touch owned)', "line\nbreak", "-dash", "ümlaut", "{now}", "*")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with names that are hard on shells."""
    top = tmp_path / "srv" / "it's shop"
    top.mkdir(parents=True)
    for name in ODD_NAMES:
        (top / name).write_text(name * 100)
    (top / "link").symlink_to("plain")
    (top / "cache").mkdir()
    (top / "cache" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
    (top / "cache" / "junk").write_text("junk")
    (top / "logs").mkdir()
    (top / "logs" / "big.log").write_text("log")
    return top


def test_init_encrypts_and_brings_the_key_into_escrow(make_repository: MakeRepository, tmp_path: Path) -> None:
    repository = make_repository()
    made = init(repository, tmp_path / "keys")
    assert made.created
    assert made.encryption == "repokey-blake2"
    assert made.escrow.key == tmp_path / "keys" / "disk-shop.key"
    assert made.escrow.key.read_text().startswith(f"BORG_KEY {made.repository_id}")
    assert "BORG PAPER KEY" in made.escrow.paper.read_text()
    assert {path.stat().st_mode & 0o777 for path in (made.escrow.key, made.escrow.paper)} == {0o600}
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    again = init(repository, tmp_path / "keys")
    assert not again.created
    assert again.repository_id == made.repository_id


def test_the_printed_key_is_typed_back(repository: Repository, tmp_path: Path) -> None:
    """borg asks for the id and then for each line, numbers aside (tried, 1.2.4 and 1.4.5)."""
    init(repository, tmp_path / "escrow")
    config = Path(repository.url, "config")
    known = config_sha256(config.read_bytes())
    config.write_text(re.sub(r"key = .*(\n\t.*)*", "key = rubbish", config.read_text()))
    assert config_sha256(config.read_bytes()) != known
    with pytest.raises(BorgError):
        archives(repository)
    printed = (tmp_path / "escrow/disk-shop.key.txt").read_text()
    typed = [line.partition(":")[2] for line in printed.splitlines() if re.match(r" *(id|\d+):", line)]
    assert len(typed) > 5
    words = ("borg", "key", "import", "--paper", repository.url)
    base = {**os.environ, "BORG_BASE_DIR": str(tmp_path / "base")}
    subprocess.run(words, input="\n".join([*typed, ""]), env=base, check=True, capture_output=True, text=True)
    assert config_sha256(config.read_bytes()) == known  # or the report would speak of a changed key for ever
    assert archives(repository).archives == ()


def test_init_never_replaces_another_key_in_escrow(repository: Repository, tmp_path: Path) -> None:
    key = tmp_path / "escrow" / "disk-shop.key"
    key.write_text("BORG_KEY of better days\n")
    with pytest.raises(RefusedError, match="is not the one"):
        init(repository, tmp_path / "escrow")
    assert key.read_text() == "BORG_KEY of better days\n"


def test_init_opens_what_is_there_with_the_right_passphrase_only(
    repository: Repository, make_repository: MakeRepository, tmp_path: Path
) -> None:
    with pytest.raises(BorgError, match="shop: the passphrase is wrong"):
        init(make_repository(url=repository.url, passphrase="another"), tmp_path / "escrow")


def test_files_come_back_whole(repository: Repository, tree: Path, tmp_path: Path) -> None:
    name = str(ArchiveName("shop", "files", datetime.now(UTC)))
    made = create(repository, FilesOptions(name, (str(tree),), exclude=("*/logs",), comment='{"chunks": "{now}"}'))
    assert (made.archive, made.warnings) == (name, ())
    assert made.files == len(ODD_NAMES) + 1  # the tag of the cache
    assert abs(made.start - datetime.now(UTC)) < timedelta(minutes=1)

    listing = archives(repository)
    assert [(archive.name, archive.id) for archive in listing.archives] == [(name, made.id)]
    assert abs(listing.archives[0].start - datetime.now(UTC)) < timedelta(minutes=1)
    last = look_up(repository, ("shop",), "files")
    assert last is not None
    assert (last.id, last.comment) == (made.id, '{"chunks": "{now}"}')
    assert look_up(repository, ("shop",), "mariadb") is None
    assert find(listing, ("shop",), "files") == find(listing, ("shop",), "files", name)
    assert find(listing, ("shop",), "mariadb") is None

    target = tmp_path / "target"
    target.mkdir()
    extract(repository, ExtractOptions(name, strip=len(tree.parts) - 2), str(target))
    restored = target / tree.name
    assert sorted(path.name for path in restored.iterdir()) == sorted([*ODD_NAMES, "link", "cache"])
    assert [(restored / each).read_text() for each in ODD_NAMES] == [each * 100 for each in ODD_NAMES]
    assert [path.name for path in (restored / "cache").iterdir()] == ["CACHEDIR.TAG"]
    assert not list(tmp_path.rglob("owned"))


def test_rights_and_attributes_come_back(repository: Repository, tmp_path: Path) -> None:
    """By number, whoever has that number here; ACLs and extended attributes where this file system keeps them."""
    top = tmp_path / "srv"
    top.mkdir()
    file = top / "file"
    file.write_text("file")
    (top / "linked").hardlink_to(file)
    if os.geteuid() == 0:
        os.chown(file, 12345, 54321)
    os.setxattr(file, "user.note", b"kept")
    os.setxattr(file, "system.posix_acl_access", acl())
    file.chmod(0o4750)
    os.utime(file, ns=(1, 1_234_567_890_123_456_789))
    create(repository, FilesOptions("one", (str(top),)))
    target = tmp_path / "target"
    target.mkdir()
    extract(repository, ExtractOptions("one", strip=len(top.parts) - 1), str(target))
    restored = target / "file"
    assert facts(restored) == facts(file)
    assert restored.samefile(target / "linked")


def acl() -> bytes:
    """Return a list in the kernel's form (linux/posix_acl_xattr.h): owner, one user more, group, mask, others."""
    nobody = 0xFFFFFFFF
    entries = ((1, 7, nobody), (2, 4, 4242), (4, 5, nobody), (16, 5, nobody), (32, 0, nobody))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def facts(file: Path) -> tuple[object, ...]:
    """Return what a file system knows of a file beside its name and content."""
    stat = file.stat()
    attributes = {name: os.getxattr(file, name) for name in os.listxattr(file)}
    assert attributes.keys() >= {"user.note", "system.posix_acl_access"}
    return stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtime_ns, stat.st_nlink, attributes


def test_single_paths_are_extracted_by_their_very_names(repository: Repository, tree: Path, tmp_path: Path) -> None:
    create(repository, FilesOptions("one", (str(tree),)))
    wanted = [str(tree / "*"), str(tree / "line\nbreak")]
    assert {entry.path for entry in contents(repository, "one", wanted)} == {path[1:] for path in wanted}
    assert size(repository, "one", [str(tree / "line\nbreak")]) == (len("line\nbreak") * 100, 1)
    assert size(repository, "one", [str(tree / "nothing")]) == (0, 0)
    extract(repository, ExtractOptions("one", wanted, strip=len(tree.parts) - 1), str(tmp_path))
    assert (tmp_path / "*").read_text() == "*" * 100
    assert not (tmp_path / "plain").exists()
    with pytest.raises(BorgError, match=r"holds nothing by the name .*nothing"):
        extract(repository, ExtractOptions("one", [str(tree / "nothing")]), str(tmp_path))


def test_no_archive_is_made_when_nothing_is_there(repository: Repository) -> None:
    with pytest.raises(BorgError, match="none of the paths"):
        create(repository, FilesOptions("one", ("/no/such", "/nor/this")))
    assert archives(repository).archives == ()


def test_relative_paths_and_options_are_no_paths(repository: Repository) -> None:
    for path in ("--one-file-system", "srv", ""):
        with pytest.raises(UsageError, match="must be absolute"):
            create(repository, FilesOptions("one", ("/etc", path)))


def test_a_name_is_given_once(repository: Repository, tree: Path) -> None:
    create(repository, FilesOptions("one", (str(tree),)))
    with pytest.raises(BorgError, match="archive one is there already"):
        create(repository, FilesOptions("one", (str(tree),)))


def stream(body: str, chunk_size: int | None = 65536, **environment: str | Secret) -> StreamOptions:
    return StreamOptions(
        "dump", Stream(body, environment), "shop.mbstream", chunk_size, comment='{"chunk_size": 65536}'
    )


def test_a_stream_comes_back_byte_for_byte(repository: Repository, host: LocalHost) -> None:
    seen: list[object] = []
    body = 'head -c 3000000 /dev/zero | tr "\\0" x; printf %s "$WORD"; echo said so >&2'
    made = create(repository, stream(body, WORD=Secret("it's $secret")), How(on_progress=seen.append))
    assert made.files == 1
    assert (made.size or 0) >= 3_000_012
    assert 0 < (made.stored or 0) < 100_000
    assert seen
    back = content(repository, "dump", "shop.mbstream")
    output = host.run(Script(back.body, back.environment))
    assert output.ok
    assert output.stdout == b"x" * 3_000_000 + b"it's $secret"
    missing = content(repository, "dump", "shop.nothing")
    assert not host.run(Script(missing.body, missing.environment)).ok


@pytest.mark.parametrize("body", ["echo half; echo why it failed >&2; exit 3", "false | cat", "echo half; kill -9 $$"])
def test_a_failed_stream_leaves_no_archive(repository: Repository, body: str) -> None:
    with pytest.raises(ContentError, match="no archive was made") as caught:
        create(repository, stream(body))
    assert "why it failed" not in body or caught.value.result.other_lines == ("why it failed",)
    assert archives(repository).archives == ()


def test_the_content_command_never_sees_the_passphrase(repository: Repository, host: LocalHost) -> None:
    create(repository, stream("env; cat"))
    back = content(repository, "dump", "shop.mbstream")
    assert "secret" not in host.run(Script(back.body, back.environment)).text


def test_times_are_utc_whatever_the_zone(repository: Repository, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    create(repository, FilesOptions("one", (str(tree),)))
    assert abs(archives(repository).archives[0].start - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_damaged_cache_is_made_anew(repository: Repository, tree: Path, tmp_path: Path) -> None:
    """As a full disk, lost power or a sick disk leaves it; each archive is made, and listed, once."""
    create(repository, FilesOptions("first", (str(tree),)))
    (cache,) = (tmp_path / "base/.cache/borg").glob("*/chunks")
    made = ["first"]
    for name, damage in (("chunks", "cut"), ("chunks", "emptied"), ("chunks", "zeroed"), ("config", "emptied")):
        file = cache.with_name(name)
        whole = file.read_bytes()
        file.write_bytes({"cut": whole[: len(whole) // 2], "emptied": b"", "zeroed": bytes(len(whole))}[damage])
        create(repository, FilesOptions(f"{name}-{damage}", (str(tree),)))
        made.append(f"{name}-{damage}")
    cache.with_name("config").write_bytes(bytes(500))
    assert [archive.name for archive in archives(repository).archives] == made
