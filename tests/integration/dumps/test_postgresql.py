"""PostgreSQL databases are saved under load, restored into a private server in a drill, and exchanged for the live one."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dumps.conftest import MakeShop
from tests.integration.dumps.postgres import Server, running
from tests.integration.fleet.support import Operator

SHOP = """
CREATE SCHEMA "Odd schema";
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE customers (id int PRIMARY KEY);
CREATE TABLE orders (id serial PRIMARY KEY, debit bigint, credit bigint, note text CHECK (note <> ''), mood mood,
    customer int REFERENCES customers, number int GENERATED ALWAYS AS IDENTITY UNIQUE);
INSERT INTO orders (debit, credit, note) SELECT 0, 0, repeat('x', 200) FROM generate_series(1, 2000) n;
CREATE INDEX "by note" ON orders (note, mood);
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note = NEW.note || ''!''; RETURN NEW; END';
CREATE TRIGGER noted BEFORE UPDATE ON orders FOR EACH ROW WHEN (NEW.mood = 'bad') EXECUTE FUNCTION noted();
SELECT lo_from_bytea(4242, 'a large object');
CREATE TABLE "Odd schema"."a table" (id serial, at timestamptz DEFAULT now());
INSERT INTO "Odd schema"."a table" DEFAULT VALUES;
CREATE VIEW totals AS SELECT sum(debit) AS debit, sum(credit) AS credit FROM orders;
"""
BALANCED = "SELECT debit = credit FROM totals"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        server.sql("CREATE ROLE clerk LOGIN")
        yield server


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    server.sql("CREATE DATABASE shop OWNER clerk TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'sv-SE'")
    server.sql(SHOP, "shop")
    yield "shop"
    for name in server.sql("SELECT datname FROM pg_database WHERE datname LIKE 'shop%'").splitlines():
        server.sql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def shop(make_shop: MakeShop, server: Server, database: str) -> Operator:
    login = {"host": str(server.folder), "user": server.owner}
    return make_shop(
        orders={"postgresql": {**login, "database": database, "verify": [BALANCED]}},
        server={"postgresql": login},
    )


def test_a_database_under_load_is_saved_and_proven(shop: Operator, server: Server, tmp_path: Path) -> None:
    ended = threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            server.sql(
                f"BEGIN; UPDATE orders SET debit = {number} WHERE id = 1 + {number} % 2000;"
                f"UPDATE orders SET credit = {number} WHERE id = 2000 - {number} % 2000; COMMIT;",
                "shop",
            )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        shop.done("backup", "--app", "shop")
    finally:
        ended.set()
        writer.join()
    said = shop.done("verify", "--app", "shop", "--scratch", str(tmp_path))
    assert "restored 3 tables, 1 query answered" in said
    assert shop.report()["shop", "orders"]["proven"]
    assert shop.report()["shop", "server"]["proven"]
    server.sql("UPDATE orders SET debit = debit + 1 WHERE id = 1", "shop")
    shop.done("backup", "--app", "shop", "--source", "orders")
    end = shop.inv("verify", "--app", "shop", "--source", "orders", "--scratch", str(tmp_path))
    assert (end.returncode, f"`{BALANCED}` answers f on the restored data" in end.stdout) == (4, True)


def test_it_is_exchanged_for_the_live_one_or_nothing_changes(shop: Operator, server: Server, tmp_path: Path) -> None:
    shop.done("backup", "--app", "shop")
    server.sql("DELETE FROM orders WHERE id > 10", "shop")
    words = ("restore", "--app", "shop", "--source", "orders", "--yes")
    user = subprocess.Popen(
        ["psql", "-h", str(server.folder), "-U", server.owner, "shop", "-c", "SELECT pg_sleep(600)"]
    )
    try:
        while (
            server.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"
            )
            == "0"
        ):
            assert user.poll() is None
        end = shop.inv(*words)
        assert (end.returncode, "cannot be moved aside" in end.stdout) == (4, True), end.stdout
        assert "nothing was changed" in end.stdout
        assert server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop%'") == "1"
    finally:
        user.kill()
        user.wait()
        server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'")
    said = shop.done(*words)
    assert "the database shop is back; what was there is the database shop_before_" in said
    assert server.sql("SELECT lo_get(4242)", "shop") == r"\x61206c61726765206f626a656374"
    assert server.sql("SELECT 'å' > 'z' COLLATE \"default\"", "shop") == "t"  # Swedish
    server.sql("REVOKE CONNECT ON DATABASE shop FROM PUBLIC; ALTER DATABASE shop SET work_mem = '5MB'")
    end = shop.inv(*words)  # neither is in the dump
    assert (end.returncode, "lacks: rights {" in end.stdout, "work_mem=5MB" in end.stdout) == (3, True, True), (
        end.stdout
    )
    assert (
        server.sql(
            "SELECT count(*), min(pg_get_userbyid(datdba)) FROM orders, pg_database WHERE datname = 'shop'", "shop"
        )
        == "2000|clerk"
    )
    old, _ = server.sql("SELECT datname FROM pg_database WHERE datname LIKE 'shop_before%' ORDER BY 1").splitlines()
    assert server.sql("SELECT count(*) FROM orders", old) == "10"

    archives = {name.split("-")[1]: name for name in shop.archives("shop")}
    environment = {
        "BORG_REPO": str(tmp_path / "storage" / "shop"),
        "BORG_PASSPHRASE": "a passphrase",
        "BORG_BASE_DIR": str(tmp_path / "stock"),
        "PGHOST": str(server.folder),
        "PGUSER": server.owner,
        "ARCHIVE": archives["orders"],
        "SERVER": archives["server"],
    }
    lines = [
        'borg extract --stdout "::$ARCHIVE" > shop.dump',
        "createdb shop_again",
        "pg_restore --exit-on-error --dbname=shop_again shop.dump",
        'borg extract --stdout "::$SERVER" > server.sql',
    ]
    documented = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
    assert all(f"    {line}\n" in documented for line in lines)
    subprocess.run(
        ["bash", "-ec", "\n".join(lines)], cwd=tmp_path, check=True, capture_output=True,
        env={**shop.environment(), **environment},
    )  # fmt: skip
    assert server.sql("SELECT count(*) FROM orders", "shop_again") == "2000"
    assert "CREATE ROLE clerk" in (tmp_path / "server.sql").read_text()


def test_what_cannot_be_dumped_or_restored_changes_nothing(shop: Operator, server: Server) -> None:
    server.sql("ALTER TABLE orders OWNER TO clerk", "shop")
    shop.done("backup", "--app", "shop", "--source", "orders")
    server.sql("ALTER TABLE orders OWNER TO owner; ALTER DATABASE shop OWNER TO owner; DROP ROLE clerk", "shop")
    try:
        end = shop.inv("restore", "--app", "shop", "--source", "orders", "--yes")
        assert (end.returncode, 'role "clerk" does not exist; nothing was changed' in end.stdout) == (4, True), (
            end.stdout
        )
        assert server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop%'") == "1"
    finally:
        server.sql("CREATE ROLE clerk LOGIN")
    server.sql("DROP DATABASE shop WITH (FORCE)")
    end = shop.inv("backup", "--app", "shop", "--source", "orders")
    assert (end.returncode, 'database "shop" does not exist' in end.stdout) == (4, True), end.stdout
    assert len(shop.archives("shop")) == 1
    end = shop.inv("restore", "--app", "shop", "--source", "orders", "--yes")  # also where it is gone
    assert (end.returncode, "encoding, locale and owner are the server's" in end.stdout) == (3, True), end.stdout
    assert server.sql("SELECT count(*) FROM orders", "shop") == "2000"


def test_what_a_role_may_not_read_fails_the_dump_and_what_a_machine_lacks_does_not(
    shop: Operator, server: Server, tmp_path: Path
) -> None:
    def reads(app: dict[str, Any]) -> None:
        app["dumps"]["orders"]["postgresql"]["user"] = "reader"

    shop.change("apps/shop.yml", reads)
    rows = "row-level security policy for table"
    faults = {
        rows: "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
        "permission denied for large object": "SELECT lo_unlink(4242); REVOKE pg_read_all_data FROM reader",
        "permission denied for": "GRANT pg_read_all_data TO reader",
    }
    server.sql("CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader")
    server.sql("ALTER TABLE orders ENABLE ROW LEVEL SECURITY; CREATE EXTENSION pg_trgm", "shop")
    try:
        for fault, mended in faults.items():
            end = shop.inv("backup", "--app", "shop", "--source", "orders")
            assert (end.returncode, fault in end.stdout) == (4, True), end.stdout
            assert ("BYPASSRLS" if fault == rows else "superuser") in end.stdout
            server.sql(mended, "shop")
        assert not shop.archives("shop")
        shop.done("backup", "--app", "shop", "--source", "orders")
    finally:
        server.sql("DROP ROLE reader")
    shop.done("restore", "--app", "shop", "--source", "orders", "--target", str(tmp_path / "out"), "--yes")
    dump = (tmp_path / "out" / "orders.dump").read_bytes().replace(b"pg_trgm", b"nowhere")
    archive = "shop-orders-2026-01-01T00-00-00"
    subprocess.run(
        ["borg", "create", "--stdin-name", "orders.dump", f"::{archive}", "-"],
        input=dump, env=stock(shop, tmp_path), check=True, capture_output=True,
    )  # fmt: skip
    end = shop.inv("verify", "--app", "shop", "--archive", archive, "--scratch", str(tmp_path))
    assert (end.returncode, "the extension nowhere is not there" in end.stdout) == (5, True), end.stdout
    assert "is not sound" not in end.stdout
    server.sql("CREATE DATABASE shop_shut ALLOW_CONNECTIONS false")
    end = shop.inv("backup", "--app", "shop", "--source", "server")
    assert (end.returncode, "1 left out: shop_shut: takes no connections" in end.stdout) == (4, True), end.stdout


def stock(shop: Operator, tmp_path: Path, **more: str) -> dict[str, str]:
    """Return the environment in which borg alone reads the repository."""
    own = {
        "BORG_REPO": str(tmp_path / "storage" / "shop"),
        "BORG_PASSPHRASE": "a passphrase",
        "BORG_BASE_DIR": str(tmp_path / "stock"),
    }
    return {**shop.environment(), **own, **more}


def test_a_hostile_dump_reaches_nothing_beyond_the_drill(shop: Operator, server: Server, tmp_path: Path) -> None:
    shop.done("backup", "--app", "shop", "--source", "server")
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    (outside / "seen").write_text("by the operator")
    live = f"psql -h {server.folder} -U {server.owner} -c 'CREATE DATABASE shop_reached'"
    hostile = "".join(
        f"\\! {command}\n"
        for command in (f"touch {outside}/made", f"cat {outside}/seen > seen-there", live, "touch $HOME/made-here")
    )
    hostile += f"COPY (SELECT 1) TO PROGRAM 'touch {outside}/made-by-the-server';\n"
    environment = {
        **shop.environment(),
        "BORG_REPO": str(tmp_path / "storage" / "shop"),
        "BORG_PASSPHRASE": "a passphrase",
        "BORG_BASE_DIR": str(tmp_path / "stock"),
    }
    subprocess.run(
        ["borg", "create", "--stdin-name", "server.dump", "::shop-server-2026-01-01T00-00-00", "-"],
        input=hostile, text=True, env=environment, check=True, capture_output=True,
    )  # fmt: skip
    end = shop.inv(
        "verify", "--app", "shop", "--archive", "shop-server-2026-01-01T00-00-00", "--scratch", str(tmp_path)
    )
    assert [each.name for each in outside.iterdir()] == ["seen"], end.stdout
    assert server.sql("SELECT count(*) FROM pg_database WHERE datname = 'shop_reached'") == "0"
    assert (end.returncode, "so it proves nothing" in end.stdout) == (4, True), end.stdout


def test_a_database_or_table_comes_back_beside_the_live_one(shop: Operator, server: Server) -> None:
    shop.done("backup", "--app", "shop", "--source", "orders")
    server.sql("DELETE FROM orders WHERE id > 10", "shop")
    back = ("restore", "--app", "shop", "--source", "orders")
    said = shop.done(*back, "--table", "orders")
    assert "orders is in the database shop_restored: 2000 rows" in said
    assert "left out, as they need other tables: FK CONSTRAINT public orders orders_customer_fkey" in said
    assert server.sql("SELECT count(*), min(length(note)) FROM orders", "shop_restored") == "2000|200"
    server.sql(
        "INSERT INTO orders (note) VALUES ('next'); UPDATE orders SET mood = 'bad' WHERE id = 2001", "shop_restored"
    )
    assert server.sql("SELECT id, number, note FROM orders WHERE id > 2000", "shop_restored") == "2001|2001|next!"
    whole = "SELECT indexdef FROM pg_indexes WHERE tablename = 'orders' ORDER BY 1"
    assert server.sql(whole, "shop_restored") == server.sql(whole, "shop")
    assert server.sql("SELECT 'å' > 'z' COLLATE \"default\"", "shop_restored") == "t"
    shop.done(*back, "--table", "Odd schema.a table", "--into", "shop_table")
    assert server.sql('SELECT count(*) FROM "Odd schema"."a table"', "shop_table") == "1"
    shop.done(*back, "--database", "shop", "--into", "shop_all")
    assert server.sql("SELECT debit FROM totals", "shop_all") == "0"
    for part, why in ((("--table", "nosuch", "--into", "shop_none"), "no table public.nosuch"),
                      (("--database", "shop", "--into", "shop_all"), "already exists")):  # fmt: skip
        end = shop.inv(*back, *part)
        assert (end.returncode, why in end.stdout, "nothing was changed" in end.stdout) == (4, True, True), end.stdout
    assert server.sql("SELECT count(*) FROM pg_database WHERE datname = 'shop_none'") == "0"
    assert server.sql("SELECT count(*) FROM orders", "shop_all") == "2000"
    assert server.sql("SELECT count(*) FROM orders", "shop") == "10"


def test_an_archive_that_is_cut_without_an_error_is_not_saved(shop: Operator, server: Server, tmp_path: Path) -> None:
    login = {"host": str(server.folder), "user": server.owner, "database": "shop"}
    cut = tmp_path / "cut"
    wrapped: dict[str, Any] = {"orders": {"postgresql": {**login, "exec": ["bash", str(cut)]}}}
    shop.change("apps/shop.yml", lambda values: values.update(dumps=wrapped))
    for how, why in (
        ("head -c 3000", "within its table of contents"),
        ("head -c -5000", "cut short"),
        ("head -c -1", "within the data"),
        ("{ echo Welcome; cat; }", "something else writes"),
    ):
        cut.write_text(f'"$@" | {how}')
        end = shop.inv("backup", "--app", "shop", "--source", "orders")
        assert (how, end.returncode, why in end.stdout) == (how, 4, True), end.stdout
    assert "shop-orders-" not in shop.done("borg.list", "--app", "shop")
    cut.write_text('"$@" | cat')
    shop.done("backup", "--app", "shop", "--source", "orders")


def test_what_a_restore_left_that_was_cut_off_is_named_and_removed(shop: Operator, server: Server) -> None:
    shop.done("backup", "--app", "shop", "--source", "orders")
    server.sql("CREATE DATABASE shop_new_20260101_030000")
    server.sql("CREATE DATABASE shop_new_20260102_030000")  # somebody else's
    server.sql("COMMENT ON DATABASE shop_new_20260101_030000 IS 'cloudbackup: a restore fills it'")
    assert "shop_new_20260101_030000 was left by a restore" in shop.inv("app.check", "--app", "shop").stdout
    said = shop.done("restore", "--app", "shop", "--source", "orders", "--yes")
    assert "shop_new_20260101_030000 of a restore that was cut off was dropped" in said
    left = server.sql("SELECT datname FROM pg_database WHERE datname LIKE 'shop_new%'")
    assert left == "shop_new_20260102_030000"
    assert server.sql("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'shop'") == ""


def test_a_hostile_dump_in_place_runs_nothing_of_the_client_and_no_program(
    shop: Operator, server: Server, tmp_path: Path
) -> None:
    """psql's commands are text to pg_restore; COPY FROM PROGRAM is the server's, which refuses it to the role."""
    server.sql("CREATE ROLE loader LOGIN CREATEDB")
    server.sql("ALTER DATABASE shop OWNER TO loader")

    def loads(app: dict[str, Any]) -> None:
        app["dumps"]["orders"]["postgresql"]["user"] = "loader"

    shop.change("apps/shop.yml", loads)
    program = "COPY public.t FROM PROGRAM 'touch ../made';"  # the server's folder is its data directory
    name = "x" * (len(program) - len("COPY public. (id) FROM stdin;"))
    server.sql("CREATE DATABASE shop_hostile OWNER loader")
    server.sql(f"CREATE TABLE public.{name} (id int); INSERT INTO public.{name} VALUES (1)", "shop_hostile")
    server.sql(f"ALTER TABLE public.{name} OWNER TO loader", "shop_hostile")
    dump = ("pg_dump", "--format=custom", "--compress=0", "-h", str(server.folder), "-U", server.owner, "shop_hostile")
    made = subprocess.run(dump, check=True, capture_output=True).stdout
    copy = f"COPY public.{name} (id) FROM stdin;".encode()
    assert made.count(copy) == 1
    place = server.folder / "made"
    commands = f"\\! touch {place}\n\\copy (SELECT 1) to '{place}'\nCOPY (SELECT 1) TO PROGRAM 'touch {place}';\n"
    for number, content in enumerate((made.replace(copy, program.encode()), commands.encode())):
        archive = f"shop-orders-2026-01-01T00-00-{number:02}"
        subprocess.run(
            ["borg", "create", "--stdin-name", "orders.dump", f"::{archive}", "-"],
            input=content, env=stock(shop, tmp_path), check=True, capture_output=True,
        )  # fmt: skip
        words = ("restore", "--app", "shop", "--source", "orders", "--archive", archive, "--yes")
        end = shop.inv(*words, *(("--table", f"public.{name}") if number else ()))
        assert (end.returncode, "would run on the live server" in end.stdout) == (5, True), end.stdout
        for more in ((), ("--table", f"public.{name}"))[: 2 - number]:
            end = shop.inv(*words, *more, "--trust-archive")
            assert (end.returncode, "nothing was changed" in end.stdout) == (4, True), end.stdout
    assert not place.exists()
    assert server.sql("SELECT count(*) FROM orders", "shop") == "2000"
    assert server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop!_%' ESCAPE '!'") == "1"
    server.sql("DROP DATABASE shop_hostile")
    server.sql("ALTER DATABASE shop OWNER TO clerk; DROP ROLE loader")
