"""A dump by a command of one's own is a source like any other: complete or absent, reported, drilled, restored."""

import random
import subprocess
from pathlib import Path

import pytest

from tests.integration.dumps.conftest import BORGS, MakeShop
from tests.integration.fleet.support import PROGRAM
from tests.integration.local import after_the_newest_archive, records

TEXT = random.Random(1).randbytes(300_000)  # noqa: S311 (no secret)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "content"
    file.write_bytes(TEXT)
    return file


def test_a_dump_is_saved_reported_drilled_restored_and_pruned(make_shop: MakeShop, data: Path, tmp_path: Path) -> None:
    back, seen = tmp_path / "back", tmp_path / "seen"
    shop = make_shop(
        etcd={
            "command": ["cat", str(data)],
            "restore": ["sh", "-c", f'cat >{back}; printf %s "$TOKEN" >{seen}'],
            "verify": ["sh", "-c", f'test "$(cat | wc -c)" = {len(TEXT)} || {{ echo too short >&2; exit 1; }}'],
            "secrets": {"TOKEN": {"file": str(tmp_path / "secret")}},
            "keep": {"last": 1},
        },
        queue={"command": ["echo", "jobs"]},
    )
    checked = shop.done("app.check", "--app", "shop")
    assert "etcd: command begins to write" in checked
    shop.done("backup", "--app", "shop")
    row = shop.report()["shop", "etcd"]
    assert (row["status"], row["archives"]) == ("ok", 1)
    assert shop.report()["shop", "queue"]["status"] == "ok"
    printed = shop.done("verify", "--app", "shop", "--scratch", str(tmp_path))
    assert "their checksum is that of the backup; judged behind walls" in printed
    assert "nothing judges it" in printed  # the queue
    assert shop.report()["shop", "etcd"]["proven"]

    shop.done("restore", "--app", "shop", "--source", "etcd", "--target", str(tmp_path / "folder"))
    assert (tmp_path / "folder" / "etcd.dump").read_bytes() == TEXT
    shop.done("restore", "--app", "shop", "--source", "etcd", "--yes")
    assert (back.read_bytes(), seen.read_text()) == (TEXT, "a passphrase")
    end = shop.inv("restore", "--app", "shop", "--yes")
    assert end.returncode == 2
    assert "there is no command that puts a dump of queue back" in end.stderr

    after_the_newest_archive(tmp_path)
    shop.done("backup", "--app", "shop", "--source", "etcd")
    shop.done("verify", "--app", "shop", "--source", "dumps", "--scratch", str(tmp_path))
    shop.done("prune", "--yes")
    left = shop.archives("shop")
    assert sorted(name.split("-")[1] for name in left) == ["etcd", "queue"]
    assert not list(tmp_path.glob("cloudbackup-*"))


@pytest.mark.parametrize("borg", BORGS)
def test_a_dump_cut_at_any_byte_leaves_no_archive(
    borg: str, make_shop: MakeShop, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "borg").symlink_to(borg)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    ways = {"fails": "exit 3", "killed": "kill -9 $$", "ended": "kill -TERM $$"}
    cuts = [0, 1, 65_536, 200_001, len(TEXT)]
    dumps = {
        f"{way}_{cut}": {"command": ["bash", "-c", f"head -c {cut} {data}; echo lost it >&2; {end}"]}
        for way, end in ways.items()
        for cut in cuts
    }
    shop = make_shop(
        **dumps,
        empty={"command": ["true"]},
        absent={"command": ["no-such-program"]},
        whole={"command": ["cat", str(data)]},
    )
    end = shop.inv("backup", "--app", "shop")
    assert end.returncode == 3
    assert [name.split("-")[1] for name in shop.archives("shop")] == ["whole"]
    assert end.stdout.count("lost it") >= len(dumps)
    assert "no dump of empty was saved: the command wrote nothing" in end.stdout
    rows = shop.report()
    assert {source for (_, source), row in rows.items() if row["status"] == "missing"} == {*dumps, "empty", "absent"}
    assert "wrote nothing" in rows["shop", "empty"]["error"]


def test_a_drill_fails_where_the_command_finds_fault_or_reads_nothing(
    make_shop: MakeShop, data: Path, tmp_path: Path
) -> None:
    shop = make_shop(
        etcd={
            "command": ["cat", str(data)],
            "verify": ["sh", "-c", "head -c 5 >/dev/null; echo page 7 torn >&2; exit 4"],
        },
        blind={"command": ["cat", str(data)], "verify": ["true"]},
    )
    shop.done("backup", "--app", "shop")
    end = shop.inv("verify", "--app", "shop", "--scratch", str(tmp_path))
    assert end.returncode == 4
    assert "page 7 torn" in end.stdout
    assert "read nothing of the dump, so it proves nothing" in end.stdout
    rows = shop.report()
    assert {row["status"] for row in rows.values()} == {"failed"}
    assert {record["outcome"] for record in records(tmp_path, "verify")} == {"failed"}


def test_half_a_dump_is_suspect_and_expect_says_more(make_shop: MakeShop, data: Path, tmp_path: Path) -> None:
    data.write_bytes(TEXT * 10)
    shop = make_shop(
        etcd={"command": ["cat", str(data)]}, least={"command": ["cat", str(data)], "expect": {"min_size": "2.5MB"}}
    )
    shop.done("backup", "--app", "shop")
    data.write_bytes(TEXT * 4)
    after_the_newest_archive(tmp_path)
    assert shop.inv("backup", "--app", "shop").returncode == 3
    rows = shop.report()
    assert {row["status"] for row in rows.values()} == {"suspect"}
    assert "of `expect`" in rows["shop", "least"]["suspect"]


def test_stock_borg_alone_brings_a_dump_back(make_shop: MakeShop, data: Path, tmp_path: Path) -> None:
    shop = make_shop(etcd={"command": ["cat", str(data)]})
    shop.done("backup", "--app", "shop")
    (archive,) = shop.archives("shop")
    environment = {
        "BORG_REPO": str(tmp_path / "storage" / "shop"),
        "BORG_PASSPHRASE": "a passphrase",
        "BORG_BASE_DIR": str(tmp_path / "stock"),
    }
    lines = 'borg extract --stdout "::$ARCHIVE" > etcd.dump'
    assert lines in (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
    subprocess.run(
        ["bash", "-ec", lines], cwd=tmp_path, check=True,
        env={**shop.environment(), **environment, "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes", "ARCHIVE": archive},
    )  # fmt: skip
    assert (tmp_path / "etcd.dump").read_bytes() == TEXT


def test_a_dump_goes_to_standard_output_as_it_was_saved(make_shop: MakeShop, data: Path, tmp_path: Path) -> None:
    shop = make_shop(etcd={"command": ["cat", str(data)]}, queue={"command": ["echo", "jobs"]})
    shop.done("backup", "--app", "shop")
    words = [*PROGRAM, "restore", "--app", "shop", "--target", "-"]

    def written(*more: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*words, *more], env=shop.environment(), capture_output=True, check=False)

    for place in ((), ("--to", "local")):
        done = written("--source", "etcd", *place)
        assert (done.returncode, done.stdout) == (0, TEXT), done.stderr
        assert b"300 kB written, ok" in done.stderr
    assert {record["details"]["target"] for record in records(tmp_path, "restore")} == {"standard output"}
    assert (written().returncode, b"is of one source" in written().stderr) == (2, True)
    (made,) = [record for record in records(tmp_path, "backup") if record["source"] == "etcd"]
    for path in tmp_path.rglob("*-backup-etcd*.json"):
        path.unlink()  # now no record tells of the archive: whoever has the host's key could have made it
    unknown = written("--source", "etcd", "--archive", made["archive"])
    assert (unknown.returncode, unknown.stdout) == (3, TEXT), unknown.stderr
    assert b"300 kB written, warning" in unknown.stderr
    assert records(tmp_path, "restore")[-1]["outcome"] == "warning"
    with subprocess.Popen(
        [*words, "--source", "etcd", "--archive", made["archive"]],
        env=shop.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(10) == TEXT[:10]
        process.stdout.close()
        assert b"was closed before everything was written" in process.stderr.read()
    assert process.returncode
