"""Programs that put dumps back write through no link, drop nothing of others, and read no file that a dump names."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.errors import AppError
from tasks.mariadb.part_restore import OPTIONS, Names
from tasks.sources.dumps import mysql_part
from tasks.sources.dumps.host import mysql_slice, redis_load, sqlite_load
from tasks.sources.dumps.mongodb import MongoDB

HOST = Path(redis_load.__file__).parent
WHOLE = "dn: dc=example\ndescription: of a person\n\n# cloudbackup: whole\n"


def programs(folder: Path, **texts: str) -> dict[str, str]:
    """Make shell scripts of these names; return an environment that finds them first."""
    there = folder / "programs"
    there.mkdir()
    for name, text in texts.items():
        (there / name).write_text(f"#!/bin/sh\n{text}\n")
        (there / name).chmod(0o755)
    return {"PATH": f"{there}:/usr/bin:/bin"}


LDAP = ["ldap_config.sh", "ldap_load.sh"]


def shell(
    names: list[str], words: list[str], environment: dict[str, str], dump: str
) -> subprocess.CompletedProcess[str]:
    """Run programs for a host as one, with these words."""
    text = "".join((HOST / name).read_text() for name in names)
    return subprocess.run(
        ["sh", "-c", text, "sh", *words], env=environment, input=dump, capture_output=True, text=True, check=False
    )


def loaded(program: Any, argument: str, dump: bytes) -> subprocess.CompletedProcess[bytes]:
    text = Path(program.__file__).read_text()
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", text, argument], input=dump, capture_output=True, check=False
    )


def database(file: Path) -> bytes:
    with sqlite3.connect(file) as made:
        made.execute("CREATE TABLE t (a)")
    made.close()
    return file.read_bytes()


@pytest.mark.parametrize("product", ["redis", "sqlite"])
def test_a_link_in_the_servers_folder_leads_nowhere(tmp_path: Path, product: str) -> None:
    live, victim = tmp_path / "live", tmp_path / "victim"
    dump = database(live)
    victim.write_text("of root")
    victim.chmod(0o600)
    live.chmod(0o664)
    (tmp_path / "live.cloudbackup-new").symlink_to(victim)
    if product == "redis":
        done = loaded(redis_load, json.dumps({"path": str(live), "ping": ["false"]}), dump)
    else:
        done = loaded(sqlite_load, str(live), dump)
    assert done.returncode == 0, done.stderr
    assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("of root", 0o600)
    assert not live.is_symlink()
    assert (live.read_bytes(), live.stat().st_mode & 0o777) == (dump, 0o664)


def test_a_redis_that_holds_the_connection_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(words: list[str], **_: Any) -> None:
        raise subprocess.TimeoutExpired(words, 30)

    monkeypatch.setattr(subprocess, "run", late)
    assert redis_load.runs(["redis-cli", "ping"], str(tmp_path))


def ldap(folder: Path, **more: str) -> dict[str, str]:
    data = folder / "data"
    data.mkdir()
    found = f"printf 'objectClass: olcMdbConfig\\nolcDbDirectory: {data}\\n'"
    tools = {"slapcat": found, "slapadd": f"cat >{data}/data.mdb", "chown": f'echo "$@" >>{folder}/owned', **more}
    return programs(folder, **tools)


@pytest.mark.parametrize(
    "line", ["description:< file:///etc/shadow", "include: file:///etc/x", "Include:file:///etc/x", " on:< file:///x"]
)
def test_ldif_has_no_file_of_the_host_read(tmp_path: Path, line: str) -> None:
    done = shell(LDAP, ["dc=example"], ldap(tmp_path), f"{line}\n{WHOLE}")
    assert done.returncode == 0, done.stderr
    first, rest = (tmp_path / "data" / "data.mdb").read_text().split("\n", 1)
    assert (first, rest) == ("cloudbackup refuses a line that slapcat does not write", WHOLE)
    owned = (tmp_path / "owned").read_text().splitlines()
    assert [each.split()[0] for each in owned] == ["-h"]
    assert owned[0].endswith(f" {tmp_path}/data/data.mdb {tmp_path}/data/lock.mdb")


def test_a_slapd_that_may_not_be_looked_at_is_not_taken_for_stopped(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "comm").write_text("slapd\n")
    grep = f'[ "$1" = -lsx ] || exec /bin/grep "$@"\necho {tmp_path}/7/comm'
    done = shell(LDAP, ["dc=example"], ldap(tmp_path, grep=grep), WHOLE)
    assert done.returncode == 1
    assert "a slapd runs" in done.stderr
    assert done.stderr.endswith("or restore as root; nothing was changed\n")
    assert not list((tmp_path / "data").iterdir())


def test_a_database_whose_name_holds_another_one_has_that_not_dropped(tmp_path: Path) -> None:
    psql = f"""\
text=$(cat)
case $text in
*_new_*) printf 'shop_new_ customers\\nshop_new_20260101_000000\\n' ;;
*'count(*)'*) echo 0 ;;
*'DROP DATABASE :"old"'*) echo "$@" >>{tmp_path}/dropped ;;
esac"""
    tools = programs(tmp_path, psql=psql, pg_restore="cat >/dev/null")
    done = shell(["postgresql_load.sh"], ["shop", "--username=backup"], tools, "a dump")
    assert done.returncode == 0, done.stderr
    dropped = (tmp_path / "dropped").read_text().splitlines()
    assert [each.rpartition(" ")[2] for each in dropped] == ["--set=old=shop_new_20260101_000000"]
    assert done.stderr.endswith("; shop_new_20260101_000000 of a restore that was cut off was dropped\n")


@pytest.mark.parametrize("rows", ["REPLACE INTO `t` VALUES (1);\n", "INSERT  IGNORE INTO `t` VALUES (1);\n"])
def test_rows_in_another_form_are_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], rows: str
) -> None:
    dump = tmp_path / "dump"
    dump.write_text(f"USE `shop`;\nCREATE TABLE `t` (\n  `a` int\n);\n{rows}-- cloudbackup changed: \n")
    plan = {"file": str(dump), "database": "shop", "table": "t"}
    monkeypatch.setattr(sys, "argv", ["slice", json.dumps(plan)])
    assert mysql_slice.main() == 1
    assert "rows of the dump are in a form that cannot be taken apart" in capfd.readouterr().err


def test_a_part_of_which_nothing_says_what_was_loaded_is_dropped_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(script: Any, *_: Any) -> Any:
        ran.append(script.body)
        return SimpleNamespace(ok=True, code=0, error_text="")

    live: Any = SimpleNamespace(
        require_new=lambda: None,
        make=lambda: None,
        undo=lambda: "DROP",
        host=SimpleNamespace(run=run),
        access=SimpleNamespace(environment={}),
    )
    archive: Any = SimpleNamespace(choices=SimpleNamespace(app=SimpleNamespace(name="shop")))
    monkeypatch.setattr(mysql_part, "_script", lambda *_: (1, SimpleNamespace(body="LOAD")))
    to: Any = SimpleNamespace(step=lambda _: None)
    with pytest.raises(AppError, match="nothing says which tables were loaded"):
        mysql_part._carry_out(archive, Names("shop", "t", "shop_restored"), live, to)
    assert ran == ["LOAD", "DROP"]


def test_a_person_reads_mongodbs_command_and_no_script() -> None:
    assert MongoDB.model_validate({}).loads() == "mongorestore --archive --stopOnError"


@pytest.mark.parametrize(("kind", "code"), [("p", 1), ("r", 0)])
def test_a_partitioned_table_does_not_come_back_without_its_rows(tmp_path: Path, kind: str, code: int) -> None:
    psql = f"""\
text=$(cat)
case $text in
*relkind*) echo {kind} ;;
*'count(*)'*) echo 0 ;;
*'DROP DATABASE'*) echo dropped >>{tmp_path}/dropped ;;
esac"""
    tools = programs(tmp_path, psql=psql, pg_restore="cat >/dev/null; echo '1; 1259 2 TABLE public orders owner'")
    finds = (HOST / "postgresql_table.awk").read_text()
    dump = "1\n" + "a dump".ljust(65_536, "\0") + "a dump"
    done = shell(["postgresql_part.sh"], ["shop", "shop_restored", "public", "orders", finds], tools, dump)
    assert (done.returncode, (tmp_path / "dropped").exists()) == (code, code == 1)
    assert ("public.orders is partitioned" in done.stderr) == (code == 1)


def test_an_option_force_does_not_have_errors_passed_over(tmp_path: Path) -> None:
    client = f"""\
echo "$@" >>{tmp_path}/asked
cat >/dev/null"""
    done = shell(["mysql_load.sh"], [], programs(tmp_path, mariadb=client), "-- cloudbackup databases: 73686f70\n")
    assert done.returncode == 0, done.stderr
    assert "--skip-force" in (tmp_path / "asked").read_text().splitlines()[1].split()
    assert "--skip-force" in OPTIONS
