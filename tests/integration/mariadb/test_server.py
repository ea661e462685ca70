"""Every way in to a real server, and what it says of itself."""

from pathlib import Path

import pytest

from lab import mariadb
from tasks.mariadb import errors, server
from tasks.mariadb.access import Access
from tasks.remote.host import LocalHost
from tasks.remote.secret import Secret
from tests.integration.mariadb.conftest import PASSWORD, Running


def test_by_socket_it_tells_what_a_backup_must_know(shop: Running, host: LocalHost) -> None:
    asked = server.ask(host, shop.access())
    assert server.number(asked.version) == asked.version != ""
    assert asked.datadir == str(shop.server.datadir)
    assert asked.account == "backup@localhost"
    assert asked.position is not None
    assert asked.position.file == "binlog.000001"
    assert 10_000_000 < asked.size < 200_000_000
    assert asked.tools.backup == asked.version
    assert asked.tools.mbstream
    assert server.faults(asked) == []
    assert server.elsewhere(asked.variables) == {}


def test_by_tcp(shop: Running, host: LocalHost) -> None:
    access = shop.access(socket=None, host="127.0.0.1", port=shop.server.port)
    assert server.ask(host, access).variables["port"] == str(shop.server.port)


def test_by_defaults_file_whatever_stands_in_the_callers_home(
    shop: Running, host: LocalHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".my.cnf").write_text("[client]\nuser=nobody\npassword=wrong\nsocket=/nowhere\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    options = shop.home / "my.cnf"
    options.write_text(mariadb.client_options("backup", PASSWORD, shop.server.socket))
    by_file = Access(shop.access(socket=None, user=None, defaults_file=str(options)).database)
    assert server.ask(host, by_file).account == "backup@localhost"
    assert server.ask(host, shop.access()).account == "backup@localhost"


def test_by_exec_into_another_namespace(shop: Running, host: LocalHost) -> None:
    access = shop.access(exec=["unshare", "-rm", "--"])
    assert server.ask(host, access).account == "backup@localhost"


@pytest.mark.parametrize(
    ("changes", "password", "expected"),
    [
        ({}, "wrong", ("refuses the account 'backup'@'localhost'", "user, password")),
        ({"socket": "/nowhere/s"}, PASSWORD, ("no database server answers at /nowhere/s", "start the server")),
        ({"exec": ["bash", "-c", 'exec "$@" </dev/null', "-"]}, PASSWORD, ("no password reached", "docker exec -i")),
        ({"exec": ["env", "PATH=/nowhere", "/bin/bash", "-c", 'exec /bin/"$@"', "-"]}, PASSWORD,
         ("client is not there", "install")),
        ({"defaults_file": "/nowhere/my.cnf"}, PASSWORD,
         ("option file /nowhere/my.cnf cannot be read", "defaults_file")),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_one_sentence_with_a_remedy(
    shop: Running, host: LocalHost, changes: dict[str, object], password: str, expected: tuple[str, str]
) -> None:
    access = Access(shop.access(**changes).database, Secret(password))
    with pytest.raises(errors.DatabaseError, match=expected[0]) as caught:
        server.ask(host, access)
    assert expected[1] in caught.value.remedy
    assert caught.value.exit_code == 3


def test_missing_privileges_are_found_before_the_copy(own_shop: Running, host: LocalHost) -> None:
    mariadb.query(own_shop.server, "REVOKE BINLOG MONITOR ON *.* FROM backup@localhost")
    asked = server.ask(host, own_shop.access())
    with pytest.raises(errors.DatabaseError, match="'backup'@'localhost' may not BINLOG MONITOR") as caught:
        server.require_backup(asked, host.name)
    assert caught.value.remedy == "run on the server: GRANT BINLOG MONITOR ON *.* TO 'backup'@'localhost'"
    mariadb.query(own_shop.server, caught.value.remedy.removeprefix("run on the server: "))
    server.require_backup(server.ask(host, own_shop.access()), host.name)
