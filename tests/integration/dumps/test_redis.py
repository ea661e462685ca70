"""A Redis server is saved under writes, loaded by a private one in a drill, and put back while it is stopped."""

import json
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dumps.conftest import MakeShop
from tests.integration.fleet.support import Operator

PASSWORD = "it's a \\ secret"


class Server:
    """A server with a password in a folder of its own, which only its socket reaches."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.socket, self.file = folder, folder / "s", folder / "dump.rdb"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--requirepass", PASSWORD]
        self.process = subprocess.Popen(["redis-server", *words, "--save", ""], stdout=subprocess.DEVNULL)
        while self.ask("PING") != "PONG":
            assert self.process.poll() is None
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def ask(self, *words: str, text: str | None = None) -> str:
        done = subprocess.run(
            ["redis-cli", "-s", str(self.socket), *words], input=text, capture_output=True, text=True, check=False,
            env={**os.environ, "REDISCLI_AUTH": PASSWORD},
        )  # fmt: skip
        return done.stdout.strip()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(Path(tempfile.mkdtemp(prefix="rd-", dir="/var/tmp")))
    try:
        server.start()
        server.ask(text="".join(f"SET key:{number} {'x' * 100}\n" for number in range(2000)) + "SELECT 3\nSET job 1\n")
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder)


@pytest.fixture
def shop(make_shop: MakeShop, server: Server, tmp_path: Path) -> Operator:
    (tmp_path / "redis").write_text(PASSWORD)
    login = {"socket": str(server.socket), "password": {"file": str(tmp_path / "redis")}}
    return make_shop(
        cache={"redis": {**login, "path": str(server.file), "verify": ["EXISTS key:1999", "-n 3 EXISTS job"]}}
    )


def test_a_server_under_writes_is_saved_proven_and_put_back(shop: Operator, server: Server, tmp_path: Path) -> None:
    assert "cache: Redis begins to write" in shop.done("app.check", "--app", "shop")
    ended = threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            server.ask("MSET", "debit", str(number), "credit", str(number))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        shop.done("backup", "--app", "shop")
    finally:
        ended.set()
        writer.join()
    said = shop.done("verify", "--app", "shop", "--scratch", str(tmp_path))
    assert "keys in 2 databases, 2 commands answered" in said
    assert "judged behind walls" in said
    assert shop.report()["shop", "cache"]["proven"]
    server.ask("FLUSHALL")
    server.ask("SAVE")
    end = shop.inv("restore", "--app", "shop", "--yes")
    assert (end.returncode, "the server runs" in end.stdout) == (4, True), end.stdout
    server.stop()
    owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    os.chown(server.file, owner.pw_uid, -1)
    said = shop.done("restore", "--app", "shop", "--yes")
    assert "dump.rdb is back; what was there is in" in said
    assert len(list(server.folder.glob("dump.rdb.before-*"))) == 1
    assert server.file.stat().st_uid == owner.pw_uid
    server.start()
    assert server.ask("GET", "debit") == server.ask("GET", "credit")
    assert (server.ask("EXISTS", "key:1999"), server.ask("-n", "3", "GET", "job")) == ("1", "1")
    server.stop()
    (server.folder / "appendonlydir").mkdir()
    end = shop.inv("restore", "--app", "shop", "--yes")
    assert (end.returncode, "appendonlydir lies beside it" in end.stdout) == (3, True), end.stdout

    (archive,) = shop.archives("shop")
    lines = ['borg extract --stdout "::$ARCHIVE" > dump.rdb', "redis-check-rdb dump.rdb"]
    documented = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
    assert all(f"    {line}\n" in documented for line in lines)
    environment = {
        "BORG_REPO": str(tmp_path / "storage" / "shop"),
        "BORG_PASSPHRASE": "a passphrase",
        "BORG_BASE_DIR": str(tmp_path / "stock"),
        "ARCHIVE": archive,
    }
    subprocess.run(
        ["bash", "-ec", "\n".join(lines)], cwd=server.folder, check=True, capture_output=True,
        env={**shop.environment(), **environment},
    )  # fmt: skip
    server.start()
    assert server.ask("EXISTS", "key:1999") == "1"


def test_what_is_cut_or_refused_leaves_no_archive_and_what_is_damaged_is_not_proven(
    shop: Operator, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    client = tools / "redis-cli"
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    for cut in ("head -c 1", "head -c 40000", "head -c -41", "head -c -1"):
        client.write_text(f'#!/bin/bash\n/usr/bin/redis-cli "$@" | {cut}\n')
        client.chmod(0o755)
        end = shop.inv("backup", "--app", "shop")
        assert (cut, end.returncode, "lacks its last line" in end.stdout) == (cut, 4, True), end.stdout
    harm = "import sys; d = bytearray(sys.stdin.buffer.read()); d[5000] ^= 1; sys.stdout.buffer.write(d)"
    client.write_text(f'#!/bin/bash\n/usr/bin/redis-cli "$@" | python3 -c {json.dumps(harm)}\n')
    shop.done("backup", "--app", "shop")
    client.unlink()
    end = shop.inv("verify", "--app", "shop", "--scratch", str(tmp_path))
    assert (end.returncode, "not sound: redis-check-rdb" in end.stdout) == (4, True), end.stdout

    def refused(app: dict[str, Any]) -> None:
        app["dumps"]["cache"]["redis"]["user"] = "nobody"

    shop.change("apps/shop.yml", refused)
    end = shop.inv("backup", "--app", "shop")
    assert (end.returncode, "WRONGPASS" in end.stdout) == (4, True), end.stdout
    assert len(shop.archives("shop")) == 1
