"""What `docker inspect` says is read as it was recorded (Docker 20.10.24), and hostile answers are one sentence."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.containers import volumes
from tasks.containers.container import Container, Mount, chosen, look
from tasks.errors import AppError, UsageError
from tasks.mariadb import container as mariadb
from tasks.remote.host import LocalHost
from tasks.sources.container_sources import proposed

RECORDED = json.loads((Path(__file__).parent / "docker_inspect.json").read_text())
HOST = LocalHost()
Engine = Callable[[Any], None]
DATA = Mount("/var/lib/docker/volumes/shop_data/_data", "/var/lib/mysql", "shop_data")
SAID = "cloudbackup mariadb version mariadbd Ver 10.11.19-MariaDB\ncloudbackup mariadb datadir /var/lib/mysql/\n"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Return what makes `docker` answer `inspect` with some JSON; other engines fail."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def answers(values: Any) -> None:
        (tmp_path / "answer").write_text(values if isinstance(values, str) else json.dumps(values))
        for name, does in {
            "docker": f'case $1 in ps) echo a b ;; inspect) cat {tmp_path}/answer ;; exec) cat >/dev/null; sh -c "$6" ;; esac',
            "podman": "echo 'no podman here' >&2; exit 125",
            "nerdctl": "exit 1",
        }.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
            (tmp_path / name).chmod(0o755)

    return answers


def test_what_docker_said_is_read(engine: Engine) -> None:
    engine(RECORDED)
    db, web = look(HOST, ("shop-db-1",), probe="echo cloudbackup server x yes")
    assert (db.name, db.image, db.project, db.service, db.running) == ("shop-db-1", "mariadb:10.11", "shop", "db", True)
    assert db.mounts == (Mount(DATA.source, DATA.destination, "shop_data", "local", kind=db.mounts[0].kind),)
    assert "MARIADB_ROOT_PASSWORD" in db.variables
    assert "topsecret" not in repr(db)
    assert (db.details("server"), web.details("server")) == ({"x": "yes"}, {})
    assert web.removed
    assert [(each.name == "", each.anonymous, each.writable) for each in web.mounts] == [
        (True, False, False),
        (True, False, True),
        (False, True, True),
    ]


def changed(**values: Any) -> list[dict[str, Any]]:
    return [{**RECORDED[0], **values}]


HOSTILE = [
    "", "[", "{}", "null", "[1, null, []]", "[" * 5000, "[{}]",
    changed(Name="/--privileged"), changed(Name="/a\nb"), changed(Name=7), changed(Id=None, Name="/\u0000"),
    changed(Mounts=[{"Type": "bind", "Source": "relative", "Destination": "/x"}]),
    changed(Mounts=[{"Type": "bind", "Source": "/a/../../etc", "Destination": "/x"}]),
    changed(Mounts=[{"Type": "bind", "Source": "/a\nb", "Destination": "/x"}]),
    changed(Mounts=[{"Type": "bind", "Source": "/a", "Destination": "/x"}] * 1001),
    changed(Config={"Image": "x" * 100_000, "Env": ["A=1"] * 20_000, "Labels": {}}),
    changed(Config={"Image": "\u001b[31mred", "Labels": {"PODMAN_SYSTEMD_UNIT": "--now.service; reboot"}}),
]  # fmt: skip


@pytest.mark.parametrize("answer", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_answer_is_one_sentence_or_harmless(engine: Engine, answer: Any) -> None:
    engine(answer)
    told = ""
    try:
        told = " ".join(each.name + each.image for each in look(HOST))
    except AppError as error:
        told = error.what
    assert told.isprintable()
    assert len(told) < 500


def test_engines_that_do_not_answer_are_named(engine: Engine, tmp_path: Path) -> None:
    engine([])
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'permission denied while trying to connect' >&2; exit 1\n")
    with pytest.raises(AppError, match=r"permission denied while trying to connect.*no podman here") as caught:
        look(HOST)
    assert "--become sudo" in caught.value.remedy


def test_a_name_that_is_not_there_names_the_nearest() -> None:
    every = (Container("shop-db", "x", "docker", id="ab" * 32), Container("shop-db", "x", "podman", id="cd" * 32))
    with pytest.raises(AppError, match="no container `shop-bd`; did you mean shop-db"):
        chosen(HOST, every, ("shop-bd",), "")
    with pytest.raises(AppError, match="docker and podman each have"):
        chosen(HOST, every, ("shop-db",), "")
    assert chosen(HOST, every, ("cdcdcdcdcdcd",), "")[0].engine == "podman"


def test_the_host_itself_is_no_data() -> None:
    watching = (
        "/",
        "/proc",
        "/sys/fs/cgroup",
        "/var/run/docker.sock",
        "/usr/lib",
        "/etc/localtime",
        "/dev/disk",
        "/etc",
    )
    assert [each for each in watching if Mount(each, "/x").data] == []
    assert Mount("/srv/usr", "/x").data
    assert not Mount("/srv/app.sock", "/x", kind="other").data


def test_a_database_inside_a_saved_folder_is_left_out_of_the_files() -> None:
    shop = Container(
        "shop", "mariadb", "docker", mounts=(Mount("/srv/shop", "/app"), Mount("/srv/shop/db", "/var/lib/mysql"))
    )
    assert volumes.paths((shop,), ["/srv/shop/db"]) == (["/srv/shop"], ["pp:/srv/shop/db"])
    assert volumes.paths((shop,), []) == (["/srv/shop"], [])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"said": SAID}, "cannot log in"),
        ({"said": f"{SAID}cloudbackup mariadb login own\n", "mounts": ()}, "is in no volume"),
    ],
)
def test_a_server_that_cannot_be_saved_says_why(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        mariadb.found(
            (Container(**{"name": "db", "image": "x", "engine": "docker", "mounts": (DATA,), **changes}),), binlog=False
        )


def test_quadlets_are_stopped_by_their_unit_and_two_servers_are_refused() -> None:
    said = f"{SAID}cloudbackup mariadb login own\n"
    one = Container("db", "x", "podman", unit="db.service", removed=True, mounts=(DATA,), said=said)
    found = mariadb.found((one,), binlog=True)
    assert found is not None
    assert (found.values["stop"], found.warnings) == (["systemctl", "stop", "db.service"], ())
    assert found.values["exec"] == ["podman", "exec", "-i", "db"]
    with pytest.raises(UsageError, match="2 MariaDB servers run there: db, db"):
        mariadb.found((one, one), binlog=False)


def test_a_container_that_dies_when_it_stops_and_one_that_is_stopped_are_told() -> None:
    said = f"{SAID}cloudbackup mariadb login own\n"
    dies = Container("db", "x", "docker", removed=True, mounts=(DATA,), said=said)
    found = proposed((dies, Container("web", "x", "docker", running=False, mounts=(Mount("/srv/www", "/w"),))))
    assert "db is removed when it stops" in found.warnings[0]
    assert "web: stopped, so a database in it was not looked for" in found.warnings[1]


def test_a_stopped_database_is_not_taken_for_files() -> None:
    with pytest.raises(UsageError, match="does not run, and its volumes look like a database's"):
        proposed((Container("db", "x", "docker", running=False, mounts=(DATA,)),))


def test_postgresql_and_mysql_become_dumps() -> None:
    said = "cloudbackup postgresql {}\n"
    rows = ("user app", "folder /var/lib/postgresql/data", "login environment", "database shop")
    pg = Container("shop-pg", "postgres:16", "docker", service="db-1", said="".join(map(said.format, rows)),
                   mounts=(Mount("/v/pg", "/var/lib/postgresql/data"),))  # fmt: skip
    my = Container(
        "my", "mysql:8", "docker", said="cloudbackup server mysqld yes\n", mounts=(Mount("/v/my", "/var/lib/mysql"),)
    )
    values = proposed((pg, my)).values
    assert "files" not in values
    dumps = values["dumps"]
    assert isinstance(dumps, dict)
    assert isinstance(dumps["db_1"], dict)
    assert isinstance(dumps["my"], dict)
    assert dumps["db_1"]["postgresql"] == {
        "database": "shop", "user": "app", "exec": pg.exec_with("PGPASSWORD", ("POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD")),
    }  # fmt: skip
    assert dumps["my"]["mysql"] == {
        "user": "root",
        "exec": my.exec_with("MYSQL_PWD", ("MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD")),
    }


@pytest.mark.parametrize(
    ("environment", "password"),
    [
        ({"A": "x $y"}, "x $y"),
        ({"B": "b"}, "b"),
        ({"B_FILE": "FILE"}, "in the file"),
        ({"A_FILE": "FILE"}, "in the file"),
        ({}, ""),
    ],
)
def test_the_password_of_the_container_reaches_its_tool(
    environment: dict[str, str], password: str, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("in the file\n")
    words = Container("db", "x", "docker").exec_with("SECRET", ("A", "B"))[4:]
    given = {name: value.replace("FILE", f"{tmp_path}/password") for name, value in environment.items()}
    done = subprocess.run(
        [*words, "sh", "-c", 'printf %s "$SECRET"'],
        env={"PATH": os.environ["PATH"], **given}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == password
